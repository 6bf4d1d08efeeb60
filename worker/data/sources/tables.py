"""① Table rows: columns of numbers and of categories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sondage.errors import InvalidInput
from sondage.types import Rows
from store.payloads import Column, Form, PayloadWriter
from worker.data.sources.columns import valid_text
from worker.data.sources.model import Faults, take_near

_BLOCK_ROWS = 1024
_MANY_CATEGORIES = 1000


class TableInputs:
    """Numbers and categories from columns of a table.

    A number has to be there and finite. A category may be missing: that is a value of its own in training.

    Parameters
    ----------
    table : pyarrow.Table
    names : sequence of str
        The input columns, in this order.
    """

    modality = "table"

    def __init__(self, table: pa.Table, names: Sequence[str]) -> None:
        self._names = list(names)
        self._table = pa.table({name: _typed(table.column(name), name) for name in names})
        self._columns: list[Column] = []

    def announce(self, writer: PayloadWriter) -> None:
        columns = [_column(self._table.column(name), name) for name in self._names]
        writer.start(Form.TABLE, schema=self._table.schema, columns=columns)

    def blocks(self, rows: Rows, faults: Faults) -> Iterator[tuple[Rows, pa.RecordBatch]]:
        for start in range(0, len(rows), _BLOCK_ROWS):
            chosen = rows[start : start + _BLOCK_ROWS]
            block = take_near(self._table, chosen)
            good = np.ones(len(chosen), dtype=bool)
            for name in self._names:
                good &= _usable(block.column(name), name, chosen, faults)
            kept = block.filter(pa.array(good)).combine_chunks()
            yield (
                chosen[good],
                pa.record_batch([c.combine_chunks() for c in kept.columns], schema=kept.schema),
            )


def _typed(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """As int64, float64 or strings; words that are all numbers (as in CSV) become numbers."""
    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks])
    kind = column.type
    if column.null_count == len(column):
        raise InvalidInput(
            f"Column {name!r} is empty in every row: leave it out with input_columns.", field="input_columns"
        )
    if pa.types.is_integer(kind):
        return column.cast(pa.float64(), safe=False) if kind == pa.uint64() else column.cast(pa.int64())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64(), safe=False)
    if pa.types.is_boolean(kind):
        return column.cast(pa.string()).cast(pa.large_string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return words_or_numbers(_decoded(column, name))
    raise InvalidInput(
        f"Column {name!r} is of type {kind}; numbers and words can be learnt from. Convert it, or leave it out "
        "with input_columns.",
        field="input_columns",
    )


def _decoded(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    faults = Faults([("train", len(column))])
    values = valid_text(column.combine_chunks(), np.arange(len(column)), faults, f"column {name!r}")
    faults.settle(skip=False)
    return pa.chunked_array([values])


def words_or_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers, if all words that are not empty are numbers; else the words, null where empty."""
    trimmed = pc.utf8_trim_whitespace(column)
    words = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, trimmed.type), column)
    for kind in (pa.int64(), pa.float64()):
        try:
            return pc.if_else(pc.is_valid(words), trimmed, pa.scalar(None, trimmed.type)).cast(kind)
        except pa.ArrowInvalid:
            continue
    return words


def _column(column: pa.ChunkedArray, name: str) -> Column:
    if not pa.types.is_large_string(column.type):
        return Column(name, "numeric")
    categories = sorted(column.unique().drop_null().to_pylist())
    if len(categories) > max(_MANY_CATEGORIES, len(column) // 2):
        raise InvalidInput(
            f"Column {name!r} has {len(categories):,} different words in {len(column):,} rows, such as "
            f"{categories[0][:50]!r}: is it an identifier, or are missing numbers written as words? Mend it, or "
            "leave it out with input_columns.",
            field="input_columns",
        )
    return Column(name, "categorical", tuple(categories))


def _usable(
    column: pa.ChunkedArray, name: str, rows: Rows, faults: Faults
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if pa.types.is_large_string(column.type):
        return np.ones(len(rows), dtype=bool)
    values = column.cast(pa.float64(), safe=False).to_numpy()
    with np.errstate(over="ignore"):  # training computes in float32: what is infinite there is refused here
        good = np.isfinite(values.astype(np.float32))
    for place in np.flatnonzero(~good):
        what = "is empty" if column[int(place)].as_py() is None else f"holds {values[place]}"
        faults.add(rows[place], "not_a_number", f"column {name!r} {what}; a number is needed.")
    return np.asarray(good)
