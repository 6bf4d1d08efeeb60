"""③ Bodies of recorders: small ones in memory, large ones in a file, compressed or not, never larger than allowed."""

from __future__ import annotations

import gzip
import secrets
import shutil
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
from fastapi import Request
from starlette.concurrency import run_in_threadpool

from app.errors import UnsupportedMedia
from sondage.errors import InvalidInput

OCTETS, ARROW = "application/octet-stream", "application/vnd.apache.arrow.stream"
ENCODINGS = ("identity", "gzip", "zstd")
CHUNK_BYTES = 1 << 20
PARTIAL = ".partial-"
"""What a killed server leaves under this name in `uploads/` is swept away at a later start."""


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def encoding(request: Request) -> str:
    """Of the body.

    Raises
    ------
    UnsupportedMedia
        It is none that is read here.
    """
    named = request.headers.get("content-encoding", "").strip().lower() or "identity"
    if named not in ENCODINGS:
        raise UnsupportedMedia(
            f"Content-Encoding {named!r} is not read here; send {', '.join(ENCODINGS)}.",
            field="content-encoding",
        )
    return named


async def received(request: Request, *, max_bytes: int) -> bytes:
    """A small body as it comes, read no further than it may be.

    Raises
    ------
    InvalidInput
        It is larger.
    """
    parts, size = [], 0
    async for chunk in request.stream():
        parts.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
    return b"".join(parts)


def _too_large(max_bytes: int) -> InvalidInput:
    return InvalidInput(f"The body holds more than the {max_bytes:,} bytes that belong here.", field="body")


def decoded(data: bytes, how: str, *, max_bytes: int) -> bytes:
    """A small body without its compression.

    Raises
    ------
    InvalidInput
        It is not compressed as it says, or is larger than it may be.
    """
    if how == "identity":
        found = data
    elif how == "gzip":
        found = _gunzipped(data, max_bytes)
    else:
        found = _read(pa.BufferReader(data), how, max_bytes)
    if len(found) > max_bytes:
        raise _too_large(max_bytes)
    return found


def _gunzipped(data: bytes, max_bytes: int) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        found = stream.decompress(data, max_bytes + 1)
    except zlib.error as fault:
        raise InvalidInput(f"The body is not gzip: {fault}.", field="body") from None
    if not stream.eof and len(found) <= max_bytes:
        raise InvalidInput("The body is cut short: its gzip stream has no end.", field="body")
    return found


def _read(source: pa.NativeFile, how: str, max_bytes: int) -> bytes:
    try:
        with pa.CompressedInputStream(source, how) as stream:
            return bytes(stream.read(max_bytes + 1))
    except (pa.ArrowException, OSError) as fault:
        raise InvalidInput(f"The body is not {how}: {fault}.", field="body") from None


@asynccontextmanager
async def in_a_file(request: Request, data_dir: Path, *, max_bytes: int) -> AsyncIterator[Path]:
    """A large body, received into a file that is gone afterwards, without its compression.

    Raises
    ------
    InvalidInput
        It is empty, too large once unpacked, or not compressed as it says.
    """
    how = encoding(request)
    folder = data_dir / "uploads" / f"{PARTIAL}{secrets.token_hex(16)}"
    await run_in_threadpool(folder.mkdir, parents=True)
    try:
        with (folder / "sent").open("xb") as file:
            async for chunk in request.stream():
                await run_in_threadpool(file.write, chunk)
        path = folder / "sent" if how == "identity" else folder / "body"
        if how != "identity":
            await run_in_threadpool(_unpack, folder / "sent", path, how, max_bytes)
        _check_size(path, max_bytes)
        yield path
    finally:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


def _unpack(packed: Path, path: Path, how: str, max_bytes: int) -> None:
    try:
        with _opened(packed, how) as stream, path.open("xb") as file:
            _copy(stream, file, max_bytes)
    except (pa.ArrowException, OSError, EOFError, zlib.error) as fault:
        if isinstance(fault, OSError) and fault.errno is not None:
            raise  # the disk's own; what Arrow cannot unpack has no number
        raise InvalidInput(f"The body is not {how}, or is cut short: {fault}.", field="body") from None


@contextmanager
def _opened(packed: Path, how: str) -> Iterator[BinaryIO]:
    """Python's own reader of gzip sees a stream that is cut short; Arrow's takes it for whole."""
    if how == "gzip":
        with gzip.open(packed) as stream:
            yield cast(BinaryIO, stream)
    else:
        with pa.OSFile(str(packed)) as source, pa.CompressedInputStream(source, how) as stream:
            yield stream


def _copy(stream: BinaryIO, file: BinaryIO, max_bytes: int) -> None:
    while file.tell() <= max_bytes and (chunk := stream.read(CHUNK_BYTES)):
        file.write(chunk)


def _check_size(path: Path, max_bytes: int) -> None:
    size = path.stat().st_size
    if size == 0:
        raise InvalidInput("The body is empty: send the file's bytes.", field="body")
    if size > max_bytes:
        raise InvalidInput(
            f"The body holds more than the {max_bytes:,} bytes that are read here.", field="body"
        )
