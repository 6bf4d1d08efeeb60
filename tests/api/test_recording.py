"""Runs that are recorded elsewhere: parts in, epochs closed, ranks merged, ends and beginnings."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app.main import create_app, prepare
from app.recording.blocks import MAX_BYTES
from app.recording.bodies import received
from store import curve_parts, keys, projects, suites
from store.engine import Database, transaction
from store.tables import CurveBlock, CurvePart, Dataset, EpochPart, Job, Run, SuiteMember, Tagging
from tests.api.recorders import (
    ARROW,
    CHANNELS,
    NUM,
    OCTETS,
    Recorder,
    arrow_stream,
    begin,
    losses,
    recorder,
    some_dataset,
)
from tests.api.worlds import BASE, Client, World, make_settings

SHARD = 65_536


# ---- one rank


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


# ---- several ranks


def test_parts_of_two_ranks_merge_and_the_lowest_counts_twice_seen_rows_once(empty: World) -> None:
    run = recorder(empty, world_size=2)
    run.put_all(0, rank=1, rows=[5, 6, 7, 8, 0], offset=100.0)
    assert run.close(0, rank=1, metrics={"of": 1}) == {"epoch": 0, "closed": False, "waiting_for": [0]}
    assert run.recording()["waiting_for"] == {"0": [0]}
    run.put_all(0, rank=0, rows=[0, 1, 2, 3, 4])
    assert run.close(0, rank=0, metrics={"of": 0}) == {"epoch": 0, "closed": True, "waiting_for": []}
    assert [curve[0] for curve in run.curves()] == [0, 1, 2, 3, 4, 105, 106, 107, 108, None]
    assert [curve[0] for curve in run.curves("predicted")] == [0] * 9 + [None]
    assert run.epochs()[0] == {"of": 0, "counts": {"loss": 9, "predicted": 9}, "coverage": 0.9}
    with transaction(empty.database.engine) as session:
        assert session.query(CurvePart).count() == 0


def test_examples_drawn_by_several_ranks_have_their_mean(empty: World) -> None:
    """Row 0 was drawn three times by rank 0 and once by rank 1; row 1 by rank 1 alone; row 2 by nobody."""
    channels = {"loss": "float32", "predicted": "int16", "count": "int32"}
    run = recorder(empty, num=3, world_size=2, channels=channels)
    sent = {
        0: {"loss": [1.0, np.nan, np.nan], "predicted": [0, -1, -1], "count": [3, 0, 0]},
        1: {"loss": [5.0, 4.0, np.nan], "predicted": [1, 1, -1], "count": [1, 2, 0]},
    }
    for rank, of_rank in sent.items():
        for name, values in of_rank.items():
            assert run.put(np.array(values, channels[name]), name, 0, rank=rank).status_code == 200
        run.close(0, rank=rank)
    assert run.curves("loss") == [[2.0], [4.0], [None]]
    assert run.curves("count") == [[4], [2], [0]]
    assert run.curves("predicted") == [[0], [1], [None]], "a class has no mean: the lowest rank's"
    assert run.epochs()[0]["counts"] == {"loss": 2, "predicted": 2, "count": 2}
    assert run.epochs()[0]["coverage"] == pytest.approx(2 / 3)


def test_a_late_duplicate_of_a_rank_is_known_again(empty: World) -> None:
    run = recorder(empty, world_size=2)
    for rank in range(2):
        run.put_all(0, rank=rank, rows=[rank])
        run.close(0, rank=rank)
    mine = losses(NUM, 0)
    mine[np.arange(NUM) != 1] = np.nan
    assert run.put(mine, "loss", 0, rank=1).json()["repeated"]
    other = run.put(losses(NUM, 0), "loss", 0, rank=1)
    assert (other.status_code, other.json()["code"]) == (409, "epoch_closed")


def test_a_rank_that_sends_other_values_closes_again(empty: World) -> None:
    run = recorder(empty, world_size=2)
    run.put_all(0, rank=0, rows=[0])
    run.close(0, rank=0)
    run.put_all(0, rank=0, rows=[0])
    assert run.close(0, rank=1, status=422)["code"] == "incomplete_epoch"
    assert run.recording()["waiting_for"] == {"0": [1]}, "the same values once more withdraw nothing"
    run.put_all(0, rank=0, rows=[0, 1], offset=1.0)
    run.put_all(0, rank=1, rows=[2])
    assert run.close(0, rank=1)["waiting_for"] == [0]
    assert run.close(0, rank=0)["closed"]
    assert [curve[0] for curve in run.curves(rows=[0, 1, 2, 3])] == [1, 2, 2, None]


def test_a_dead_rank_is_closed_without_and_noted(empty: World) -> None:
    run = recorder(empty, world_size=3)
    for rank in (0, 2):
        run.put_all(0, rank=rank, rows=[rank])
        run.close(0, rank=rank)
    run.put(np.zeros(NUM, np.float32), "loss", 0, rank=1)
    assert run.close(0, rank=0, force=True)["closed"]
    assert run.epochs()[0]["missing_ranks"] == [1]
    assert run.epochs()[0]["coverage"] == 0.2
    assert [curve[0] for curve in run.curves(rows=[0, 1, 2])] == [0, None, 2], "its part was not whole"
    assert run.put(np.zeros(NUM, np.float32), "loss", 0, rank=1).json()["code"] == "epoch_closed"


def test_force_needs_one_rank_at_least(empty: World) -> None:
    run = recorder(empty, world_size=2)
    assert run.close(0, status=422, rank=0, force=True)["code"] == "incomplete_epoch"


def test_finishing_waits_for_ranks_unless_forced(empty: World) -> None:
    run = recorder(empty, world_size=2)
    for epoch in range(2):
        run.put_all(epoch, rank=0, rows=[0])
        run.close(epoch, rank=0)
    problem = run.post("finish", status=409)
    assert problem["code"] == "epoch_open"
    assert "[1]" in problem["detail"]
    assert run.post("finish", force=True)["epochs_done"] == 2
    assert run.epochs()[1]["missing_ranks"] == [1]
    assert run.put(losses(NUM, 2), "loss", 2, rank=1).json()["code"] == "run_closed"


def test_many_ranks_at_once(empty: World) -> None:
    """Eight ranks send and close at the same time, several epochs long: nothing is lost and nothing hangs."""
    size, num = 8, 1000
    run = recorder(empty, num=num, world_size=size)

    def work(rank: int) -> None:
        for epoch in range(3):
            run.put_all(epoch, rank=rank, rows=range(rank, num, size))
            run.close(epoch, rank=rank)

    with ThreadPoolExecutor(size) as pool:
        list(pool.map(work, range(size)))
    assert sorted(run.epochs()) == [0, 1, 2]
    assert all(metrics["coverage"] == 1.0 for metrics in run.epochs().values())
    np.testing.assert_array_equal(run.curves(), np.stack([losses(num, epoch) for epoch in range(3)], axis=1))


def test_a_part_against_the_close_of_its_epoch(empty: World) -> None:
    """Whoever is first: the curves are those of the close, whole."""
    run = recorder(empty)
    for epoch in range(5):
        run.put_all(epoch)
        other = losses(NUM, epoch) + 50
        with ThreadPoolExecutor(2) as pool:
            part = pool.submit(run.put, other, "loss", epoch)
            closed = pool.submit(run.close, epoch)
        assert closed.result()["closed"]
        stored = np.array([curve[epoch] for curve in run.curves()])
        expected = other if part.result().status_code == 200 else losses(NUM, epoch)
        np.testing.assert_array_equal(stored, expected)


# ---- begin, resume, finish, reopen


def test_a_name_is_taken_once(empty: World) -> None:
    run = recorder(empty)
    problem = begin(empty, status=409, **run.body)
    assert problem["code"] == "run_differs"
    assert "resume" in problem["detail"]
    differing = begin(empty, status=409, **run.body | {"resume": True, "channels": {"loss": "float32"}})
    assert "channels" in differing["detail"]
    assert "dataset_id" not in differing["detail"]


def test_resuming_goes_on_behind_the_last_closed_epoch(empty: World) -> None:
    run = recorder(empty, session="one")
    for epoch in range(2):
        run.put_all(epoch)
        run.close(epoch)
    run.put_all(2, offset=9.0)
    found = begin(empty, status=200, **run.body | {"resume": True, "session": "two"})
    assert (found["run"]["id"], found["next_epoch"], found["closed_epochs"]) == (run.id, 2, [0, 1])
    assert run.close(2, status=422)["code"] == "incomplete_epoch", "what the killed process had sent is gone"
    run.put_all(2)
    run.close(2)
    assert run.curves(rows=[1])[0] == [1.0, 1.25, 1.5]


def test_the_same_process_may_ask_again(empty: World) -> None:
    run = recorder(empty, session="one", world_size=2)
    run.put_all(0, rank=0, rows=[0])
    run.close(0, rank=0)
    for resume in (False, True):
        found = begin(empty, status=200, **run.body | {"resume": resume})
        assert found["waiting_for"] == {"0": [1]}
    run.put_all(0, rank=1, rows=[1])
    assert run.close(0, rank=1)["closed"]


def test_a_restart_between_parts_and_close_trains_the_epoch_again(empty: World) -> None:
    run = recorder(empty, session="one", world_size=2)
    run.put_all(0, rank=1, rows=[1], offset=7.0)
    run.close(0, rank=1)
    begin(empty, status=200, **run.body | {"resume": True, "session": "two"})
    assert run.recording()["waiting_for"] == {}
    with transaction(empty.database.engine) as session:
        assert (session.query(CurvePart).count(), session.query(EpochPart).count()) == (0, 0)
    for rank in range(2):
        run.put_all(0, rank=rank, rows=[rank])
        run.close(0, rank=rank)
    assert run.curves(rows=[0, 1]) == [[0.0], [1.0]]


def test_another_number_of_ranks_may_go_on(empty: World) -> None:
    run = recorder(empty, world_size=2)
    found = begin(empty, status=200, **run.body | {"resume": True, "world_size": 1})
    assert found["world_size"] == 1
    run.put_all(0)
    assert run.close(0)["closed"]


def test_two_begin_at_once(empty: World) -> None:
    dataset = some_dataset(empty)
    body = {
        "name": "r",
        "dataset_id": dataset["id"],
        "num_rows": NUM,
        "channels": {"loss": "float32"},
        "session": "x",
    }
    with ThreadPoolExecutor(4) as pool:
        url = empty.url + "/runs/recorded"
        answers = list(pool.map(lambda _: empty.client.post(url, json=body), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["run"]["id"] for answer in answers}) == 1


def test_a_resumed_run_is_running_again(empty: World) -> None:
    run = recorder(empty)
    run.post("finish", state="failed", message="out of memory")
    assert run.recording()["message"] == "out of memory"
    assert run.post("finish", state="failed")["state"] == "failed", "asked again, nothing happens"
    assert run.post("finish", status=409)["code"] == "run_closed"
    found = begin(empty, status=200, **run.body | {"resume": True})
    assert (found["run"]["state"], found["run"]["finished_at"]) == ("running", None)


def test_reopening(empty: World) -> None:
    run = recorder(empty)
    run.put_all(0)
    run.close(0)
    run.post("finish")
    assert run.put(losses(NUM, 1), "loss", 1).json()["code"] == "run_closed"
    assert run.close(1, status=409)["code"] == "run_closed"
    assert run.post("reopen")["run"]["state"] == "running"
    run.put_all(1)
    assert run.close(1)["closed"]


def test_aborting_closes_a_recorded_run(empty: World) -> None:
    run = recorder(empty)
    run.put_all(0)
    run.close(0)
    run.put_all(1)
    answer = empty.post(f"/runs/{run.id}/abort", 200)
    assert answer["job"] is None
    assert (answer["run"]["state"], answer["run"]["recorded"]) == ("aborted", True)
    assert answer["run"]["finished_at"] is not None
    assert answer["run"] == empty.get(f"/runs/{run.id}")
    assert run.recording()["closed_epochs"] == [0], "what has closed stays, what was under way goes"
    assert run.recording()["message"] == "It was aborted on the server."
    refused = run.put(np.zeros(NUM, np.float32), "loss", 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "run_closed")
    assert f"sondage run reopen {run.id}" in refused.json()["detail"]
    assert run.close(1, status=409)["code"] == "run_closed"
    assert run.post("finish", status=409)["code"] == "run_closed"
    assert empty.post(f"/runs/{run.id}/abort", 200)["run"] == answer["run"], "asked again, nothing happens"
    run.post("reopen")
    run.put_all(1)
    assert run.close(1)["closed"]
    run.post("finish")
    assert empty.post(f"/runs/{run.id}/abort", 200)["run"]["state"] == "finished", (
        "an ended one stays as it is"
    )


def test_aborting_closes_what_some_ranks_have_sent_whole(empty: World) -> None:
    run = recorder(empty, world_size=2)
    run.put_all(0, rank=0, rows=[0, 1])
    run.close(0, rank=0)
    run.put_all(1, rank=1)
    empty.post(f"/runs/{run.id}/abort", 200)
    assert run.epochs()[0]["missing_ranks"] == [1]
    assert list(run.epochs()) == [0]


def test_what_was_not_closed_is_dropped_at_the_end(empty: World) -> None:
    run = recorder(empty)
    run.put_all(0)
    run.post("finish")
    run.post("reopen")
    assert run.close(0, status=422)["code"] == "incomplete_epoch"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"num_rows": NUM - 1}, 422),
        ({"num_rows": NUM + 2_000_000}, 422),
        ({"channels": {}}, 422),
        ({"channels": {"Loss": "float32"}}, 422),
        ({"channels": {"loss": "float64"}}, 422),
        ({"world_size": 0}, 422),
        ({"world_size": 4_097}, 422),
        ({"channels": {"loss": "int8"}}, 422),
        ({"channels": {"margin": "int32"}}, 422),
        ({"channels": {"predicted": "float16"}}, 422),
        ({"channels": {"count": "float32"}}, 422),
        ({"num_epochs": 0}, 422),
        ({"dataset_id": 99}, 404),
        ({"suite_id": 99}, 404),
        ({"lr": 0.1}, 422),
    ],
)
def test_wrong_announcements(empty: World, options: dict[str, Any], status: int) -> None:
    body = {
        "name": "r",
        "dataset_id": some_dataset(empty)["id"],
        "num_rows": NUM,
        "channels": {"loss": "float32"},
    }
    begin(empty, status=status, **body | options)
    assert empty.get("/runs")["items"] == []


def test_runs_of_jobs_are_not_recorded_into(world: World) -> None:
    run = world.runs[0]
    body = {"name": "run-s0", "dataset_id": world.dataset, "num_rows": 40, "channels": {"loss": "float32"}}
    assert "trained by a job" in begin(world, status=409, **body, resume=True)["detail"]
    url = f"{world.url}/runs/{run}"
    put = world.client.put(f"{url}/curves/loss/9/0", content=b"", headers=OCTETS)
    assert put.status_code == 409
    assert world.client.post(f"{url}/finish", json={}).status_code == 409
    assert world.client.get(f"{url}/recording").status_code == 404
    assert world.client.put(f"{world.url}/runs/99/curves/loss/0/0", content=b"").status_code == 404


# ---- taggings


def _known(world: World, run: Recorder) -> int:
    """An uploaded suite of the run's dataset."""
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        members = [(at, "noisy" if at % 2 else "prototypical", "fit") for at in range(6)]
        suite = suites.add(
            session,
            project_id=project.id,
            name="known",
            digest="d",
            definition={},
            dataset_id=run.body["dataset_id"],
            members=members,
        )
        assert session.query(SuiteMember).count() == 6
        return suite.id


