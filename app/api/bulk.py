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
import pyarrow.parquet as pq
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from app.errors import UnsupportedMedia
from sondage.errors import InvalidInput

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
NDJSON = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
MAX_ROWS = 2_000_000
MAX_PARQUET_BYTES = 1024**3
Row = dict[str, Any]


@dataclass(frozen=True)
class Bulk:
    """A body that was not parsed yet."""

    data: bytes
    media_type: str

    @property
    def is_json(self) -> bool:
        return self.media_type == JSON

    def rows(self, *, columns: Sequence[str]) -> list[Row]:
        """The rows of the body; in CSV and Parquet the needed columns must be there.

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
            return _parquet_rows(self.data, columns)
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


def _parquet_rows(data: bytes, columns: Sequence[str]) -> list[Row]:
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        _check_columns(file.schema_arrow.names, columns)
        if file.metadata.num_rows > MAX_ROWS or _num_bytes(file.metadata) > MAX_PARQUET_BYTES:
            raise InvalidInput(f"The body has too much in it: send up to {MAX_ROWS:,} rows.", field="body")
        return list(file.read().to_pylist())
    except (pa.ArrowException, OSError) as fault:
        raise InvalidInput(f"The body is not Parquet: {fault}.", field="body") from None


def _num_bytes(metadata: Any) -> int:
    return sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))


def _check_columns(there: Sequence[str], needed: Sequence[str]) -> None:
    missing = [column for column in needed if column not in there]
    if missing:
        names = ", ".join(there) or "none"
        raise InvalidInput(f"Column {missing[0]!r} is missing; there are: {names}.", field=missing[0])
