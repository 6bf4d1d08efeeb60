"""⑤ Tags are rows, since people filter, sort and count them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session

from sondage.errors import NotFound
from store import decisions
from store.bulk import copy_in
from store.tables import Decision, Tag

UNSURE = -1
COLUMNS = (
    "tagging_id",
    "index",
    "position",
    "tag",
    "suspicion",
    "label",
    "suggested_label",
    "displaced",
    "probabilities",
)
TYPES = ("int8", "int8", "int8", "int2", "float4", "int4", "int4", "bool", "float4[]")


@dataclass(frozen=True)
class Filter:
    """Which tags of a tagging: all that are given must hold."""

    tag: int | None = None
    label: int | None = None
    suggested_label: int | None = None
    min_suspicion: float | None = None
    max_suspicion: float | None = None
    decision: str | None = None
    """A decision word, or `none` for examples that nobody has decided on."""

    def conditions(self, *, dataset_id: int) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.tag is not None:
            found.append(Tag.tag == self.tag)
        if self.label is not None:
            found.append(Tag.label == self.label)
        if self.suggested_label is not None:
            found.append(Tag.suggested_label == self.suggested_label)
        if self.min_suspicion is not None:
            found.append(Tag.suspicion >= self.min_suspicion)
        if self.max_suspicion is not None:
            found.append(Tag.suspicion <= self.max_suspicion)
        if self.decision is not None:
            found.append(_decided(self.decision, dataset_id))
        return found

    @property
    def is_empty(self) -> bool:
        return self == Filter()


def _decided(word: str, dataset_id: int) -> ColumnElement[bool]:
    """By one pass over the dataset's decisions: a look at each tag's newest one would be a look per tag."""
    if word == "none":
        return ~exists().where(Decision.dataset_id == dataset_id, Decision.index == Tag.index)
    return Tag.index.in_(decisions.decided_statement(dataset_id=dataset_id, word=word))


def write(session: Session, *, tagging_id: int, rows: Iterable[Sequence[Any]]) -> None:
    """Replace the tags of a tagging by (index, position, tag, suspicion, label, suggested_label, displaced,
    probabilities)."""
    session.execute(Tag.__table__.delete().where(Tag.tagging_id == tagging_id))  # type: ignore[attr-defined]  # a Table
    copy_in(session, "tags", COLUMNS, TYPES, ((tagging_id, *row) for row in rows))


def get(session: Session, *, tagging_id: int, index: int) -> Tag:
    tag = session.get(Tag, (tagging_id, index))
    if tag is None:
        raise NotFound(
            f"Tagging {tagging_id} has no tag for example {index}; only the train split is tagged."
        )
    return tag


def listed(
    session: Session,
    *,
    tagging_id: int,
    dataset_id: int,
    where: Filter,
    order_by: str = "suspicion",
    after: int | None = None,
    limit: int = 100,
) -> tuple[Sequence[Tag], int | None]:
    """One page by `suspicion` (worst first) or by `index`, and the place to go on after."""
    place = Tag.index if order_by == "index" else Tag.position
    statement = _matching(select(Tag), tagging_id, dataset_id, where)
    if after is not None:
        statement = statement.where(place > after)
    rows = session.scalars(statement.order_by(place).limit(limit + 1)).all()
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], int(getattr(rows[limit - 1], place.key))


def matching_indices(
    session: Session, *, tagging_id: int, dataset_id: int, where: Filter
) -> NDArray[np.int64]:
    """The examples under a filter, ascending: for lists sorted by a score."""
    statement = _matching(select(Tag.index), tagging_id, dataset_id, where).order_by(Tag.index)
    return np.fromiter(session.scalars(statement), np.int64)


def of_indices(session: Session, *, tagging_id: int, indices: Sequence[int]) -> list[Tag]:
    """The tags of some examples, in the order asked for."""
    statement = select(Tag).where(Tag.tagging_id == tagging_id, Tag.index.in_(indices))
    found = {tag.index: tag for tag in session.scalars(statement)}
    return [found[index] for index in indices if index in found]


def count(session: Session, *, tagging_id: int, dataset_id: int, where: Filter) -> int:
    return (
        session.scalar(_matching(select(func.count()).select_from(Tag), tagging_id, dataset_id, where)) or 0
    )


def facet(
    session: Session, *, tagging_id: int, dataset_id: int, where: Filter, column: str
) -> dict[int, int]:
    """How many tags there are per value of `tag` or `label`."""
    value = {"tag": Tag.tag, "label": Tag.label}[column]
    statement = _matching(select(value, func.count()), tagging_id, dataset_id, where).group_by(value)
    return {int(number): amount for number, amount in session.execute(statement)}


def _matching(
    statement: Select[*tuple[Any, ...]], tagging_id: int, dataset_id: int, where: Filter
) -> Select[*tuple[Any, ...]]:
    return statement.where(Tag.tagging_id == tagging_id, *where.conditions(dataset_id=dataset_id))
