"""⑥ Rows of the store as bodies of the wire, where one needs more than its own row."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from sondage.wire import Run, Score, Tagging
from store import jobs, recording, runs, scores, taggings
from store import tables as t


def run_answers(session: Session, found: Sequence[t.Run]) -> list[Run]:
    """With the number of closed epochs and of the newest job, and whether a loop of the user's own records it."""
    numbers = [run.id for run in found]
    done = runs.epochs_done(session, run_ids=numbers)
    job_ids = jobs.of_runs(session, run_ids=numbers)
    recorded = recording.among(session, run_ids=numbers)
    return [
        Run.model_validate(
            _columns(run)
            | {
                "epochs_done": done.get(run.id, 0),
                "job_id": job_ids.get(run.id),
                "recorded": run.id in recorded,
            }
        )
        for run in found
    ]


def tagging_answers(session: Session, found: Sequence[t.Tagging]) -> list[Tagging]:
    """With the numbers of its runs and of its newest job, how many epochs it saw, and the held-out accuracy."""
    numbers = [tagging.id for tagging in found]
    run_ids = taggings.run_ids(session, tagging_ids=numbers)
    job_ids = jobs.of_taggings(session, tagging_ids=numbers)
    return [
        Tagging.model_validate(
            _columns(tagging)
            | {
                "run_ids": run_ids[tagging.id],
                "job_id": job_ids.get(tagging.id),
                "epochs": tagging.parameters.get(taggings.EPOCHS),
                "of_epochs": tagging.parameters.get(taggings.OF_EPOCHS),
                "held_out_accuracy": ((tagging.report or {}).get("overall") or {}).get("accuracy"),
            }
        )
        for tagging in found
    ]


def score_answers(session: Session, found: Sequence[t.Score]) -> list[Score]:
    run_ids = scores.run_ids(session, score_ids=[score.id for score in found])
    return [
        Score.model_validate(
            _columns(score) | {"run_ids": run_ids[score.id], "epochs": scores.epochs_of(score)}
        )
        for score in found
    ]


def _columns(row: t.Base) -> dict[str, object]:
    return {column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs}