def test_finishing_wakes_the_taggings_that_wait(empty: World) -> None:
    run = recorder(empty)
    body = {"run_ids": [run.id], "suite_id": _known(empty, run)}
    tagging = empty.post("/taggings", 202, json=body)
    assert tagging["job_id"] is None
    run.put_all(0)
    run.close(0)
    run.post("finish")
    woken = empty.get(f"/taggings/{tagging['id']}")
    assert woken["job_id"] is not None
    problem = run.post("reopen", status=409)
    assert f"Tagging {tagging['id']}" in problem["detail"]
    assert "Tagging" in begin(empty, status=409, **run.body | {"resume": True})["detail"]
    run.post("finish")
    with transaction(empty.database.engine) as session:
        assert session.query(Job).filter(Job.kind == "tag").count() == 1


def test_a_failed_training_ends_the_taggings_that_wait(empty: World) -> None:
    run = recorder(empty)
    tagging = empty.post("/taggings", 202, json={"run_ids": [run.id], "suite_id": _known(empty, run)})
    run.post("finish", state="aborted")
    with transaction(empty.database.engine) as session:
        assert session.get_one(Tagging, tagging["id"]).state == "aborted"


def test_two_runs_of_one_tagging_finish_at_once(empty: World) -> None:
    first, second = recorder(empty), recorder(empty, name="s")
    body = {"run_ids": [first.id, second.id], "suite_id": _known(empty, first)}
    tagging = empty.post("/taggings", 202, json=body)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda run: run.post("finish"), (first, second)))
    assert empty.get(f"/taggings/{tagging['id']}")["job_id"] is not None


