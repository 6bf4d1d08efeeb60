"""⑤ Tags are rows, since people filter, sort and count them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, delete, exists, func, select
from sqlalchemy.orm import Session

from sondage.errors import NotFound
from store import decisions
from store.bulk import BulkColumn, copy_columns, fetch_binary
from store.moved_tags import Moved
from store.tables import Decision, Tag, Tagging

UNSURE = -1


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
    in_all_seeds: bool | None = None
    """Two runs at least trained the example, and its tag as it was written is the same in all of them; false: not in
    all. Of a moved tag it is not known."""
    moved: Moved | None = None
    """Tags at another threshold than they were written with; what is asked of tags is asked of those."""

    @property
    def tag_number(self) -> ColumnElement[int]:
        """The category that a tag counts as."""
        return Tag.tag.expression if self.moved is None else self.moved.number()

    def conditions(self, *, dataset_id: int) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.tag is not None:
            found.append(self.tag_number == self.tag)
        if self.label is not None:
            found.append(Tag.label == self.label)
        if self.suggested_label is not None:
            found.append(Tag.suggested_label == self.suggested_label)
        if self.min_suspicion is not None:
            found.append(Tag.suspicion >= self.min_suspicion)
        if self.max_suspicion is not None:
            found.append(Tag.suspicion <= self.max_suspicion)
        if self.in_all_seeds is not None:
            found.append(Tag.runs_trained >= 2)
            same = Tag.runs_agreeing == Tag.runs_trained
            found.append(same if self.in_all_seeds else ~same)
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


@dataclass(frozen=True)
class TagColumns:
    """The tags of a tagging, column by column.

    Parameters
    ----------
    index, position : int64 arrays, shape (n,)
        Of the example; its place in the suspicious list, 0 worst.
    tag : int16 array, shape (n,)
        Number of the category, −1 `unsure`.
    suspicion : float32 array, shape (n,)
        0…1, NaN where there is none; `probabilities`, float32, shape (n, categories), says nothing there.
    label, suggested_label : int32 arrays, shape (n,)
        The given label; the suggested one, −1 where there is none.
    displaced : bool array, shape (n,)
    runs_trained, runs_agreeing : int16 arrays, shape (n,), optional
        Runs that trained the example, and those of them whose own tag is the tag.
    """

    index: NDArray[np.int64]
    position: NDArray[np.int64]
    tag: NDArray[np.int16]
    suspicion: NDArray[np.float32]
    label: NDArray[np.int32]
    suggested_label: NDArray[np.int32]
    displaced: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    runs_trained: NDArray[np.int16] | None = None
    runs_agreeing: NDArray[np.int16] | None = None


def write(session: Session, *, tagging_id: int, columns: TagColumns) -> None:
    """Replace the tags of a tagging. It is locked against deletion, as a foreign key would do row by row.

    Raises
    ------
    NotFound
        There is no such tagging any more.
    """
    if session.get(Tagging, tagging_id, with_for_update={"read": True, "key_share": True}) is None:
        raise NotFound(f"There is no tagging {tagging_id} any more.")
    session.execute(delete(Tag).where(Tag.tagging_id == tagging_id))
    unseen = np.isnan(columns.suspicion)
    # By place: the index by position then grows at its end alone, and its pages are full; that by tag grows at a few
    # ends (docs/benchmarks/tagging.md).
    copy_columns(
        session,
        "tags",
        {
            "tagging_id": BulkColumn(np.full(len(columns.index), tagging_id, dtype=np.int64)),
            "index": BulkColumn(columns.index),
            "position": BulkColumn(columns.position),
            "tag": BulkColumn(columns.tag),
            "suspicion": BulkColumn(columns.suspicion, unseen),
            "label": BulkColumn(columns.label),
            "suggested_label": BulkColumn(columns.suggested_label, columns.suggested_label < 0),
            "displaced": BulkColumn(columns.displaced),
            "probabilities": BulkColumn(columns.probabilities, unseen),
            "runs_trained": _optional(columns.runs_trained, len(columns.index)),
            "runs_agreeing": _optional(columns.runs_agreeing, len(columns.index)),
        },
        order=np.argsort(columns.position),
    )


def _optional(values: NDArray[np.int16] | None, num: int) -> BulkColumn:
    """Null throughout where nothing is known."""
    if values is not None:
        return BulkColumn(values)
    return BulkColumn(np.zeros(num, dtype=np.int16), np.ones(num, dtype=np.bool_))


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


@dataclass(frozen=True)
class TagsInBulk:
    """All tags of a tagging, by index: `index` and `position` int64, `tag` int16, `ranked` bool (with a suspicion)."""

    index: NDArray[np.int64]
    tag: NDArray[np.int16]
    position: NDArray[np.int64]
    ranked: NDArray[np.bool_]


def in_bulk(session: Session, *, tagging_id: int) -> TagsInBulk:
    """Columns as four values of bytes, put together by the database: rows of Python numbers would take seconds."""
    query = (
        "SELECT string_agg(int8send(index), '' ORDER BY index), string_agg(int2send(tag), '' ORDER BY index),"
        " string_agg(int8send(position), '' ORDER BY index),"
        " string_agg(boolsend(suspicion IS NOT NULL), '' ORDER BY index) FROM tags WHERE tagging_id = %s"
    )
    ((index, tag, position, ranked),) = fetch_binary(session, query, [tagging_id])
    return TagsInBulk(
        np.frombuffer(index or b"", ">i8").astype(np.int64),
        np.frombuffer(tag or b"", ">i2").astype(np.int16),
        np.frombuffer(position or b"", ">i8").astype(np.int64),
        np.frombuffer(ranked or b"", np.bool_),
    )


def count(session: Session, *, tagging_id: int, dataset_id: int, where: Filter) -> int:
    return (
        session.scalar(_matching(select(func.count()).select_from(Tag), tagging_id, dataset_id, where)) or 0
    )


def facet(
    session: Session, *, tagging_id: int, dataset_id: int, where: Filter, column: str
) -> dict[int, int]:
    """How many tags there are per value of `tag` or `label`."""
    value = where.tag_number if column == "tag" else Tag.label.expression
    statement = _matching(select(value, func.count()), tagging_id, dataset_id, where).group_by(value)
    return {int(number): amount for number, amount in session.execute(statement)}


def _matching(
    statement: Select[*tuple[Any, ...]], tagging_id: int, dataset_id: int, where: Filter
) -> Select[*tuple[Any, ...]]:
    return statement.where(Tag.tagging_id == tagging_id, *where.conditions(dataset_id=dataset_id))
