"""① What a Parquet file unfolds to, counted before anything of it is kept.

A value that is written once may come in every row, so that a file of a megabyte can hold terabytes, and its footer
may promise less. So the values are counted batch by batch, with texts and bytes left as dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sondage.errors import InvalidInput
from worker.data.sources.columns import check_column_names
from worker.data.sources.model import GIB, SourceLimits

_BATCH_ROWS = 1024
_BATCH_BYTES = 64 * 1024 * 1024
_ROW_BYTES = 8  # what a row costs at least: a column of nulls alone has no bytes
# Arrow makes no dictionaries of these; the first writes what values begin with only once.
_WITHOUT_DICTIONARY = {"DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"}


def check_unfolded(files: Sequence[Path], limits: SourceLimits) -> int:
    """Refuse files that unfold to more than a bearable number of bytes.

    Returns
    -------
    How many rows may be read at once, so that they take a bounded amount of memory.

    Raises
    ------
    InvalidInput
        They unfold to too much, or cannot be read.
    """
    size = sum(file.stat().st_size for file in files)
    counter = _Counter(
        min(limits.max_decoded_bytes, max(limits.min_decoded_bytes, limits.max_unfolding * size))
    )
    for file in files:
        try:
            _count(file, counter)
        except (pa.ArrowException, OSError) as error:
            words = " ".join(str(error).replace("\x00", "\\x00").split())[:300]
            raise InvalidInput(f"The source cannot be read as parquet: {words}", field="path") from error
    return max(1, min(_BATCH_ROWS, int(_BATCH_BYTES / counter.largest_row)))


class _Counter:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._num_bytes = 0
        self.largest_row = 1.0

    def add(self, num_rows: int, num_bytes: int) -> None:
        self._num_bytes += num_bytes + _ROW_BYTES * num_rows
        self.largest_row = max(self.largest_row, num_bytes / max(1, num_rows))
        self.check(self._num_bytes)

    def check(self, num_bytes: int) -> None:
        if num_bytes > self._limit:
            raise InvalidInput(
                f"The source unfolds to more than {self._limit / GIB:.3g} GiB, which is refused for files of this "
                "size: values are repeated in it again and again. Store the rows plainly, or in several sources.",
                field="path",
            )


def _count(path: Path, counter: _Counter) -> None:
    with pq.ParquetFile(path) as plain:
        metadata, schema = plain.metadata, plain.schema
        check_column_names(plain.schema_arrow.names)
    chunks = [
        metadata.row_group(group).column(place)
        for group in range(metadata.num_row_groups)
        for place in range(metadata.num_columns)
    ]
    counts = (_ROW_BYTES * chunk.num_values for chunk in chunks if chunk.physical_type != "BOOLEAN")
    counter.check(max(counts, default=0))
    long = {chunk.path_in_schema: chunk for chunk in chunks if _WITHOUT_DICTIONARY & set(chunk.encodings)}
    texts = [
        schema.column(place).path
        for place in range(metadata.num_columns)
        if schema.column(place).physical_type == "BYTE_ARRAY" and schema.column(place).path not in long
    ]
    # A value is no longer than all of its column, as it is encoded.
    longest = max((chunk.total_uncompressed_size for chunk in long.values()), default=1)
    num_rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, longest))) if long else _BATCH_ROWS
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(num_rows):
            counter.add(batch.num_rows, sum(_unfolded(column) for column in batch.columns))


def _unfolded(column: Any) -> int:
    """Bytes of an array once its dictionaries are gone."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _of_dictionary(column)
    if pa.types.is_struct(kind):
        return sum(_unfolded(column.field(place)) for place in range(kind.num_fields))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _unfolded(column.flatten()) + _ROW_BYTES * len(column)
    return int(column.nbytes)


def _of_dictionary(column: Any) -> int:
    kind = column.type.value_type
    if not any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0)