# ---- probes


def _probe(row: int, source: int, label: int = 1, **other: Any) -> dict[str, Any]:
    usual = {"category": "noisy", "role": "fit", "generator": "flip"}
    return {"row": row, "source_row": source, "label": label, **usual, **other}


def test_probes_are_named_before_the_first_epoch_closes(empty: World) -> None:
    dataset = some_dataset(empty)
    body = {"name": "r", "dataset_id": dataset["id"], "num_rows": NUM + 2, "channels": {"loss": "float32"}}
    run = Recorder(empty, begin(empty, **body)["run"]["id"], body)
    run.put(losses(NUM + 2, 0), "loss", 0)
    assert "probes" in run.close(0, status=422)["detail"]
    given = [
        _probe(NUM, 0),
        _probe(NUM + 1, 4, category="ood", role="held_out"),
        _probe(3, 3, category="atypical"),
    ]
    for _ in range(2):
        answer = empty.client.put(f"{run.url}/probes", json=given)
        assert answer.json()["categories"] == {"noisy": 1, "ood": 1, "atypical": 1}
    listed = empty.get(f"/runs/{run.id}/probes")["items"]
    assert [(one["row"], one["category"], one["label_name"]) for one in listed] == [
        (3, "atypical", "dog"), (NUM, "noisy", "dog"), (NUM + 1, "ood", "dog")
    ]  # fmt: skip
    run.close(0, counts={"loss": 9})
    assert run.epochs()[0]["coverage"] == 0.9, "ten examples, two of them displaced, and two made probes"
    late = empty.client.put(f"{run.url}/probes", json=given)
    assert (late.status_code, late.json()["code"]) == (409, "epoch_closed")
    picture = empty.client.get(f"{run.url}/rows/{NUM}/thumbnail")
    assert picture.status_code == 404


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (_probe(NUM, 4), "duplicate_row"),
        (_probe(NUM + 1, 0), "duplicate_source"),
        (_probe(NUM + 2, 4), "row_range"),
        (_probe(NUM + 1, NUM), "source_range"),
        (_probe(NUM + 1, 4, category="strange"), "unknown_category"),
        (_probe(NUM + 1, 4, label=2), "unknown_label"),
        (_probe(3, 4), "source_differs"),
        (_probe(3, 3, label=0), "label_differs"),
    ],
)
def test_one_wrong_probe_and_nothing_is_stored(empty: World, second: dict[str, Any], code: str) -> None:
    dataset = some_dataset(empty)
    body = {"name": "r", "dataset_id": dataset["id"], "num_rows": NUM + 2, "channels": {"loss": "float32"}}
    run = Recorder(empty, begin(empty, **body)["run"]["id"], body)
    response = empty.client.put(f"{run.url}/probes", json=[_probe(NUM, 0), second])
    assert response.status_code == 422
    assert {(one["index"], one["code"]) for one in response.json()["errors"]} >= {(1, code)}
    missing = empty.client.put(f"{run.url}/probes", json=[_probe(NUM, 0)])
    assert missing.json()["errors"][0]["code"] == "missing_probe"
    assert empty.get(f"/runs/{run.id}/probes")["items"] == []


