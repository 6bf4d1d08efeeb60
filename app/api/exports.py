"""⑥ The tags of a tagging as a file: CSV, Parquet or JSON lines, streamed in the order of the list."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Depends, Query
from sqlalchemy import text
from starlette.responses import Response, StreamingResponse

from app.api.problems import problems
from app.api.tag_views import TagView
from app.api.tags import FilterDep, OrderBy, ViewDep
from app.deps import LARGEST_NUMBER
from sondage.errors import Unavailable
from sondage.wire import Tag
from store.engine import transaction
from store.tags import Filter

router = APIRouter(prefix="/taggings/{tagging_id}/tags", tags=["tags"], responses=problems(409))
CHUNK_ROWS = 5_000
MAX_EXPORTS = 4
_places = threading.BoundedSemaphore(MAX_EXPORTS)
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson",
}
FILES = {
    200: {
        "description": "The file. Columns: those of a tag, then `probability_<category>` and `score_<method>`.",
        "content": {
            name.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for name in MEDIA_TYPES.values()
        },
    }
}
SCALARS: dict[str, pa.DataType] = {
    "index": pa.int64(),
    "key": pa.string(),
    "tag": pa.string(),
    "suspicion": pa.float32(),
    "calibration": pa.string(),
    "probability_wrong": pa.float32(),
    "position": pa.int64(),
    "label": pa.int32(),
    "label_name": pa.string(),
    "suggested_label": pa.int32(),
    "suggested_label_name": pa.string(),
    "displaced": pa.bool_(),
    "runs_trained": pa.int16(),
    "runs_agreeing": pa.int16(),
    "decision": pa.string(),
}
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet takes a cell that begins so for a formula, whoever wrote it.
https://owasp.org/www-community/attacks/CSV_Injection"""
Chunks = Iterator[list[dict[str, Any]]]


def one_of_few() -> Iterator[None]:
    """A place among the exports that run, until the last byte is sent: the others of the server's threads are for those
    who look."""
    if not _places.acquire(blocking=False):
        raise Unavailable(f"{MAX_EXPORTS} files are being written already; try again in a while.")
    try:
        yield
    finally:
        _places.release()


@router.get(
    "/export",
    dependencies=[Depends(one_of_few, scope="request")],
    response_class=Response,
    responses=FILES,  # type: ignore[arg-type]  # int keys, as FastAPI takes
)
def export_tags(
    view: ViewDep,
    where: FilterDep,
    order_by: OrderBy = "suspicion",
    format: Annotated[Literal["csv", "parquet", "jsonl"], Query()] = "csv",
    limit: Annotated[
        int | None, Query(ge=1, le=LARGEST_NUMBER, description="Tags at most; all when not given.")
    ] = None,
    safe: Annotated[
        bool,
        Query(
            description="CSV only: a text cell that a spreadsheet would run as a formula gets a leading apostrophe. "
            "`false` leaves keys and class names exactly as they are, for programs."
        ),
    ] = True,
) -> Response:
    """All tags under a filter, without pictures and texts. Parquet and JSON lines are exact in any case."""
    view.page(
        where, order_by=order_by, after=None, limit=1
    )  # a wrong order is refused before the answer begins
    schema = _schema(view)
    chunks = _chunks(view, where, order_by, limit)
    write: dict[str, Callable[[], Iterator[bytes]]] = {
        "csv": lambda: _csv(chunks, schema, safe=safe),
        "parquet": lambda: _parquet(chunks, schema),
        "jsonl": lambda: _jsonl(chunks),
    }
    name = f"tagging-{view.tagging.id}.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(write[format](), headers=headers, media_type=MEDIA_TYPES[format])


def _chunks(view: TagView, where: Filter, order_by: str, limit: int | None) -> Chunks:
    """Each chunk goes on after the one before in a short transaction of its own: one who reads slowly holds neither a
    connection nor a snapshot. The tags of a finished tagging do not change; decisions are those of their chunk."""
    after, left = None, limit
    while left is None or left > 0:
        size = CHUNK_ROWS if left is None else min(CHUNK_ROWS, left)
        with transaction(view.server.database.engine) as session:
            session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            own = replace(view, session=session)
            found, after = own.page(where, order_by=order_by, after=after, limit=size)
            rows = [_row(tag, own) for tag in own.answers(found, inputs=False)]
        yield rows
        left = None if left is None else left - len(rows)
        if after is None:
            return


def _row(tag: Tag, view: TagView) -> dict[str, Any]:
    row = {name: getattr(tag, name) for name in SCALARS}
    shares = tag.probabilities or {}
    row |= {f"probability_{name}": shares.get(name) for name in view.tagging.categories}
    return row | {f"score_{method}": tag.scores.get(method) for method in sorted(view.scores)}


def _schema(view: TagView) -> pa.Schema:
    floats = [f"probability_{name}" for name in view.tagging.categories]
    floats += [f"score_{method}" for method in sorted(view.scores)]
    return pa.schema([*SCALARS.items(), *((name, pa.float32()) for name in floats)])


def _csv(chunks: Chunks, schema: pa.Schema, *, safe: bool) -> Iterator[bytes]:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, schema.names)
    writer.writeheader()
    for rows in chunks:
        writer.writerows([_harmless(row) for row in rows] if safe else rows)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def _harmless(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
        for name, value in row.items()
    }


def _jsonl(chunks: Chunks) -> Iterator[bytes]:
    for rows in chunks:
        yield "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _parquet(chunks: Chunks, schema: pa.Schema) -> Iterator[bytes]:
    """A row group per chunk, handed on as soon as it is written."""
    sink = _Drain()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema) as writer:
        for rows in chunks:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            yield sink.drain()
    yield sink.drain()


class _Drain(io.RawIOBase):
    """A file that keeps only what nobody has taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def tell(self) -> int:
        return self._position

    def drain(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
