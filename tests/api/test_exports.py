"""The tags as a file."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from app.api import exports
from app.api.tag_views import TagView
from store import projects
from store.engine import transaction
from store.tags import Filter
from tests.api.test_tags import tags_of
from tests.api.worlds import NUM_TRAIN, World


def export(world: World, query: str, status: int = 200) -> Any:
    response = world.client.get(f"{world.url}/taggings/{world.tagging}/tags/export?{query}")
    assert response.status_code == status, response.text
    return response


def rows_of(response: Any, format: str) -> list[dict[str, Any]]:
    if format == "csv":
        return list(csv.DictReader(io.StringIO(response.text, newline="")))
    if format == "jsonl":
        return [json.loads(line) for line in response.text.splitlines()]
    return list(pq.read_table(io.BytesIO(response.content)).to_pylist())


def number(cell: Any) -> float | None:
    return None if cell in (None, "") else float(cell)


@pytest.fixture(params=[5_000, 7])
def chunk_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "CHUNK_ROWS", request.param)


@pytest.mark.usefixtures("chunk_rows")
@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize(
    "query", ["", "order_by=mean_loss", "tag=noisy&label=dog", "order_by=index&limit=10", "limit=7"]
)
def test_a_file_is_the_list(read_world: World, format: str, query: str) -> None:
    response = export(read_world, f"format={format}&{query}")
    found = rows_of(response, format)
    expected = tags_of(read_world, query.replace("limit", "ignored"))
    if "limit" in query:
        expected = expected[: int(query.rpartition("=")[2])]
    assert [int(row["index"]) for row in found] == [one["index"] for one in expected]
    for row, one in zip(found, expected, strict=True):
        assert row["tag"] == one["tag"]
        shares = one["probabilities"] or {"noisy": None}
        assert number(row["suspicion"]) == pytest.approx(one["suspicion"])
        assert number(row["probability_noisy"]) == pytest.approx(shares["noisy"])
    assert f"tagging-{read_world.tagging}.{format}" in response.headers["content-disposition"]


def test_columns(read_world: World) -> None:
    header = export(read_world, "").text.splitlines()[0].split(",")
    assert header[:3] == ["index", "key", "tag"]
    assert header[-4:] == ["probability_prototypical", "probability_noisy", "score_aum", "score_mean_loss"]
    table = pq.read_table(io.BytesIO(export(read_world, "format=parquet").content))
    assert table.column_names == header
    assert str(table.schema.field("suspicion").type) == "float"


def test_nothing_found_is_an_empty_file_with_its_columns(read_world: World) -> None:
    for format in ("csv", "parquet", "jsonl"):
        assert rows_of(export(read_world, f"format={format}&decision=keep"), format) == []


def test_cells_that_a_spreadsheet_would_run(read_world: World) -> None:
    """The class `=fox()` came from outside; a spreadsheet would run it."""
    safe = rows_of(export(read_world, "label=3"), "csv")
    assert {row["label_name"] for row in safe} == {"'=fox()"}
    for query, format in (
        ("format=csv&safe=false", "csv"),
        ("format=jsonl", "jsonl"),
        ("format=parquet", "parquet"),
    ):
        assert {row["label_name"] for row in rows_of(export(read_world, f"{query}&label=3"), format)} == {
            "=fox()"
        }
    negative = [row["score_aum"] for row in rows_of(export(read_world, ""), "csv")]
    assert any(value.startswith("-") for value in negative)


@pytest.mark.parametrize("query", ["format=xls", "order_by=none", "limit=0", "tag=none", "label=cow"])
def test_wrong_requests_are_refused_before_the_file_begins(read_world: World, query: str) -> None:
    assert export(read_world, query, 422).headers["content-type"] == "application/problem+json"


def test_no_such_tagging(read_world: World) -> None:
    read_world.get("/taggings/999/tags/export", 404)
    assert len(rows_of(export(read_world, "format=jsonl"), "jsonl")) == NUM_TRAIN


def test_a_file_that_is_read_slowly_holds_no_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "CHUNK_ROWS", 7)
    engine = world.database.engine
    server = world.client.app.state.server  # type: ignore[attr-defined]  # an application
    for order in ("suspicion", "index", "mean_loss"):
        with transaction(engine) as session:
            project = projects.by_name(session, name="default")
            view = TagView.open(session, server, project, world.tagging)
        chunks = exports._chunks(view, Filter(), order, None)
        seen = []
        for rows in chunks:
            seen += [row["index"] for row in rows]
            assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of a queue pool
        assert sorted(seen) == list(range(NUM_TRAIN))


def test_few_files_are_written_at_a_time(world: World) -> None:
    for _ in range(exports.MAX_EXPORTS):
        exports._places.acquire()
    try:
        refused = export(world, "", 503)
        assert "already" in refused.json()["detail"]
        assert int(refused.headers["retry-after"]) > 0
    finally:
        for _ in range(exports.MAX_EXPORTS):
            exports._places.release()
    for _ in range(exports.MAX_EXPORTS + 1):
        export(world, "format=parquet")
        export(world, "order_by=none", 422)
        export(world, "limit=0", 422)
    # A place is taken until the last byte has been sent, not until the answer begins.
    taken = []
    chunks = exports._chunks

    def watched(*arguments: Any) -> Any:
        for rows in chunks(*arguments):
            taken.append(exports._places._value)
            yield rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exports, "_chunks", watched)
        export(world, "")
    assert taken == [exports.MAX_EXPORTS - 1]
    assert exports._places._value == exports.MAX_EXPORTS