# ---- versions, keys, deletion


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ("0.1.0; protocol=1", 201, None),
        (None, 201, None),
        ("9.0.0; protocol=2", 426, "client_too_new"),
        ("0.0.1;protocol=0", 426, "client_too_old"),
        ("curl", 422, "invalid_input"),
    ],
)
def test_versions_meet(empty: World, header: str | None, status: int, code: str | None) -> None:
    dataset = some_dataset(empty)
    body = {"name": "r", "dataset_id": dataset["id"], "num_rows": NUM, "channels": {"loss": "float32"}}
    headers = {} if header is None else {"Sondage-Client": header}
    response = empty.client.post(empty.url + "/runs/recorded", json=body, headers=headers)
    assert response.status_code == status
    if status != 422:
        assert response.headers["Sondage-Protocol"] == "1"
    if code is not None:
        assert response.json()["code"] == code
        assert empty.get("/runs")["items"] == []


@pytest.fixture
def guarded(tmp_path: Path, database: Database) -> Iterator[World]:
    """A server that demands keys."""
    settings = make_settings(tmp_path / "data", host="0.0.0.0")  # noqa: S104  # nothing is bound
    with transaction(database.engine) as session:
        keys.create(session, name="op", scopes=["admin"], project_id=None)
    prepare(database, settings)
    with Client(create_app(settings, database), base_url=BASE) as client:
        yield World(client, database, settings)


