"""① A dataset's columns as an Arrow stream, written without Arrow: the base install has no pyarrow.

Only what is needed: columns of text and of int32 without nulls, in one record batch, and metadata of the schema.

Source: the Arrow columnar format 1.0, "Encapsulated message format" and `Schema.fbs`, `Message.fbs`; FlatBuffers
internals for the bytes of tables.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray

Column = Sequence[str] | AnyArray
"""Texts, or an array that becomes int32."""

_V5 = 4
_SCHEMA, _RECORD_BATCH = 1, 3
_INT, _LARGE_UTF8 = 2, 20
_ALIGNMENT = 8


def arrow_stream(columns: Mapping[str, Column], metadata: Mapping[str, str]) -> bytes:
    """The columns, all of one length, as one Arrow IPC stream."""
    length = len(next(iter(columns.values())))
    buffers = [buffer for column in columns.values() for buffer in _buffers_of(column)]
    body = b"".join(_padded(buffer) for buffer in buffers)
    schema = _message(_SCHEMA, lambda out: _schema(out, columns, metadata), 0)
    batch = _message(_RECORD_BATCH, lambda out: _record_batch(out, length, len(columns), buffers), len(body))
    return schema + batch + body + struct.pack("<Ii", 0xFFFFFFFF, 0)


def _buffers_of(column: Column) -> list[bytes]:
    """Validity (none: there are no nulls), offsets of texts, values."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
        if len(column) and not -(1 << 31) <= int(column.min()) <= int(column.max()) < 1 << 31:
            raise InvalidInput(f"{column.min()} to {column.max()} do not fit 32 bits.")
        return [b"", column.astype("<i4").tobytes()]
    texts = [text.encode() for text in column]
    offsets = np.zeros(len(texts) + 1, "<i8")
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return [b"", offsets.tobytes(), b"".join(texts)]


def _padded(buffer: bytes) -> bytes:
    return buffer + bytes(-len(buffer) % _ALIGNMENT)


def _message(kind: int, header: Callable[[_Out], int], body_bytes: int) -> bytes:
    out = _Out()
    out.finish(out.table([(0, "h", _V5), (1, "B", kind), (2, "offset", header(out)), (3, "q", body_bytes)]))
    return struct.pack("<Ii", 0xFFFFFFFF, len(out.written())) + out.written()


def _schema(out: _Out, columns: Mapping[str, Column], metadata: Mapping[str, str]) -> int:
    fields = out.offsets([_field(out, name, column) for name, column in columns.items()])
    pairs = out.offsets(
        [
            out.table([(0, "offset", out.text(name)), (1, "offset", out.text(value))])
            for name, value in metadata.items()
        ]
    )
    return out.table([(1, "offset", fields), (2, "offset", pairs)])


def _field(out: _Out, name: str, column: Column) -> int:
    numbers = isinstance(column, np.ndarray) and column.dtype.kind in "iu"
    type_ = out.table([(0, "i", 32), (1, "B", 1)]) if numbers else out.table([])
    kind = _INT if numbers else _LARGE_UTF8
    written = out.text(name)
    return out.table(
        [(0, "offset", written), (2, "B", kind), (3, "offset", type_), (5, "offset", out.offsets([]))]
    )


def _record_batch(out: _Out, length: int, num_columns: int, buffers: Sequence[bytes]) -> int:
    nodes = out.structs([(length, 0)] * num_columns)
    places, start = [], 0
    for buffer in buffers:
        places.append((start, len(buffer)))
        start += len(_padded(buffer))
    return out.table([(0, "q", length), (1, "offset", nodes), (2, "offset", out.structs(places))])


class _Out:
    """Writes a FlatBuffer from its end to its beginning, as the format wants: what is referred to comes later.

    A place is counted from the end, so that it stays the same while more is written in front.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def written(self) -> bytes:
        return b"".join(reversed(self._parts))

    def finish(self, root: int) -> None:
        self._align(4, _ALIGNMENT)
        self._put(struct.pack("<I", self._size + 4 - root))

    def text(self, text: str) -> int:
        encoded = text.encode()
        self._align(len(encoded) + 1, 4)
        return self._put(struct.pack("<I", len(encoded)) + encoded + b"\0")

    def offsets(self, places: Sequence[int]) -> int:
        """A vector of references. Each counts from its own place."""
        self._align(4 * len(places), 4)
        end = self._size
        own = [end + 4 * (len(places) - position) for position in range(len(places))]
        packed = [struct.pack("<I", at - place) for at, place in zip(own, places, strict=True)]
        return self._put(struct.pack("<I", len(places)) + b"".join(packed))

    def structs(self, pairs: Sequence[tuple[int, int]]) -> int:
        """A vector of pairs of int64."""
        self._align(16 * len(pairs), 8)
        self._put(b"".join(struct.pack("<qq", *pair) for pair in pairs))
        return self._put(struct.pack("<I", len(pairs)))

    def table(self, fields: Sequence[tuple[int, str, int]]) -> int:
        """A table and its own vtable in front. Fields: slot, kind of number or `offset`, value."""
        placed, size = [], 4
        for slot, kind, value in sorted(fields, key=lambda field: -_width(field[1])):
            size += -size % _width(kind)
            placed.append((slot, kind, value, size))
            size += _width(kind)
        size += -size % 4
        # The table must lie on 8 bytes for the sake of its int64, counted from the end of the buffer.
        self._align(size, _ALIGNMENT)
        start = self._size + size
        content = bytearray(size)
        slots = [0] * (max((slot for slot, *_ in placed), default=-1) + 1)
        for slot, kind, value, at in placed:
            number = start - at - value if kind == "offset" else value
            struct.pack_into("<I" if kind == "offset" else f"<{kind}", content, at, number)
            slots[slot] = at
        vtable = struct.pack(f"<HH{len(slots)}H", 4 + 2 * len(slots), size, *slots)
        struct.pack_into("<i", content, 0, len(vtable))
        self._put(bytes(content))
        self._put(vtable)
        return start

    def _align(self, more: int, alignment: int) -> None:
        """Pad so that what is put next, of `more` bytes, begins on the alignment."""
        self._put(bytes(-(self._size + more) % alignment))

    def _put(self, part: bytes) -> int:
        self._parts.append(part)
        self._size += len(part)
        return self._size


def _width(kind: str) -> int:
    return 4 if kind == "offset" else struct.calcsize(f"<{kind}")
