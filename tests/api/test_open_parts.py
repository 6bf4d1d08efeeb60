"""Parts of epochs that wait for ranks: what can still be closed stays, what never can is removed."""

from __future__ import annotations

from sqlalchemy import select

from store.engine import transaction
from store.tables import CurvePart
from tests.api.recorders import Recorder, recorder
from tests.api.worlds import World


def waiting(run: Recorder) -> set[tuple[int, int]]:
    """Epoch and rank of all parts that are stored."""
    with transaction(run.world.database.engine) as session:
        return {(epoch, rank) for epoch, rank in session.execute(select(CurvePart.epoch, CurvePart.rank))}


def test_closing_an_epoch_removes_the_parts_of_those_that_it_bars(empty: World) -> None:
    run = recorder(empty, world_size=2)
    for epoch in range(3):
        run.put_all(epoch, rank=0)
        run.close(epoch, rank=0)
    run.put_all(0, rank=1)
    run.put_all(1, rank=1)
    assert waiting(run) == {(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)}
    run.close(1, rank=1)
    assert waiting(run) == {(2, 0)}, "rank 1 may still come with the next one"
    assert run.close(0, rank=1, status=409)["code"] == "epoch_closed"
    run.put_all(2, rank=1)
    run.close(2, rank=1)
    assert waiting(run) == set()
    assert set(run.epochs()) == {1, 2}
