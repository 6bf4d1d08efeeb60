"""① Texts: one column of words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sondage.errors import InvalidInput
from sondage.types import Rows
from store.payloads import Form, PayloadWriter
from worker.data.sources.model import Faults, take_near

SCHEMA = pa.schema([("text", pa.large_string())])
_BLOCK_ROWS = 1024


class TextInputs:
    """Texts from a column of strings, or of bytes in UTF-8."""

    modality = "text"

    def __init__(self, column: pa.ChunkedArray, name: str) -> None:
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise InvalidInput(
                f"Column {name!r} is of type {column.type}; text is needed.", field="input_columns"
            )
        self._column = column

    def announce(self, writer: PayloadWriter) -> None:
        writer.start(Form.TEXTS, schema=SCHEMA)

    def blocks(self, rows: Rows, faults: Faults) -> Iterator[tuple[Rows, pa.RecordBatch]]:
        for start in range(0, len(rows), _BLOCK_ROWS):
            chosen = rows[start : start + _BLOCK_ROWS]
            raw = take_near(self._column, chosen).cast(pa.large_binary()).combine_chunks()
            texts = _decoded(raw, chosen, faults)
            good = pc.is_valid(texts)
            kept = chosen[good.to_numpy(zero_copy_only=False)]
            yield kept, pa.record_batch([texts.filter(good)], schema=SCHEMA)


def _decoded(raw: pa.Array, rows: Rows, faults: Faults) -> pa.Array:
    """Texts, null where there is none or it is not UTF-8; both are told."""
    for place in np.flatnonzero(~pc.is_valid(raw).to_numpy(zero_copy_only=False)):
        faults.add(rows[place], "missing_text", "it has no text.")
    try:
        return raw.cast(pa.large_string())
    except pa.ArrowInvalid:
        return pa.array(
            [_text(value, row, faults) for value, row in zip(raw.to_pylist(), rows, strict=True)],
            pa.large_string(),
        )


def _text(value: bytes | None, row: int, faults: Faults) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError as error:
        faults.add(row, "not_utf8", f"its text is not UTF-8 (byte {error.start}).")
        return None
