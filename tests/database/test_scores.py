"""Scores that are saved again, one after the other and at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from store import scores
from store.engine import Database, transaction
from store.tables import Dataset
from tests.rows import NUM_EXAMPLES, a_dataset, a_run

BLOCKED = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def _save(session: Session, dataset: Dataset, run_id: int, value: float) -> None:
    values = np.full(NUM_EXAMPLES, value, dtype=np.float32)
    scores.save(session, dataset=dataset, method="mean_loss", bad_end="high", run_ids=[run_id], values=values)


def test_two_sessions_that_save_the_same_score_take_turns(database: Database) -> None:
    with transaction(database.engine) as session:
        dataset = a_dataset(session)
        run_id = a_run(session, dataset).id

    def second() -> None:
        with transaction(database.engine) as session:
            _save(session, dataset, run_id, 2.0)

    with ThreadPoolExecutor(1) as threads:
        with transaction(database.engine) as session:
            _save(session, dataset, run_id, 1.0)
            waiting = threads.submit(second)
            while not waiting.done():
                with transaction(database.engine) as watching:
                    if watching.scalar(BLOCKED):
                        break
        waiting.result()
    with transaction(database.engine) as session:
        (score,) = scores.of_runs(session, dataset_id=dataset.id, run_ids=[run_id]).values()
        assert scores.values(session, score_id=score.id).tolist() == [2.0] * NUM_EXAMPLES
