"""Deleting a dataset, run, suite or tagging: naming what depends on it first, and giving its space back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, delete, or_, select, text
from sqlalchemy.orm import Session

from sondage.errors import Conflict
from store.tables import (
    OPEN_JOB_STATES,
    Dataset,
    Job,
    Run,
    Score,
    Suite,
    Tagging,
    TaggingProbe,
    TaggingRun,
    score_runs,
)

ORDER = ("tagging", "score", "run", "suite", "dataset")
"""Dependants first."""

CLASSES: dict[str, type[Tagging] | type[Score] | type[Run] | type[Suite] | type[Dataset]] = {
    "tagging": Tagging,
    "score": Score,
    "run": Run,
    "suite": Suite,
    "dataset": Dataset,
}

VACUUMED = ("curve_blocks", "curve_parts", "score_blocks", "tags", "tagging_probes", "examples", "run_probes")


@dataclass(frozen=True)
class Subject:
    """A thing that can be deleted: `kind` is one of `ORDER`."""

    kind: str
    id: int
    name: str


def dependants(session: Session, *, kind: str, number: int) -> list[Subject]:
    """All that cannot stay when the thing goes, in the order in which it is to be deleted."""
    found: dict[tuple[str, int], Subject] = {}
    pending = [(kind, number)]
    while pending:
        for subject in _direct(session, *pending.pop()):
            if (subject.kind, subject.id) not in found:
                found[subject.kind, subject.id] = subject
                pending.append((subject.kind, subject.id))
    return sorted(found.values(), key=lambda subject: (ORDER.index(subject.kind), subject.id))


def _direct(session: Session, kind: str, number: int) -> list[Subject]:
    if kind == "dataset":
        return (
            _runs(session, Run.dataset_id == number)
            + _suites(session, number)
            + _taggings(session, Tagging.dataset_id == number)
        )
    if kind == "suite":
        return _runs(session, Run.suite_id == number) + _taggings(session, Tagging.suite_id == number)
    if kind == "run":
        looked_at = select(TaggingRun.tagging_id).where(TaggingRun.run_id == number)
        took_probes = select(TaggingProbe.tagging_id).where(TaggingProbe.run_id == number)
        return _taggings(session, or_(Tagging.id.in_(looked_at), Tagging.id.in_(took_probes))) + _scores(
            session, number
        )
    return []


def _runs(session: Session, condition: object) -> list[Subject]:
    rows = session.execute(select(Run.id, Run.name).where(condition))  # type: ignore[arg-type]  # a SQL expression
    return [Subject("run", number, name) for number, name in rows]


def _suites(session: Session, dataset_id: int) -> list[Subject]:
    """Those that name its examples, and those whose own examples it holds."""
    needing = or_(Suite.dataset_id == dataset_id, Suite.examples_dataset_id == dataset_id)
    rows = session.execute(select(Suite.id, Suite.name).where(needing))
    return [Subject("suite", number, name) for number, name in rows]


def _taggings(session: Session, condition: object) -> list[Subject]:
    rows = session.execute(select(Tagging.id, Tagging.tagger).where(condition))  # type: ignore[arg-type]  # the same
    return [Subject("tagging", number, name) for number, name in rows]


def _scores(session: Session, run_id: int) -> list[Subject]:
    """Averages that the run is part of: without it nobody could tell what they are of."""
    of_run = select(score_runs.c.score_id).where(score_runs.c.run_id == run_id)
    rows = session.execute(select(Score.id, Score.method).where(Score.id.in_(of_run)))
    return [Subject("score", number, method) for number, method in rows]


def remove(session: Session, *, kind: str, number: int, cascade: bool) -> list[Subject]:
    """Delete the thing and, with `cascade`, what depends on it.

    Returns
    -------
    The dependants that went with it. Folders are the caller's to remove once the transaction is committed.

    Raises
    ------
    Conflict
        Something depends on it and `cascade` was not given, or work on it is still open.
    """
    depending = dependants(session, kind=kind, number=number)
    if depending and not cascade:
        raise Conflict(
            f"{_listing(depending)} depend on {kind} {number}. Delete them first, or ask for cascade."
        )
    everything = [*depending, Subject(kind, number, "")]
    _refuse_open_work(session, everything)
    for subject in everything:
        table = CLASSES[subject.kind]
        session.execute(delete(table).where(table.id == subject.id))
    return depending


def _refuse_open_work(session: Session, subjects: Sequence[Subject]) -> None:
    def numbers(kind: str) -> list[int]:
        return [subject.id for subject in subjects if subject.kind == kind]

    concerned = or_(
        Job.dataset_id.in_(numbers("dataset")),
        Job.run_id.in_(numbers("run")),
        Job.tagging_id.in_(numbers("tagging")),
    )
    statement = select(Job.id).where(concerned, Job.state.in_(OPEN_JOB_STATES)).limit(1)
    job_id = session.scalar(statement.with_for_update())
    if job_id is not None:
        raise Conflict(
            f"Job {job_id} is still at work on it. Abort it first (POST …/jobs/{job_id}/abort), or wait for its end. "
            "A running job whose worker is dead ends once another worker runs (`python -m worker`)."
        )


def _listing(subjects: Sequence[Subject]) -> str:
    """The first ten by name, scores last: there is one per method, and they are the least missed."""
    ordered = sorted(subjects, key=lambda subject: subject.kind == "score")
    names = [f"{subject.kind} {subject.id} ({subject.name})" for subject in ordered[:10]]
    more = len(ordered) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def reclaim(engine: Engine) -> None:
    """Give the space of deleted rows back: to the system where it lies at a table's end, else to the next rows."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in VACUUMED:
            connection.execute(text(f"VACUUM (ANALYZE) {table}"))