def test_recording_takes_a_living_key_with_its_scope(guarded: World) -> None:
    with transaction(guarded.database.engine) as session:
        project = projects.by_name(session, name="default").id
        recording = keys.create(session, name="r", scopes=["record"], project_id=project)
        reading = keys.create(session, name="q", scopes=["read"], project_id=project)
    guarded.client.headers["Authorization"] = f"Bearer {recording.secret}"
    run = recorder(guarded)
    run.put_all(0)
    guarded.client.headers["Authorization"] = f"Bearer {reading.secret}"
    assert run.put(losses(NUM, 0), "loss", 0).json()["code"] == "forbidden"
    run.close(0, status=403)
    with transaction(guarded.database.engine) as session:
        keys.revoke(session, key_id=recording.key.id)
    guarded.client.headers["Authorization"] = f"Bearer {recording.secret}"
    assert run.put(losses(NUM, 0), "loss", 0).status_code == 401
    run.close(0, status=401)


def test_a_key_of_another_project_writes_nothing(guarded: World) -> None:
    with transaction(guarded.database.engine) as session:
        mine = projects.by_name(session, name="default").id
        other = projects.create(session, name="other").id
        theirs = keys.create(session, name="t", scopes=["record", "read"], project_id=other)
        key = keys.create(session, name="r", scopes=["record", "read"], project_id=mine)
    guarded.client.headers["Authorization"] = f"Bearer {key.secret}"
    run = recorder(guarded)
    guarded.client.headers["Authorization"] = f"Bearer {theirs.secret}"
    for url in (run.url, run.url.replace("/projects/default/", "/projects/other/")):
        elsewhere, body = guarded.client, losses(NUM, 0).tobytes()
        answers = [
            elsewhere.put(f"{url}/curves/loss/0/0", content=body, headers=OCTETS),
            elsewhere.post(f"{url}/epochs/0", json={}),
            elsewhere.put(f"{url}/probes", json=[]),
            elsewhere.post(f"{url}/records", content=b"x", headers=ARROW),
            elsewhere.post(f"{url}/finish", json={}),
            elsewhere.post(f"{url}/reopen"),
            elsewhere.get(f"{url}/recording"),
        ]
        assert [answer.status_code for answer in answers] == [404] * len(answers), url
    with transaction(guarded.database.engine) as session:
        assert session.query(CurveBlock).count() == 0
        assert session.get_one(Run, run.id).state == "running"


