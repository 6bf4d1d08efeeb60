"""Runs that several ranks record: parts merged, ranks that are late, dead or twice there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from store.engine import transaction
from store.tables import CurvePart
from tests.api.recorders import NUM, losses, recorder
from tests.api.worlds import World


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
