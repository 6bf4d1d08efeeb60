"""Slabs: what is written comes back, whole, in part, replaced, and from beyond the first shard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from sondage.errors import InvalidInput, NotFound
from store import curves, runs
from store.tables import SHARD_ROWS, Run
from tests.rows import a_dataset, a_run

BEYOND = SHARD_ROWS + 5


@pytest.fixture
def run(session: Session) -> Run:
    return a_run(session, a_dataset(session))


def _write(session: Session, run: Run, epoch: int, **channels: np.ndarray) -> None:
    curves.write_epoch(session, run_id=run.id, epoch=epoch, channels=channels)
    runs.close_epoch(session, run_id=run.id, epoch=epoch, attempt=1, metrics={})


def test_whole_run_comes_back_over_shards(session: Session, run: Run) -> None:
    rng = np.random.default_rng(0)
    loss = rng.random((BEYOND, 4)).astype(np.float32)
    for epoch in range(4):
        _write(session, run, epoch, loss=loss[:, epoch])
    found = curves.read_channel(session, run_id=run.id, channel="loss", num_rows=BEYOND)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, loss)


def test_a_channel_of_some_epochs_is_found_and_read_there(session: Session, run: Run) -> None:
    values = np.linspace(-1, 1, 8).astype(np.float32)
    for epoch in range(3):
        more = {"label_odds": values} if epoch == 1 else {}
        _write(session, run, epoch, loss=values + epoch, **more)
    curves.write_epoch(session, run_id=run.id, epoch=3, channels={"label_odds": values})  # not closed yet
    epochs = curves.epochs_of_channel(session, run_id=run.id, channel="label_odds")
    assert epochs == [1]
    assert curves.epochs_of_channel(session, run_id=run.id, channel="margin") == []
    found = curves.read_channel(session, run_id=run.id, channel="label_odds", num_rows=8, epochs=epochs)
    np.testing.assert_array_equal(found, values[:, None])


def test_few_rows_come_back_in_the_order_asked_for(session: Session, run: Run) -> None:
    predicted = np.arange(BEYOND).astype(np.int32)
    _write(session, run, 0, predicted=predicted)
    _write(session, run, 1, predicted=predicted + 1)
    rows = [BEYOND - 1, 0, SHARD_ROWS, SHARD_ROWS - 1, 0]
    found = curves.read_rows(session, run_id=run.id, channel="predicted", rows=rows)
    np.testing.assert_array_equal(found, np.array(rows)[:, None] + [0, 1])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(curves.DTYPES), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_every_dtype_comes_back_to_the_bit(
    session: Session, run: Run, dtype: str, num: int, seed: int
) -> None:
    raw = np.random.default_rng(seed).integers(0, 256, num * np.dtype(dtype).itemsize, dtype=np.uint8)
    values = raw.view(dtype)
    session.execute(text("DELETE FROM curve_blocks"))
    _write(session, run, 0, channel=values)
    found = curves.read_channel(session, run_id=run.id, channel="channel", num_rows=num)[:, 0]
    assert found.dtype == values.dtype
    assert found.tobytes() == values.tobytes()


def test_an_epoch_written_again_is_replaced(session: Session, run: Run) -> None:
    _write(session, run, 0, loss=np.zeros(BEYOND, np.float32))
    _write(session, run, 0, loss=np.ones(6, np.float32))
    found = curves.read_channel(session, run_id=run.id, channel="loss", num_rows=6)
    np.testing.assert_array_equal(found, np.ones((6, 1)))
    with pytest.raises(NotFound):
        curves.read_block(session, run_id=run.id, channel="loss", epoch=0, shard=1)


def test_an_epoch_that_is_not_closed_is_not_read(session: Session, run: Run) -> None:
    _write(session, run, 0, loss=np.zeros(6, np.float32))
    curves.write_epoch(session, run_id=run.id, epoch=1, channels={"loss": np.ones(6, np.float32)})
    assert curves.read_channel(session, run_id=run.id, channel="loss", num_rows=6).shape == (6, 1)


def test_not_seen_stays_not_seen(session: Session, run: Run) -> None:
    _write(session, run, 0, loss=np.array([np.nan, np.inf, 1], np.float32))
    found = curves.read_rows(session, run_id=run.id, channel="loss", rows=[0, 1, 2, 9])
    np.testing.assert_array_equal(found[:, 0], [np.nan, np.inf, 1, np.nan])


def test_chosen_epochs(session: Session, run: Run) -> None:
    for epoch in range(3):
        _write(session, run, epoch, loss=np.full(6, epoch, np.float32))
    found = curves.read_channel(session, run_id=run.id, channel="loss", num_rows=6, epochs=[0, 2])
    np.testing.assert_array_equal(found[0], [0, 2])


def test_unknown_channel_names_those_there_are(session: Session, run: Run) -> None:
    _write(session, run, 0, loss=np.zeros(6, np.float32))
    with pytest.raises(NotFound, match="recorded: loss"):
        curves.read_rows(session, run_id=run.id, channel="margin", rows=[0])


@pytest.mark.parametrize("values", [np.zeros((2, 2), np.float32), np.zeros(2, np.float64), np.zeros(2, "U1")])
def test_what_is_not_stored_is_refused(session: Session, run: Run, values: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="loss"):
        curves.write_epoch(session, run_id=run.id, epoch=0, channels={"loss": values})
