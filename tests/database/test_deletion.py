"""Deleting: what depends is named first, all goes at once, and the space comes back."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import func, select, text
from sqlalchemy import table as table_named
from sqlalchemy.orm import Session

from sondage.errors import Conflict
from store import curves, deletion, runs
from store.engine import Database, transaction
from tests.rows import a_dataset, a_finished_tagging, a_run, a_train_job


def _count(session: Session, table: str) -> int:
    return session.scalar(select(func.count()).select_from(table_named(table))) or 0


@pytest.mark.parametrize(
    ("kind", "depending"),
    [
        ("dataset", ["tagging", "score", "run"]),
        ("suite", ["tagging", "score", "run"]),
        ("run", ["tagging", "score"]),
        ("tagging", []),
    ],
)
def test_what_depends_is_named_and_goes_with_it(session: Session, kind: str, depending: list[str]) -> None:
    planted = a_finished_tagging(session)
    number = getattr(planted, kind).id
    assert [subject.kind for subject in deletion.dependants(session, kind=kind, number=number)] == depending
    if depending:
        with pytest.raises(Conflict, match=depending[0]):
            deletion.remove(session, kind=kind, number=number, cascade=False)
    deletion.remove(session, kind=kind, number=number, cascade=True)
    assert _count(session, f"{kind}s") == 0
    assert _count(session, "tags") == 0
    assert _count(session, "tagging_probes") == 0
    if "run" in (*depending, kind):
        assert [_count(session, t) for t in ("curve_blocks", "epochs", "run_probes")] == [0] * 3
        assert [_count(session, t) for t in ("scores", "score_runs", "score_blocks")] == [0] * 3


def test_nothing_goes_while_a_job_is_at_work_on_it(session: Session) -> None:
    dataset = a_dataset(session)
    run = a_run(session, dataset)
    job = a_train_job(session, run)
    for kind, number in (("run", run.id), ("dataset", dataset.id)):
        with pytest.raises(
            Conflict, match=rf"Job {job.id} .*jobs/{job.id}/abort.* worker is dead .*python -m worker"
        ):
            deletion.remove(session, kind=kind, number=number, cascade=True)
    assert _count(session, "runs") == 1


def test_the_space_comes_back(database: Database) -> None:
    def size() -> int:
        with transaction(database.engine) as session:
            return session.scalar(text("SELECT pg_total_relation_size('curve_blocks')")) or 0

    before = size()
    with transaction(database.engine) as session:
        run = a_run(session, a_dataset(session))
        loss = np.random.default_rng(0).random(200_000, dtype=np.float32)
        for epoch in range(20):
            curves.write_epoch(session, run_id=run.id, epoch=epoch, channels={"loss": loss})
            runs.close_epoch(session, run_id=run.id, epoch=epoch, attempt=1, metrics={})
    full = size()
    assert full > before + 20 * loss.nbytes
    with transaction(database.engine) as session:
        deletion.remove(session, kind="run", number=run.id, cascade=False)
    deletion.reclaim(database.engine)
    assert size() < before + 0.02 * (full - before)
