"""Arrow IPC streams from outside, read without unpacking anything: what comes out is no larger than what came in.

Uncompressed buffers are views of the body. Compressed ones would be unpacked by Arrow before anybody could count them
(22 kB became 1.3 GB), so they are refused by the streams' metadata: a body is compressed as a whole, where what is
unpacked is counted. Layout of the metadata: the flatbuffers schema `Message.fbs` of Apache Arrow's format.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pyarrow as pa

from sondage.errors import InvalidInput

_HEADER, _DICTIONARY_DATA, _COMPRESSION = 2, 1, 3
"""Positions of fields: of a message its header, of a dictionary batch its record batch, of that its compression."""
_OLD_COMPRESSION = b"ARROW:experimental_compression"
"""How Arrow before 1.0 said so, in a message's own metadata; it is read to this day."""


def read_stream(source: bytes | Path, *, max_rows: int) -> pa.Table:
    """The table of an Arrow IPC stream of uncompressed buffers, checked value by value.

    Raises
    ------
    InvalidInput
        Its buffers are compressed, it has too many rows, or it is no such stream.
    """
    try:
        _refuse_compressed(_opened(source))
        with pa.ipc.open_stream(_opened(source)) as stream:
            return _table(stream, max_rows)
    except (pa.ArrowException, OSError, EOFError, struct.error) as fault:
        raise InvalidInput(f"The body is no Arrow IPC stream: {fault}.", field="body") from None


def _opened(source: bytes | Path) -> pa.NativeFile:
    """A file is mapped: a length that lies allocates nothing."""
    return pa.BufferReader(source) if isinstance(source, bytes) else pa.memory_map(str(source))


def _table(stream: pa.RecordBatchStreamReader, max_rows: int) -> pa.Table:
    batches, num_rows = [], 0
    for batch in stream:
        num_rows += batch.num_rows
        if num_rows > max_rows:
            raise InvalidInput(f"There are more than {max_rows:,} rows in the body.", field="body")
        batch.validate(full=True)
        batches.append(batch)
    return pa.Table.from_batches(batches, stream.schema)


def _refuse_compressed(source: pa.NativeFile) -> None:
    for message in pa.ipc.MessageReader.open_stream(source):
        if _is_compressed(bytes(message.metadata), message.type):
            raise InvalidInput(
                "The stream's buffers are compressed, which is not read here. Write it without compression (in "
                'pyarrow: IpcWriteOptions(compression=None)) and send the whole body with "Content-Encoding: zstd" '
                "or gzip.",
                field="body",
            )


def _is_compressed(metadata: bytes, kind: str) -> bool:
    if kind not in ("record batch", "dictionary"):
        return False
    if _OLD_COMPRESSION in metadata:
        return True
    root: int = struct.unpack_from("<I", metadata)[0]
    batch = _child(metadata, root, _HEADER)
    if kind == "dictionary" and batch is not None:
        batch = _child(metadata, batch, _DICTIONARY_DATA)
    return batch is not None and _child(metadata, batch, _COMPRESSION) is not None


def _child(data: bytes, table: int, field: int) -> int | None:
    """Where the table lies that a field of a flatbuffers table points at; None where the field is absent.

    A table begins with the signed distance back to its vtable, which holds its own size and, from byte 4 on, per field
    an offset in the table, 0 when absent. Arrow has verified the offsets.
    """
    vtable = table - struct.unpack_from("<i", data, table)[0]
    slot = 4 + 2 * field
    if slot + 2 > struct.unpack_from("<H", data, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", data, vtable + slot)[0]
    if not offset:
        return None
    return int(table + offset + struct.unpack_from("<I", data, table + offset)[0])
