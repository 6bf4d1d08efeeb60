"""③ A block as it comes: little-endian values of a whole shard, or an Arrow stream of the rows that were seen."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.errors import UnsupportedMedia
from app.recording.bodies import ARROW, OCTETS
from app.recording.streams import read_stream
from sondage.errors import InvalidInput
from store.tables import SHARD_ROWS

MAX_BYTES = SHARD_ROWS * 24
"""Row and value as int64 and double, and the stream's own frames."""


def values_of(body: bytes, media_type: str, *, dtype: str, shard: int, num_rows: int) -> bytes:
    """The values of a shard, little-endian, of the dtype that was announced.

    Raises
    ------
    InvalidInput
        It is not of the right size, or has other rows or another type.
    UnsupportedMedia
        It is none of the two kinds.
    """
    if media_type == ARROW:
        return _from_arrow(body, dtype, shard, num_rows)
    if media_type not in ("", OCTETS):
        raise UnsupportedMedia(f"The body is {media_type}; send {OCTETS} or {ARROW}.", field="content-type")
    expected = num_rows * np.dtype(dtype).itemsize
    if len(body) != expected:
        raise InvalidInput(
            f"Shard {shard} has {num_rows} rows of {dtype}, which are {expected:,} bytes; {len(body):,} came.",
            field="body",
        )
    return body


def _from_arrow(body: bytes, dtype: str, shard: int, num_rows: int) -> bytes:
    table = read_stream(body, max_rows=num_rows)
    if sorted(table.column_names) != ["row", "value"]:
        raise InvalidInput(
            f"The columns are {', '.join(table.column_names)}; send row and value.", field="body"
        )
    rows, values = table.column("row"), table.column("value")
    if rows.null_count or not pa.types.is_integer(rows.type):
        raise InvalidInput("Column row holds row numbers of the run, none missing.", field="row")
    if str(values.type) not in (dtype, {"float32": "float", "float16": "halffloat"}.get(dtype)):
        raise InvalidInput(f"Column value holds {values.type}; {dtype} was announced.", field="value")
    return _dense(rows.to_numpy(), values, dtype, shard * SHARD_ROWS, num_rows)


def _dense(rows: NDArray[np.int64], values: pa.ChunkedArray, dtype: str, first: int, num_rows: int) -> bytes:
    if len(rows) and (rows.min() < first or rows.max() >= first + num_rows):
        raise InvalidInput(f"This shard holds the rows {first}…{first + num_rows - 1}.", field="row")
    if len(np.unique(rows)) < len(rows):
        raise InvalidInput("A row comes more than once; send one value for it.", field="row")
    little = np.dtype(dtype).newbyteorder("<")
    missing = np.nan if little.kind == "f" else -1
    whole = np.full(num_rows, missing, little)
    given = np.array([missing if value is None else value for value in values.to_pylist()], little)
    whole[np.asarray(rows, np.int64) - first] = given
    return whole.tobytes()