def test_the_key_comes_before_the_body(guarded: World, bodies_read: list[int]) -> None:
    """Nothing of a body is read for who may not send it, and never more than a block holds."""
    with transaction(guarded.database.engine) as session:
        project = projects.by_name(session, name="default").id
        recording = keys.create(session, name="r", scopes=["record"], project_id=project)
    guarded.client.headers["Authorization"] = f"Bearer {recording.secret}"
    run = recorder(guarded)
    large = bytes(MAX_BYTES + 1)
    assert run.put(np.frombuffer(large, np.int8), "loss", 0).json()["errors"][0]["field"] == "body"
    assert bodies_read == [MAX_BYTES]
    guarded.client.headers["Authorization"] = "Bearer nothing"
    assert run.put(np.frombuffer(large, np.int8), "loss", 0).status_code == 401
    assert bodies_read == [MAX_BYTES], "not read"


@pytest.fixture
def bodies_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Limits of the bodies that are read."""
    read: list[int] = []

    async def noted(request: Any, *, max_bytes: int) -> bytes:
        read.append(max_bytes)
        return await received(request, max_bytes=max_bytes)

    monkeypatch.setattr("app.api.recording.received", noted)
    return read


def test_a_run_that_records_can_be_deleted_with_all_it_has(empty: World) -> None:
    run = recorder(empty, world_size=2)
    run.put_all(0, rank=0, rows=[0])
    run.close(0, rank=0)
    empty.delete(f"/runs/{run.id}")
    with transaction(empty.database.engine) as session:
        assert (
            session.query(CurvePart).count(),
            session.query(EpochPart).count(),
            session.query(Run).count(),
        ) == (0, 0, 0)
        assert session.query(Dataset).count() == 1
    assert run.put(losses(NUM, 0), "loss", 0).status_code == 404


def test_planted_in_the_users_own_loop_it_is_tagged_by_the_usual_suite(empty: World) -> None:
    """On a fresh server nobody has asked for that suite yet."""
    body = {"name": "r", "dataset_id": some_dataset(empty)["id"], "num_rows": NUM + 2, "channels": CHANNELS}
    run = Recorder(empty, begin(empty, **body)["run"]["id"], body)
    given = [_probe(NUM, 0), _probe(NUM + 1, 1)]
    assert empty.client.put(f"{run.url}/probes", json=given).status_code == 200
    run.put_all(0)
    run.close(0)
    run.post("finish")
    assert empty.get("/suites")["items"] == []
    made = empty.post("/taggings", 202, json={"run_ids": [run.id]})
    suite = empty.get(f"/suites/{made['suite_id']}")
    assert (suite["name"], suite["kind"]) == ("default", "generated")
