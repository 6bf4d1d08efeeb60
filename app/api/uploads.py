"""⑥ Uploads: files that datasets are made of. Written beside their place and renamed, or gone."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from app.api.problems import problems
from app.deps import RecordProject, ServerDep, SessionDep
from sondage.errors import InvalidInput
from sondage.wire import Upload
from store.durable import make_folder, rename

router = APIRouter(prefix="/uploads", tags=["datasets"])
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
PARTIAL = ".partial-"
UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


@router.post("", status_code=201, openapi_extra=BODY, responses=problems(413, 507))
async def upload(
    project: RecordProject,
    server: ServerDep,
    session: SessionDep,
    request: Request,
    filename: Annotated[str, Query(min_length=1, max_length=255, description="Of the file as it was.")],
) -> Upload:
    """Send one file as the body. Name it as a dataset's source with `upload:<id>`."""
    await run_in_threadpool(session.commit)  # or a slow client holds a transaction open for hours
    folder = server.settings.data_dir / "uploads"
    number = secrets.token_hex(16)
    name = safe_name(filename)
    partial = folder / f"{PARTIAL}{number}"
    try:
        await run_in_threadpool(make_folder, partial)
        size, digest = await _receive(request.stream(), partial / name)
        await run_in_threadpool(rename, partial, folder / number)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Upload(id=number, filename=name, size_bytes=size, sha256=digest)


def safe_name(filename: str) -> str:
    """The last part of a file name, in characters that no system takes for anything else."""
    last = filename.replace("\\", "/").rsplit("/", 1)[-1]
    name = re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".")[-120:]
    if not name:
        raise InvalidInput(f"{filename!r} is no file name.", field="filename")
    return name


async def _receive(stream: AsyncIterator[bytes], path: Path) -> tuple[int, str]:
    """Write what comes, durably. Its size in bytes and its SHA-256."""
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        async for chunk in stream:
            await run_in_threadpool(_take, file, digest, chunk)
            size += len(chunk)
        await run_in_threadpool(_finish, file)
    if size == 0:
        raise InvalidInput("The body is empty: send the file's bytes.", field="body")
    return size, digest.hexdigest()


def _take(file: BinaryIO, digest: Any, chunk: bytes) -> None:
    file.write(chunk)
    digest.update(chunk)


def _finish(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
