"""⑥ Bulk input: rows as JSON, JSON lines, CSV or Parquet. All of a body or nothing of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from app.errors import UnsupportedMedia
from sondage.errors import InvalidInput

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
NDJSON = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
MAX_ROWS = 2_000_000
MAX_PARQUET_BYTES = 256 * 1024**2
"""Of the columns that are read, both as they are encoded and once decoded."""
MAX_CHARACTERS, MAX_OPTIONAL_CHARACTERS = 500, 10_000
"""Of one value. A key has at most 500 characters, a note may have more."""
BATCH_ROWS = 1024
Row = dict[str, Any]


@dataclass(frozen=True)
class Bulk:
    """A body that was not parsed yet."""

    data: bytes
    media_type: str

    @property
    def is_json(self) -> bool:
        return self.media_type == JSON

    def rows(self, *, columns: Sequence[str], optional: Sequence[str] = ()) -> list[Row]:
        """The rows of the body; in CSV and Parquet the needed columns must be there. Of Parquet nothing else is read
        but these and the optional ones.

        Raises
        ------
        UnsupportedMedia
            It is none of the four kinds.
        InvalidInput
            It cannot be read as what it says it is, or lacks a column.
        """
        if self.media_type == JSON:
            return _json_rows(_json(self.data, "The body"))
        if self.media_type in NDJSON:
            lines = [line for line in self.data.splitlines() if line.strip()]
            return _json_rows([_json(line, f"Line {number}") for number, line in enumerate(lines, start=1)])
        if self.media_type == CSV:
            return _csv_rows(self.data, columns)
        if self.media_type == PARQUET:
            return _parquet_rows(self.data, columns, optional)
        raise UnsupportedMedia(
            f"The body is {self.media_type or 'of no declared type'}; send {JSON}, {NDJSON[0]}, {CSV} or {PARQUET} "
            "and say which in Content-Type.",
            field="content-type",
        )


async def read_bulk(request: Request) -> Bulk:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Bulk(await request.body(), media_type)


BulkDep = Annotated[Bulk, Depends(read_bulk)]


@contextmanager
def validation() -> Iterator[None]:
    """What pydantic refuses of a body that was parsed here is answered as of one that FastAPI parsed."""
    try:
        yield
    except ValidationError as fault:
        errors = [{**one, "loc": ("body", *one["loc"])} for one in fault.errors(include_url=False)]
        raise RequestValidationError(errors) from None


def bulk_body(schema: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI entry of such a body; `schema` is that of its JSON form."""
    text, binary = {"schema": {"type": "string"}}, {"schema": {"type": "string", "format": "binary"}}
    content = {JSON: {"schema": schema}, NDJSON[0]: text, CSV: text, PARQUET: binary}
    return {"requestBody": {"required": True, "content": content}}


def _json(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise InvalidInput(f"{what} is not JSON: {fault}.", field="body") from None


def _json_rows(value: Any) -> list[Row]:
    rows = [value] if isinstance(value, dict) else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidInput("The body must be a list of objects.", field="body")
    return rows


def _csv_rows(data: bytes, columns: Sequence[str]) -> list[Row]:
    try:
        text = data.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        _check_columns(reader.fieldnames or (), columns)
        rows: list[Row] = list(reader)
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InvalidInput(f"The body is not CSV in UTF-8: {fault}.", field="body") from None
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InvalidInput(f"Line {number} has not as many cells as the first line.", field="body")
    return rows


def _parquet_rows(data: bytes, columns: Sequence[str], optional: Sequence[str]) -> list[Row]:
    try:
        schema = pq.read_schema(io.BytesIO(data))
        _check_columns(schema.names, columns)
        limits = dict.fromkeys(columns, MAX_CHARACTERS) | {
            name: MAX_OPTIONAL_CHARACTERS for name in optional if name in schema.names
        }
        for name in limits:
            if pa.types.is_nested(schema.field(name).type):
                raise InvalidInput(
                    f"Column {name!r} holds {schema.field(name).type}: single values are needed."
                )
        return list(_parquet_batches(data, limits))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as fault:
        raise InvalidInput(f"The body is not Parquet that can be read: {fault}.", field="body") from None


def _parquet_batches(data: bytes, limits: dict[str, int]) -> Iterator[Row]:
    """A text that stands once in the file may come in every row of it: texts stay dictionaries until their lengths
    have been looked at. (Of delta encodings, which do the same, Arrow makes no dictionary and gives up.)"""
    file = pq.ParquetFile(io.BytesIO(data), read_dictionary=list(limits))
    _check_size(file.metadata.num_rows, _num_bytes(file.metadata, set(limits)))
    num_rows = num_bytes = 0
    for batch in file.iter_batches(BATCH_ROWS, columns=list(limits)):
        num_rows += batch.num_rows
        num_bytes += sum(_decoded_bytes(batch.column(name), name, limits[name]) for name in limits)
        _check_size(num_rows, num_bytes)
        yield from batch.to_pylist()


def _decoded_bytes(column: pa.Array, name: str, max_characters: int) -> int:
    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    kind = values.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)):
        return int(column.nbytes)
    length = pc.binary_length if pa.types.is_binary(kind) else pc.utf8_length
    if (pc.max(length(values)).as_py() or 0) > max_characters:
        raise InvalidInput(
            f"A value in column {name!r} has more than {max_characters:,} characters.", field=name
        )
    sizes = pc.binary_length(values)
    return int(pc.sum(sizes if values is column else sizes.take(column.indices)).as_py() or 0)


def _check_size(num_rows: int, num_bytes: int) -> None:
    if num_rows > MAX_ROWS or num_bytes > MAX_PARQUET_BYTES:
        raise InvalidInput(
            f"The body has too much in it: send up to {MAX_ROWS:,} rows and {MAX_PARQUET_BYTES:,} bytes of values.",
            field="body",
        )


def _num_bytes(metadata: Any, names: set[str]) -> int:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
    return sum(one.total_uncompressed_size for one in chunks if one.path_in_schema in names)


def _check_columns(there: Sequence[str], needed: Sequence[str]) -> None:
    missing = [column for column in needed if column not in there]
    if missing:
        names = ", ".join(there) or "none"
        raise InvalidInput(f"Column {missing[0]!r} is missing; there are: {names}.", field=missing[0])
