"""Projects: what a key opens."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from sondage.errors import Conflict, NotFound
from store.paging import newest_first
from store.tables import Project

DEFAULT_PROJECT = "default"


def ensure(session: Session, *, name: str = DEFAULT_PROJECT) -> Project:
    """The project of this name, made if it is not there."""
    session.execute(insert(Project).values(name=name).on_conflict_do_nothing())
    return by_name(session, name=name)


def create(session: Session, *, name: str) -> Project:
    statement = insert(Project).values(name=name).on_conflict_do_nothing().returning(Project)
    project = session.scalars(statement).one_or_none()
    if project is None:
        raise Conflict(f"There is a project {name!r} already; choose another name.")
    return project


_BY_NAME = select(Project).where(Project.name == bindparam("name"))


def by_name(session: Session, *, name: str) -> Project:
    project = session.scalars(_BY_NAME, {"name": name}).one_or_none()
    if project is None:
        raise NotFound(f"There is no project {name!r}. `GET /api/v1/projects` lists them.")
    return project


def listed(
    session: Session, *, only: int | None = None, below: int | None = None, limit: int = 100
) -> tuple[Sequence[Project], int | None]:
    """`only` restricts the list to one project, for a key that opens no other."""
    statement = select(Project)
    if only is not None:
        statement = statement.where(Project.id == only)
    return newest_first(session, statement, number=Project.id, below=below, limit=limit)
