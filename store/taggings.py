"""⑤ Taggings: one tagger applied to the curves of some runs against one suite, with its probes and its report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from sondage.errors import InvalidInput, NotFound
from store.bulk import copy_in, fetch_binary
from store.paging import newest_first
from store.tables import Run, Tagging, TaggingProbe, TaggingRun

EPOCHS = "epochs"
"""In a tagging's parameters: it looks at the first so many closed epochs of each run, and no others."""
OF_EPOCHS = "of_epochs"
"""Beside it: how many the longest of the runs is to have."""


def is_early() -> ColumnElement[bool]:
    """A tagging by the first epochs of its runs: what these record later is nothing to it."""
    found: ColumnElement[bool] = Tagging.parameters.has_key(EPOCHS)
    return found


def create(
    session: Session,
    *,
    project_id: int,
    runs: Sequence[Run],
    suite_id: int,
    tagger: str,
    parameters: dict[str, Any] | None = None,
) -> Tagging:
    """A queued tagging. Its job is made when all its runs have finished (`defer_if_ready`).

    With `epochs` in its parameters it looks at the first so many closed epochs alone, which never change: it waits for
    nothing, and what becomes of its runs is nothing to it.

    Raises
    ------
    InvalidInput
        The runs are not all of one dataset version.
    """
    if len({run.dataset_id for run in runs}) != 1:
        raise InvalidInput("All runs of a tagging must be of the same dataset version.", field="run_ids")
    # A run that finishes meanwhile either waits for this transaction and sees the tagging, or is seen finished here.
    numbers = [run.id for run in runs]
    session.execute(select(Run.id).where(Run.id.in_(numbers)).order_by(Run.id).with_for_update())
    tagging = Tagging(
        project_id=project_id,
        dataset_id=runs[0].dataset_id,
        suite_id=suite_id,
        tagger=tagger,
        parameters=parameters or {},
        categories=[],
        calibration="none",
        state="queued",
    )
    session.add(tagging)
    session.flush()
    for position, run in enumerate(runs):
        session.add(TaggingRun(tagging_id=tagging.id, run_id=run.id, position=position))
    session.flush()
    session.refresh(tagging)
    return tagging


def defer_if_ready(session: Session, *, tagging: Tagging) -> None:
    """Make the tagging's job once every run has finished, at once for an early one. The caller holds the tagging, or
    has just made it."""
    from store import jobs

    states = session.scalars(
        select(Run.state)
        .join(TaggingRun, TaggingRun.run_id == Run.id)
        .where(TaggingRun.tagging_id == tagging.id)
        .execution_options(populate_existing=True)
    ).all()
    if EPOCHS in tagging.parameters or all(state == "finished" for state in states):
        jobs.create(session, project_id=tagging.project_id, kind="tag", tagging_id=tagging.id)


def hold_waiting(session: Session, *, run_id: int) -> Sequence[Tagging]:
    """Lock the queued taggings that wait for a run.

    Called before the run's own row is changed: of two runs that finish at once, one then waits here for the other,
    holding nothing that the other wants, and sees its end.
    """
    statement = (
        select(Tagging)
        .join(TaggingRun, TaggingRun.tagging_id == Tagging.id)
        .where(TaggingRun.run_id == run_id, Tagging.state == "queued", ~is_early())
        .order_by(Tagging.id)
        .with_for_update(of=Tagging)
    )
    return session.scalars(statement).all()


def run_has_ended(session: Session, *, run_id: int, state: str) -> None:
    """Wake the queued taggings that wait for a run, or end them with it. One may have come since `hold_waiting`."""
    for tagging in hold_waiting(session, run_id=run_id):
        if state == "finished":
            defer_if_ready(session, tagging=tagging)
        else:
            set_state(session, tagging_id=tagging.id, state=state)


def get(session: Session, *, project_id: int, tagging_id: int) -> Tagging:
    statement = select(Tagging).where(Tagging.project_id == project_id, Tagging.id == tagging_id)
    tagging = session.scalars(statement).one_or_none()
    if tagging is None:
        raise NotFound(f"There is no tagging {tagging_id} in this project.")
    return tagging


def listed(
    session: Session,
    *,
    project_id: int,
    dataset_id: int | None = None,
    run_id: int | None = None,
    below: int | None = None,
    limit: int = 100,
) -> tuple[Sequence[Tagging], int | None]:
    statement = select(Tagging).where(Tagging.project_id == project_id)
    if dataset_id is not None:
        statement = statement.where(Tagging.dataset_id == dataset_id)
    if run_id is not None:
        of_run = select(TaggingRun.tagging_id).where(TaggingRun.run_id == run_id)
        statement = statement.where(Tagging.id.in_(of_run))
    return newest_first(session, statement, number=Tagging.id, below=below, limit=limit)


def run_ids(session: Session, *, tagging_ids: Sequence[int]) -> dict[int, list[int]]:
    """The runs of each tagging, in order."""
    statement = (
        select(TaggingRun.tagging_id, TaggingRun.run_id)
        .where(TaggingRun.tagging_id.in_(tagging_ids))
        .order_by(TaggingRun.tagging_id, TaggingRun.position)
    )
    numbers: dict[int, list[int]] = {tagging_id: [] for tagging_id in tagging_ids}
    for tagging_id, run_id in session.execute(statement):
        numbers[tagging_id].append(run_id)
    return numbers


def set_state(session: Session, *, tagging_id: int, state: str) -> None:
    ended = func.now() if state in ("finished", "failed", "aborted") else None
    session.execute(update(Tagging).where(Tagging.id == tagging_id).values(state=state, finished_at=ended))


def save_report(
    session: Session, *, tagging_id: int, categories: Sequence[str], calibration: str, report: dict[str, Any]
) -> None:
    values = {"categories": list(categories), "calibration": calibration, "report": report}
    session.execute(update(Tagging).where(Tagging.id == tagging_id).values(values))


def save_probes(
    session: Session, *, tagging_id: int, probes: Iterable[tuple[int, int, str, str, int | None]]
) -> None:
    """Replace the probes a tagging used by (run_id, row, category, role, source_row)."""
    session.execute(TaggingProbe.__table__.delete().where(TaggingProbe.tagging_id == tagging_id))  # type: ignore[attr-defined]  # a Table
    copy_in(
        session,
        "tagging_probes",
        ("tagging_id", "run_id", "row", "category", "role", "source_row"),
        ("int8", "int8", "int8", "text", "text", "int8"),
        ((tagging_id, *probe) for probe in probes),
    )


@dataclass(frozen=True, slots=True)
class UsedProbe:
    """A probe of one run that a tagging used. As mapped objects, 1,500 of them took 20 ms."""

    row: int
    category: str
    role: str
    source_row: int | None


def probes(session: Session, *, tagging_id: int, run_id: int) -> list[UsedProbe]:
    """The probes of one run that a tagging used, by row."""
    query = (
        "SELECT row, category, role, source_row FROM tagging_probes WHERE tagging_id = %s AND run_id = %s"
        " ORDER BY row"
    )
    return [UsedProbe(*found) for found in fetch_binary(session, query, [tagging_id, run_id])]
