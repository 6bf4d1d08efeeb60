"""Recorded runs in the store: merging against a slow loop, who waits for whom, and what is dropped."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sondage.errors import Conflict, NotFound
from store import closing, curve_parts, curves, deletion, jobs, recording, runs, taggings, whole_epochs
from store.curve_parts import EpochClosed, IncompleteEpoch, Part, RunClosed
from store.engine import Database, transaction
from store.tables import SHARD_ROWS, CurveBlock, CurvePart, Dataset, EpochPart, Recording, Run
from tests.rows import a_dataset, a_run, a_suite

NUM = 6
Values = list[float | None]


def _begin(session: Session, *, dataset: Dataset | None = None, resume: bool = False, **options: Any) -> Run:
    dataset = a_dataset(session, num=NUM) if dataset is None else dataset
    usual: dict[str, Any] = {"name": "r", "num_rows": NUM, "channels": {"loss": "float32"}}
    new = recording.NewRecording(**usual | options)
    return recording.begin(session, dataset=dataset, new=new, resume=resume)[0]


def _put(session: Session, run: Run, values: Sequence[float], *, epoch: int = 0, rank: int = 0) -> bool:
    held, announced = recording.held(session, project_id=run.project_id, run_id=run.id, alone=False)
    data = np.array(values, "<f4").tobytes()
    part = Part("loss", epoch, 0, rank, "float32", data)
    return curve_parts.put(session, run=held, recording=announced, part=part)


def _close(
    session: Session, run: Run, *, epoch: int = 0, rank: int = 0, force: bool = False
) -> closing.State:
    held, announced = recording.held(session, project_id=run.project_id, run_id=run.id)
    return closing.close(
        session, run=held, recording=announced, epoch=epoch, rank=rank, metrics={}, force=force
    )


def _losses(session: Session, run: Run) -> np.ndarray:
    return curves.read_channel(session, run_id=run.id, channel="loss", num_rows=run.num_rows)


# ---- merging

INTEGERS = st.one_of(st.none(), st.integers(0, 100))


def _merged_slowly(parts: list[Values]) -> Values:
    return [
        next((value for value in of_row if value is not None), None) for of_row in zip(*parts, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 5), st.integers(1, 12), st.sampled_from(["<f4", "<f2", "<i2", "<i4"]))
def test_merging_is_the_first_value_seen_of_each_row(
    data: st.DataObject, ranks: int, rows: int, dtype: str
) -> None:
    values = INTEGERS if "i" in dtype else st.one_of(st.none(), st.floats(width=16, allow_nan=False))
    parts = data.draw(
        st.lists(st.lists(values, min_size=rows, max_size=rows), min_size=ranks, max_size=ranks)
    )
    missing = -1 if "i" in dtype else np.nan
    arrays = [np.array([missing if one is None else one for one in part], dtype) for part in parts]
    merged, seen = closing.combine(arrays)
    expected = _merged_slowly(parts)
    np.testing.assert_array_equal(
        merged, np.array([missing if one is None else one for one in expected], dtype)
    )
    assert seen == sum(one is not None for one in expected)


def test_combining_changes_no_part() -> None:
    first = np.array([np.nan, 1], "<f4")
    closing.combine([first, np.array([2, 2], "<f4")])
    np.testing.assert_array_equal(first, [np.nan, 1])


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(1, 8), st.sampled_from(["<f4", "<f2"]))
def test_the_mean_over_ranks_is_the_mean_of_all_that_was_seen(
    data: st.DataObject, ranks: int, rows: int, dtype: str
) -> None:
    """Against a loop over every single value: each rank keeps a mean and a count, as the recorder does."""
    one = st.lists(st.integers(0, 50), max_size=3)
    seen = data.draw(st.lists(st.lists(one, min_size=rows, max_size=rows), min_size=ranks, max_size=ranks))
    parts = [np.array([np.mean(of) if of else np.nan for of in rank], "<f4").astype(dtype) for rank in seen]
    counts = [np.array([len(of) for of in rank], "<i4") for rank in seen]
    merged, number = closing.mean(parts, counts)
    total, of_all = closing.added(counts)
    tolerance = 1e-6 if dtype == "<f4" else 2e-3
    for row in range(rows):
        values = [value for rank in seen for value in rank[row]]
        assert total[row] == len(values)
        if values:
            assert merged[row] == pytest.approx(sum(values) / len(values), rel=tolerance, abs=tolerance)
        else:
            assert np.isnan(merged[row])
    assert merged.dtype == dtype
    assert number == of_all == sum(any(rank[row] for rank in seen) for row in range(rows))


def test_what_one_rank_saw_alone_keeps_its_bits() -> None:
    values = np.random.default_rng(0).gamma(1, 1, 1000).astype("<f4")
    of_one = np.random.default_rng(1).integers(1, 1_000_000, 1000).astype("<i4")
    merged, _ = closing.mean([values, np.full(1000, np.nan, "<f4")], [of_one, np.zeros(1000, "<i4")])
    np.testing.assert_array_equal(merged, values)


def test_losses_that_are_not_finite_stay_so_over_ranks() -> None:
    first, second = np.array([np.inf, np.nan, np.inf, 1], "<f4"), np.array([1, 1, -np.inf, np.nan], "<f4")
    counts = [np.array([1, 1, 1, 1], "<i4"), np.array([1, 1, 1, 0], "<i4")]
    merged, seen = closing.mean([first, second], counts)
    np.testing.assert_array_equal(merged, np.array([np.inf, np.nan, np.nan, 1], "<f4"))
    assert seen == 4


def test_counts_of_a_small_dtype_do_not_wrap() -> None:
    counts = [np.array([100, -1, 0], "<i1"), np.array([100, 2, -1], "<i1")]
    total, seen = closing.added(counts)
    np.testing.assert_array_equal(total, np.array([127, 2, 0], "<i1"))
    assert seen == 2


def test_ranks_over_several_shards(session: Session) -> None:
    num = SHARD_ROWS + 2
    run = _begin(session, dataset=a_dataset(session, num=num), num_rows=num, world_size=2)
    held, announced = recording.held(session, project_id=run.project_id, run_id=run.id)
    whole = np.arange(num, dtype="<f4")
    for rank in range(2):
        seen = np.where(np.arange(num) % 2 == rank, whole, np.nan).astype("<f4")
        for shard in range(2):
            data = seen[shard * SHARD_ROWS : (shard + 1) * SHARD_ROWS].tobytes()
            part = Part("loss", 0, shard, rank, "float32", data)
            assert curve_parts.put(session, run=held, recording=announced, part=part)
        assert _close(session, run, rank=rank).closed == (rank == 1)
    np.testing.assert_array_equal(_losses(session, run)[:, 0], whole)


@pytest.mark.parametrize("look", ["label_odds", "distance", "left_out"])
@pytest.mark.parametrize("world_size", [1, 2])
def test_a_look_may_be_absent_and_not_half_of_it(session: Session, world_size: int, look: str) -> None:
    num = SHARD_ROWS + 2
    channels = {"loss": "float32", look: "float32", "count": "int32"}
    dataset = a_dataset(session, num=num)
    run = _begin(session, dataset=dataset, num_rows=num, world_size=world_size, channels=channels)
    held, announced = recording.held(session, project_id=run.project_id, run_id=run.id)

    def put(channel: str, epoch: int, rank: int, shards: range) -> None:
        for shard in shards:
            data = np.ones(2 if shard else SHARD_ROWS, "<i4" if channel == "count" else "<f4").tobytes()
            part = Part(channel, epoch, shard, rank, channels[channel], data)
            curve_parts.put(session, run=held, recording=announced, part=part)

    for epoch in range(2):
        for rank in range(world_size):
            put("loss", epoch, rank, range(2))
            put("count", epoch, rank, range(2))
            if epoch and not rank:
                put(look, epoch, rank, range(1, 2))
                with pytest.raises(IncompleteEpoch, match=rf": {look}/0\.$"):
                    _close(session, run, epoch=epoch, rank=rank)
                put(look, epoch, rank, range(1))
            closed = _close(session, run, epoch=epoch, rank=rank).closed
        assert closed
    assert curves.epochs_of_channel(session, run_id=run.id, channel=look) == [1]
    assert curves.epochs_of_channel(session, run_id=run.id, channel="loss") == [0, 1]
    found = curves.read_channel(session, run_id=run.id, channel=look, num_rows=num, epochs=[1])
    assert (found == 1).all()


# ---- order and states


def test_a_rank_closes_with_all_its_shards(session: Session) -> None:
    run = _begin(session, world_size=2)
    with pytest.raises(IncompleteEpoch, match="loss/0"):
        _close(session, run)
    _put(session, run, np.zeros(NUM))
    assert _close(session, run) == closing.State(closed=False, waiting_for=(1,))
    assert _close(session, run) == closing.State(closed=False, waiting_for=(1,)), "twice does no harm"


def test_dropping_leaves_closed_epochs(session: Session) -> None:
    run = _begin(session)
    for epoch in range(2):
        _put(session, run, np.full(NUM, epoch), epoch=epoch)
    _close(session, run)
    curve_parts.drop_open(session, run_id=run.id)
    assert session.scalar(select(func.count()).select_from(CurveBlock)) == 1
    np.testing.assert_array_equal(_losses(session, run), np.zeros((NUM, 1)))


def test_forced_epochs_close_in_order_at_the_end(session: Session) -> None:
    run = _begin(session, world_size=2)
    for epoch in range(3):
        _put(session, run, np.full(NUM, epoch), epoch=epoch)
        _close(session, run, epoch=epoch)
    recording.finish(
        session, project_id=run.project_id, run_id=run.id, state="failed", message=None, force=False
    )
    assert curves.closed_epochs(session, run_id=run.id) == [0, 1, 2]
    assert session.scalar(select(func.count()).select_from(CurvePart)) == 0


def test_a_run_of_a_job_is_no_recording(session: Session) -> None:
    run = a_run(session, a_dataset(session))
    with pytest.raises(Conflict, match="trained by a job"):
        recording.held(session, project_id=run.project_id, run_id=run.id)
    with pytest.raises(NotFound):
        recording.held(session, project_id=run.project_id, run_id=run.id + 1)
    assert recording.get(session, run=run) is None


def test_whole_epochs_of_one_channel_after_the_other(session: Session) -> None:
    run = _begin(session, channels={"loss": "float32", "predicted": "int8"})
    held, announced = recording.held(session, project_id=run.project_id, run_id=run.id)
    loss = np.arange(2 * NUM, dtype=np.float32).reshape(NUM, 2)
    options: dict[str, Any] = {"run": held, "recording": announced, "epochs": [5, 3]}
    assert whole_epochs.write(session, channels={"loss": loss}, **options) == []
    predicted = np.ones((NUM, 2), np.int8)
    assert whole_epochs.write(session, channels={"predicted": predicted}, **options) == [3, 5]
    np.testing.assert_array_equal(_losses(session, run), loss[:, ::-1])
    with pytest.raises(EpochClosed):
        whole_epochs.write(session, channels={"loss": loss}, **options)


# ---- who waits for whom


class Elsewhere:
    """Work in a transaction of its own, in another thread."""

    def __init__(self, database: Database, work: Any) -> None:
        self.result: Any = None
        self.fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(database, work))
        self._thread.start()

    def _run(self, database: Database, work: Any) -> None:
        try:
            with transaction(database.engine) as session:
                self.result = work(session)
        except Exception as fault:
            self.fault = fault

    def waits(self) -> bool:
        self._thread.join(0.3)
        return self._thread.is_alive()

    def end(self) -> Any:
        self._thread.join(20)
        assert not self._thread.is_alive(), "it waits for ever"
        if self.fault is not None:
            raise self.fault
        return self.result


def _committed(database: Database, **options: Any) -> Run:
    with transaction(database.engine) as session:
        run = _begin(session, **options)
        _put(session, run, np.zeros(NUM))
        return run


def test_parts_do_not_wait_for_each_other(database: Database) -> None:
    run = _committed(database, world_size=2)
    with transaction(database.engine) as session:
        _put(session, run, np.ones(NUM))
        assert Elsewhere(database, lambda other: _put(other, run, np.ones(NUM), rank=1)).end()


def test_a_part_that_waited_for_the_close_sees_it(database: Database) -> None:
    """Its statements look again after the wait, or it would be written into the closed epoch."""
    run = _committed(database)
    with transaction(database.engine) as session:
        _close(session, run)
        late = Elsewhere(database, lambda other: _put(other, run, np.ones(NUM)))
        assert late.waits()
    with pytest.raises(EpochClosed):
        late.end()
    with transaction(database.engine) as session:
        np.testing.assert_array_equal(_losses(session, run), np.zeros((NUM, 1)))


def test_a_close_waits_for_a_part_under_way(database: Database) -> None:
    run = _committed(database)
    with transaction(database.engine) as session:
        _put(session, run, np.ones(NUM))
        closed = Elsewhere(database, lambda other: _close(other, run))
        assert closed.waits()
    assert closed.end().closed
    with transaction(database.engine) as session:
        np.testing.assert_array_equal(_losses(session, run), np.ones((NUM, 1)))


def test_a_part_that_waited_for_the_end_is_refused(database: Database) -> None:
    run = _committed(database)
    options = {"project_id": run.project_id, "run_id": run.id}
    with transaction(database.engine) as session:
        recording.finish(session, **options, state="finished", message=None, force=False)
        late = Elsewhere(database, lambda other: _put(other, run, np.ones(NUM)))
        assert late.waits()
    with pytest.raises(RunClosed):
        late.end()


def test_a_run_deleted_under_a_part_takes_it_along(database: Database) -> None:
    run = _committed(database, world_size=2)
    with transaction(database.engine) as session:
        _put(session, run, np.ones(NUM))
        gone = Elsewhere(
            database, lambda other: deletion.remove(other, kind="run", number=run.id, cascade=False)
        )
        assert gone.waits()
    gone.end()
    with transaction(database.engine) as session:
        for table in (Run, Recording, CurvePart, EpochPart):
            assert session.scalar(select(func.count()).select_from(table)) == 0


def test_a_tagging_asked_for_while_the_run_ends_is_told(database: Database) -> None:
    run = _committed(database)
    with transaction(database.engine) as session:
        _close(session, run)
        suite_id = a_suite(session).id
    with transaction(database.engine) as session:
        found = [runs.get(session, project_id=run.project_id, run_id=run.id)]
        tagging = taggings.create(
            session, project_id=run.project_id, runs=found, suite_id=suite_id, tagger="reference"
        )
        taggings.defer_if_ready(session, tagging=tagging)
        options = {"project_id": run.project_id, "run_id": run.id}
        ended = Elsewhere(
            database,
            lambda other: recording.finish(other, **options, state="finished", message=None, force=False),
        )
        assert ended.waits()
    ended.end()
    with transaction(database.engine) as session:
        assert len(jobs.of_taggings(session, tagging_ids=[tagging.id])) == 1
