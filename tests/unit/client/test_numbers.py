"""Curves and scores as arrays, tags as files and tables."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sondage import errors
from sondage.client import Client
from tests.unit.client.answers import PROJECT, Server, problem, run

# ---- numbers


def block(values: np.ndarray[Any, Any]) -> httpx.Response:
    headers = {"X-Dtype": values.dtype.name, "X-Num-Rows": str(len(values))}
    return httpx.Response(
        200, content=values.astype(values.dtype.newbyteorder("<")).tobytes(), headers=headers
    )


@pytest.mark.parametrize(
    ("channel", "dtype"), [("loss", "float32"), ("margin", "float16"), ("predicted", "int16")]
)
def test_curves_are_put_together_from_blocks(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, channel: str, dtype: str
) -> None:
    monkeypatch.setattr("sondage.client.blocks.SHARD_ROWS", 3)
    truth = np.arange(10).reshape(5, 2).astype(dtype)
    server.on("GET", f"{PROJECT}/runs/1", httpx.Response(200, json=run()))
    for epoch in range(2):
        for shard, rows in enumerate((slice(0, 3), slice(3, 5))):
            server.on("GET", f"{PROJECT}/runs/1/curves/{channel}/{epoch}/{shard}", block(truth[rows, epoch]))
    found = client.runs.curves(1, channel)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, truth)


def test_a_block_that_is_cut_short_is_noticed(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/runs/1", httpx.Response(200, json=run(epochs_done=1)))
    server.on("GET", f"{PROJECT}/runs/1/curves/loss/0/0", block(np.zeros(4, np.float32)))
    with pytest.raises(errors.Unavailable):
        client.runs.curves(1)


def test_a_run_without_epochs_has_no_curves(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/runs/1", httpx.Response(200, json=run(epochs_done=0)))
    with pytest.raises(errors.Conflict, match="no epoch"):
        client.runs.curves(1)


def test_curves_of_a_few_rows_keep_their_order(client: Client, server: Server) -> None:
    curves = [{"row": 2, "values": [1.0, None]}, {"row": 9, "values": [3.0, 4.0]}]
    body = {"run_id": 1, "channel": "loss", "epochs": 2, "curves": curves}
    server.on("GET", f"{PROJECT}/runs/1/curves/loss", httpx.Response(200, json=body))
    np.testing.assert_array_equal(client.runs.curve(1, [9, 2]), [[3, 4], [1, np.nan]])
    assert server.asked[0].url.params["rows"] == "9,2"


def test_scores_are_float32_with_nan(client: Client, server: Server) -> None:
    truth = np.array([0.5, np.nan, -1], np.float32)
    server.on("GET", f"{PROJECT}/scores/4/values", block(truth))
    np.testing.assert_array_equal(client.scores.values(4), truth)


# ---- tags as files


def test_a_file_replaces_what_was_there(client: Client, server: Server, tmp_path: Path) -> None:
    server.on("GET", f"{PROJECT}/taggings/1/tags/export", httpx.Response(200, content=b"index\n1\n"))
    file = tmp_path / "tags.csv"
    file.write_text("old")
    assert client.tags(1, tag="noisy", limit=5).export(file) == file
    assert file.read_bytes() == b"index\n1\n"
    assert dict(server.asked[0].url.params) == {
        "tag": "noisy",
        "order_by": "suspicion",
        "limit": "5",
        "format": "csv",
    }


def test_a_download_that_breaks_off_leaves_what_was_there(
    client: Client, server: Server, tmp_path: Path
) -> None:
    def break_off(request: httpx.Request) -> httpx.Response:
        def pieces() -> Iterator[bytes]:
            yield b"index\n"
            raise httpx.ReadError("gone")

        return httpx.Response(200, content=pieces())

    server.on("GET", f"{PROJECT}/taggings/1/tags/export", break_off)
    file = tmp_path / "tags.csv"
    file.write_text("old")
    with pytest.raises(errors.Unavailable, match="broke off"):
        client.tags(1).export(file)
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["tags.csv"]


def test_a_fault_while_exporting_is_an_exception(client: Client, server: Server, tmp_path: Path) -> None:
    server.on("GET", f"{PROJECT}/taggings/1/tags/export", problem(409, "conflict", "Not finished."))
    with pytest.raises(errors.Conflict, match="Not finished"):
        client.tags(1).export(tmp_path / "tags.csv")
    assert list(tmp_path.iterdir()) == []


def test_tags_become_tables(client: Client, server: Server, tmp_path: Path) -> None:
    table = pa.table({"index": [3, 1], "tag": ["noisy", "ood"]})
    pq.write_table(table, tmp_path / "t.parquet")
    answer = httpx.Response(200, content=(tmp_path / "t.parquet").read_bytes())
    server.on("GET", f"{PROJECT}/taggings/1/tags/export", answer)
    assert client.tags(1).to_arrow().equals(table)
    assert client.tags(1).to_pandas()["index"].tolist() == [3, 1]


def test_compressed_answers_are_read(client: Client, server: Server, tmp_path: Path) -> None:
    packed = httpx.Response(200, content=gzip.compress(b"index\n"), headers={"Content-Encoding": "gzip"})
    server.on("GET", f"{PROJECT}/taggings/1/tags/export", lambda request: packed)
    assert client.tags(1).export(tmp_path / "tags.csv").read_bytes() == b"index\n"


@pytest.mark.parametrize(("name", "format"), [("tags.xlsx", None), ("tags.csv", "xml")])
def test_formats_that_there_are_not_are_refused(
    client: Client, server: Server, tmp_path: Path, name: str, format: str | None
) -> None:
    with pytest.raises(errors.InvalidInput, match=r"csv"):
        client.tags(1).export(tmp_path / name, format)
    assert server.asked == []


def test_tables_without_pyarrow_say_what_to_install(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"pip install 'sondage\[cli\]'"):
        client.tags(1).to_arrow()
