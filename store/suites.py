"""④ Suites: named, versioned sets of probes. The same definition under the same name is the same version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from sondage.errors import NotFound
from store.bulk import copy_in
from store.paging import newest_first
from store.tables import Dataset, Run, Suite, SuiteMember


def add(
    session: Session,
    *,
    project_id: int,
    name: str,
    digest: str,
    definition: dict[str, Any],
    dataset_id: int | None = None,
    examples_dataset_id: int | None = None,
    members: Sequence[tuple[int, str, str]] = (),
    notes: Sequence[str] = (),
) -> Suite:
    """The version with this digest, or a new one.

    Parameters
    ----------
    dataset_id, members
        Of an uploaded suite: the dataset whose examples it names, and (index, category, role) of each.
    examples_dataset_id, members
        Of one of the user's own examples: the dataset version that these are, and the same of each.
    notes
        What was noticed on the way.
    """
    key = {"key": f"suite/{project_id}/{name}"}
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), key)
    same_name = (Suite.project_id == project_id) & (Suite.name == name)
    there = session.scalars(select(Suite).where(same_name, Suite.digest == digest)).one_or_none()
    if there is not None:
        return there
    latest = session.scalar(select(func.max(Suite.version)).where(same_name)) or 0
    suite = Suite(
        project_id=project_id,
        name=name,
        version=latest + 1,
        kind=_kind(dataset_id, examples_dataset_id),
        digest=digest,
        definition=definition,
        dataset_id=dataset_id,
        examples_dataset_id=examples_dataset_id,
        notes=list(notes),
    )
    session.add(suite)
    session.flush()
    copy_in(
        session,
        "suite_members",
        ("suite_id", "index", "category", "role"),
        ("int8", "int8", "text", "text"),
        ((suite.id, *member) for member in members),
    )
    return suite


def _kind(dataset_id: int | None, examples_dataset_id: int | None) -> str:
    if examples_dataset_id is not None:
        return "examples"
    return "generated" if dataset_id is None else "uploaded"


def get(session: Session, *, project_id: int, suite_id: int) -> Suite:
    suite = session.scalars(
        select(Suite).where(Suite.project_id == project_id, Suite.id == suite_id)
    ).one_or_none()
    if suite is None:
        raise NotFound(f"There is no suite {suite_id} in this project.")
    return suite


def latest(session: Session, *, project_id: int, name: str) -> Suite | None:
    """The newest version of a name."""
    statement = select(Suite).where(Suite.project_id == project_id, Suite.name == name)
    return session.scalars(statement.order_by(Suite.version.desc()).limit(1)).one_or_none()


def members(session: Session, *, suite_id: int) -> Sequence[SuiteMember]:
    return session.scalars(
        select(SuiteMember).where(SuiteMember.suite_id == suite_id).order_by(SuiteMember.index)
    ).all()


def examples_of_run(session: Session, *, run: Run) -> Dataset | None:
    """The user's own examples of the suite that is planted in a run."""
    if run.suite_id is None:
        return None
    statement = select(Dataset).join(Suite, Suite.examples_dataset_id == Dataset.id)
    return session.scalars(statement.where(Suite.id == run.suite_id)).one_or_none()


ProbeCounts = dict[str, dict[str, int]]
"""Per category, how many known examples per role."""


def num_probes(session: Session, *, suite_ids: Sequence[int]) -> dict[int, ProbeCounts]:
    """Examples that suites name or bring along, by category and role."""
    by = (SuiteMember.suite_id, SuiteMember.category, SuiteMember.role)
    statement = (
        select(*by, func.count()).where(SuiteMember.suite_id.in_(suite_ids)).group_by(*by).order_by(*by)
    )
    counts: dict[int, ProbeCounts] = {suite_id: {} for suite_id in suite_ids}
    for suite_id, category, role, number in session.execute(statement):
        counts[suite_id].setdefault(category, {})[role] = number
    return counts


def listed(
    session: Session,
    *,
    project_id: int,
    name: str | None = None,
    kind: str | None = None,
    below: int | None = None,
    limit: int = 100,
) -> tuple[Sequence[Suite], int | None]:
    statement = select(Suite).where(Suite.project_id == project_id)
    if name is not None:
        statement = statement.where(Suite.name == name)
    if kind is not None:
        statement = statement.where(Suite.kind == kind)
    return newest_first(session, statement, number=Suite.id, below=below, limit=limit)
