"""⑤ Scores are slabs: a float per example by a named method, averaged over some runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from sondage.errors import NotFound
from store.bulk import copy_in, fetch_binary
from store.paging import newest_first
from store.tables import SHARD_ROWS, Dataset, Score, score_runs


def save(
    session: Session,
    *,
    dataset: Dataset,
    method: str,
    bad_end: str,
    run_ids: Sequence[int],
    values: NDArray[np.float32],
    epochs: int | None = None,
) -> Score:
    """Store a score of these runs, in place of the same one from earlier.

    Parameters
    ----------
    epochs
        Of their first so many epochs alone; of all when not given.
    values
        float32 [N], NaN where an example has none.
    """
    digest = runs_digest(run_ids, epochs)
    _one_after_the_other(session, dataset.id, method, digest)
    session.execute(
        delete(Score).where(
            Score.dataset_id == dataset.id, Score.method == method, Score.runs_digest == digest
        )
    )
    score = Score(
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        method=method,
        bad_end=bad_end,
        runs_digest=digest,
    )
    session.add(score)
    session.flush()
    session.execute(insert(score_runs), [{"score_id": score.id, "run_id": run_id} for run_id in run_ids])
    little = np.ascontiguousarray(values, dtype="<f4")
    blocks = (
        (score.id, shard, memoryview(little[start : start + SHARD_ROWS].data).cast("B"))
        for shard, start in enumerate(range(0, len(little), SHARD_ROWS))
    )
    copy_in(session, "score_blocks", ("score_id", "shard", "data"), ("int8", "int4", "bytea"), blocks)
    return score


def _one_after_the_other(session: Session, dataset_id: int, method: str, digest: str) -> None:
    """Until the transaction ends. Else two that delete nothing would both insert, and one of them fail."""
    session.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"score/{dataset_id}/{method}/{digest}", 0)))
    )


def values(session: Session, *, score_id: int) -> NDArray[np.float32]:
    """float32 [N], NaN where an example has no score."""
    query = "SELECT data FROM score_blocks WHERE score_id = %s ORDER BY shard"
    blocks = [np.frombuffer(data, "<f4") for (data,) in fetch_binary(session, query, [score_id])]
    return np.concatenate(blocks).astype(np.float32) if blocks else np.empty(0, np.float32)


def get(session: Session, *, project_id: int, score_id: int) -> Score:
    score = session.scalars(
        select(Score).where(Score.project_id == project_id, Score.id == score_id)
    ).one_or_none()
    if score is None:
        raise NotFound(f"There is no score {score_id} in this project.")
    return score


def of_runs(
    session: Session, *, dataset_id: int, run_ids: Sequence[int], epochs: int | None = None
) -> dict[str, Score]:
    """The scores averaged over exactly these runs, of their first `epochs` or of all, by method."""
    digest = runs_digest(run_ids, epochs)
    statement = select(Score).where(Score.dataset_id == dataset_id, Score.runs_digest == digest)
    return {score.method: score for score in session.scalars(statement)}


def listed(
    session: Session,
    *,
    project_id: int,
    dataset_id: int | None = None,
    method: str | None = None,
    below: int | None = None,
    limit: int = 100,
) -> tuple[Sequence[Score], int | None]:
    statement = select(Score).where(Score.project_id == project_id)
    if dataset_id is not None:
        statement = statement.where(Score.dataset_id == dataset_id)
    if method is not None:
        statement = statement.where(Score.method == method)
    return newest_first(session, statement, number=Score.id, below=below, limit=limit)


def runs_digest(run_ids: Sequence[int], epochs: int | None = None) -> str:
    """Names a set of runs: their numbers, ascending, joined by commas; behind an @, how many of their epochs."""
    numbers = ",".join(str(run_id) for run_id in sorted(set(run_ids)))
    return numbers if epochs is None else f"{numbers}@{epochs}"


def epochs_of(score: Score) -> int | None:
    """How many of the runs' epochs a score is of; None for all."""
    _, _, epochs = score.runs_digest.partition("@")
    return int(epochs) if epochs else None


def run_ids(session: Session, *, score_ids: Sequence[int]) -> dict[int, list[int]]:
    """The runs that each score was averaged over, ascending."""
    statement = (
        select(score_runs.c.score_id, score_runs.c.run_id)
        .where(score_runs.c.score_id.in_(score_ids))
        .order_by(score_runs.c.score_id, score_runs.c.run_id)
    )
    numbers: dict[int, list[int]] = {score_id: [] for score_id in score_ids}
    for score_id, run_id in session.execute(statement):
        numbers[score_id].append(run_id)
    return numbers
