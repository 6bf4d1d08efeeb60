"""Runs that are recorded elsewhere: parts in and epochs closed, by one rank."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from store import curve_parts
from store.engine import transaction
from store.tables import CurvePart
from tests.api.recorders import ARROW, NUM, OCTETS, arrow_stream, losses, recorder
from tests.api.worlds import World

SHARD = 65_536


def test_epochs_come_in_and_stand_there(empty: World) -> None:
    run = recorder(empty, protocol={"pass": "training"}, client_version="0.1.0")
    for epoch in range(3):
        run.put_all(epoch)
        state = run.close(epoch, metrics={"train_loss": 1.5}, counts={"loss": NUM}, coverage=1.0)
        assert state == {"epoch": epoch, "closed": True, "waiting_for": []}
    np.testing.assert_array_equal(run.curves(), np.stack([losses(NUM, epoch) for epoch in range(3)], axis=1))
    assert run.epochs()[2] == {"train_loss": 1.5, "counts": {"loss": NUM}, "coverage": 1.0}
    found = empty.get(f"/runs/{run.id}")
    assert (found["state"], found["epochs_done"], found["num_epochs"], found["job_id"]) == (
        "running",
        3,
        3,
        None,
    )
    assert found["protocol"] == {"pass": "training"}
    ended = run.post("finish")
    assert (ended["state"], ended["epochs_done"]) == ("finished", 3)
    assert ended["finished_at"] is not None


def test_an_epoch_is_hidden_until_it_closes(empty: World) -> None:
    run = recorder(empty)
    run.put_all(0)
    run.close(0)
    run.put_all(1)
    assert len(run.curves()[0]) == 1
    assert empty.client.get(f"{run.url}/curves/loss/0/0").status_code == 200
    assert empty.client.get(f"{run.url}/curves/loss/1/0").status_code == 404
    run.close(1)
    assert empty.client.get(f"{run.url}/curves/loss/1/0").content == losses(NUM, 1).tobytes()


def test_several_shards(empty: World) -> None:
    num = SHARD + 3
    run = recorder(empty, num=num)
    run.put_all(0)
    run.close(0)
    assert run.curves(rows=[0, SHARD - 1, SHARD, num - 1]) == [
        [0.0],
        [SHARD - 1.0],
        [float(SHARD)],
        [num - 1.0],
    ]


def test_a_part_that_comes_again_replaces_the_first(empty: World) -> None:
    run = recorder(empty)
    run.put_all(0, offset=5.0)
    run.put_all(0)
    run.close(0)
    assert run.curves()[3] == [3.0]


def test_the_same_part_after_the_close_is_taken_for_what_it_is(empty: World) -> None:
    run = recorder(empty)
    run.put_all(0)
    run.close(0)
    again = run.put(losses(NUM, 0), "loss", 0)
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    other = run.put(losses(NUM, 1), "loss", 0)
    assert (other.status_code, other.json()["code"]) == (409, "epoch_closed")
    assert run.close(0, metrics={"late": 1}) == {"epoch": 0, "closed": True, "waiting_for": []}
    assert "late" not in run.epochs()[0]
    run.post("finish")
    assert run.put(losses(NUM, 0), "loss", 0).json()["repeated"]


def test_an_epoch_behind_a_closed_one_is_refused(empty: World) -> None:
    run = recorder(empty)
    run.put_all(1)
    run.close(1)
    assert run.put(losses(NUM, 0), "loss", 0).json()["code"] == "epoch_closed"
    assert run.close(0, status=409)["code"] == "epoch_closed"


def test_closing_needs_all_that_was_announced(empty: World) -> None:
    run = recorder(empty)
    assert run.put(losses(NUM, 0), "loss", 0).status_code == 200
    problem = run.close(0, status=422)
    assert problem["code"] == "incomplete_epoch"
    assert "predicted/0" in problem["detail"]
    assert "loss/0" not in problem["detail"]
    assert run.epochs() == {}


@pytest.mark.parametrize(
    ("query", "channel", "shard", "count", "field"),
    [
        ({}, "loss", 0, NUM - 1, "body"),
        ({}, "loss", 0, NUM + 1, "body"),
        ({}, "loss", 1, NUM, "shard"),
        ({"num_rows": NUM + 1}, "loss", 0, NUM, "num_rows"),
        ({"dtype": "float16"}, "loss", 0, NUM, "dtype"),
        ({"rank": 1}, "loss", 0, NUM, "rank"),
        ({}, "margin", 0, NUM, "channel"),
    ],
)
def test_wrong_parts_name_what_is_wrong(
    empty: World, query: dict[str, Any], channel: str, shard: int, count: int, field: str
) -> None:
    run = recorder(empty)
    response = run.put(np.zeros(count, np.float32), channel, 0, shard, **query)
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["field"] == field


def test_compressed_parts(empty: World) -> None:
    run = recorder(empty)
    url, data = f"{run.url}/curves/loss/0/0", losses(NUM, 0).tobytes()
    zstd = pa.compress(data, "zstd", asbytes=True)
    for packed, how in ((gzip.compress(data), "gzip"), (zstd, "zstd"), (data, "identity")):
        headers = {**OCTETS, "Content-Encoding": how}
        assert empty.client.put(url, content=packed, headers=headers).status_code == 200, how
    for packed, how, status in (
        (gzip.compress(data)[:-9], "gzip", 422),
        (b"no gzip", "gzip", 422),
        (b"no zstd", "zstd", 422),
        (gzip.compress(bytes(50_000_000)), "gzip", 422),
        (data, "br", 415),
    ):
        headers = {**OCTETS, "Content-Encoding": how}
        assert empty.client.put(url, content=packed, headers=headers).status_code == status, how


def test_parts_as_arrow(empty: World) -> None:
    run = recorder(empty)
    body = arrow_stream({"row": [7, 2], "value": pa.array([0.5, None], pa.float32())})
    assert empty.client.put(f"{run.url}/curves/loss/0/0", content=body, headers=ARROW).status_code == 200
    run.put(np.zeros(NUM, np.int16), "predicted", 0)
    run.close(0)
    assert run.curves(rows=[2, 6, 7]) == [[None], [None], [0.5]]


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"row": [0, 0], "value": pa.array([1.0, 2.0], pa.float32())}, "row"),
        ({"row": [0, NUM], "value": pa.array([1.0, 2.0], pa.float32())}, "row"),
        ({"row": [-1], "value": pa.array([1.0], pa.float32())}, "row"),
        ({"row": pa.array([None], pa.int64()), "value": pa.array([1.0], pa.float32())}, "row"),
        ({"row": [0], "value": pa.array([1.0], pa.float64())}, "value"),
        ({"row": [0], "loss": pa.array([1.0], pa.float32())}, "body"),
    ],
)
def test_wrong_arrow_parts(empty: World, columns: dict[str, Any], field: str) -> None:
    run = recorder(empty)
    url = f"{run.url}/curves/loss/0/0"
    response = empty.client.put(url, content=arrow_stream(columns), headers=ARROW)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)
    assert empty.client.put(url, content=b"nothing", headers=ARROW).status_code == 422
    assert empty.client.put(url, content=b"nothing", headers={"Content-Type": "text/csv"}).status_code == 415


def test_figures_that_are_not_finite_are_null(empty: World) -> None:
    run = recorder(empty)
    run.put_all(0)
    body = b'{"metrics": {"train_loss": NaN, "grad": Infinity, "name": "x"}}'
    response = empty.client.post(
        f"{run.url}/epochs/0", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 200
    assert run.epochs()[0] == {"train_loss": None, "grad": None, "name": "x"}


def test_the_number_of_epochs_grows(empty: World) -> None:
    open_end, announced = recorder(empty), recorder(empty, name="s", num_epochs=2)
    for run, expected in ((open_end, [1, 1, 2, 3]), (announced, [2, 2, 2, 3])):
        numbers = [empty.get(f"/runs/{run.id}")["num_epochs"]]
        for epoch in range(3):
            run.put_all(epoch)
            run.close(epoch)
            numbers.append(empty.get(f"/runs/{run.id}")["num_epochs"])
        assert numbers == expected


def test_a_number_far_beyond_the_epochs_bars_nothing(empty: World) -> None:
    open_end, announced = recorder(empty), recorder(empty, name="s", num_epochs=20_000)
    for run, far in ((open_end, 10_001), (announced, 30_000)):
        for epoch in (far, 999_999):
            response = run.put(losses(NUM, 0), "loss", epoch)
            assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "epoch")
            assert "announce num_epochs" in response.json()["detail"]
        assert run.put(losses(NUM, 0), "loss", far - 1).status_code == 200
        run.put_all(0)
        assert run.close(0)["closed"]


@pytest.mark.parametrize("world_size", [1, 2])
def test_so_many_epochs_are_open_at_most(
    empty: World, monkeypatch: pytest.MonkeyPatch, world_size: int
) -> None:
    monkeypatch.setattr(curve_parts, "MOST_OPEN_EPOCHS", 3)
    run = recorder(empty, world_size=world_size)
    for epoch in (0, 2, 5):
        run.put_all(epoch)
    refused = run.put(losses(NUM, 1), "loss", 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_open_epochs")
    assert "sondage sync" in refused.json()["detail"]
    for rank in range(world_size):
        run.put_all(2, rank=rank)  # what is open goes on
    for rank in range(world_size):
        run.put_all(0, rank=rank)
        state = run.close(0, rank=rank)
    assert state["closed"]
    assert run.put(losses(NUM, 1), "loss", 1).status_code == 200
    run.post("finish", state="aborted")
    with transaction(empty.database.engine) as session:
        assert session.query(CurvePart).count() == 0, "what never closed does not stay"
