"""① Examples: `index`, the user's `key`, the given label, the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from sondage.errors import NotFound
from store.bulk import fetch_binary
from store.paging import ascending
from store.tables import Example


@dataclass(frozen=True)
class ExampleColumns:
    """All examples of a dataset as columns, in order.

    `labels` int64 [N], `splits` str [N] (train, validation or test).
    """

    labels: NDArray[np.int64]
    splits: NDArray[np.str_]

    @property
    def train_rows(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.splits == "train")

    @property
    def validation_rows(self) -> NDArray[np.int64]:
        """The validation split, or the test split of a dataset without one."""
        rows = np.flatnonzero(self.splits == "validation")
        return rows if rows.size else np.flatnonzero(self.splits == "test")


def columns(session: Session, *, dataset_id: int) -> ExampleColumns:
    query = 'SELECT label, split FROM examples WHERE dataset_id = %s ORDER BY "index"'
    rows = list(fetch_binary(session, query, [dataset_id]))
    return ExampleColumns(
        labels=np.fromiter((row[0] for row in rows), np.int64, len(rows)),
        splits=np.array([row[1] for row in rows], dtype="U10"),
    )


def get(session: Session, *, dataset_id: int, index: int) -> Example:
    example = session.get(Example, (dataset_id, index))
    if example is None:
        raise NotFound(f"Dataset {dataset_id} has no example {index}.")
    return example


def listed(
    session: Session,
    *,
    dataset_id: int,
    label: int | None = None,
    split: str | None = None,
    key: str | None = None,
    above: int | None = None,
    limit: int = 100,
) -> tuple[Sequence[Example], int | None]:
    statement = select(Example).where(Example.dataset_id == dataset_id)
    if label is not None:
        statement = statement.where(Example.label == label)
    if split is not None:
        statement = statement.where(Example.split == split)
    if key is not None:
        statement = statement.where(Example.key == key)
    return ascending(session, statement, number=Example.index, above=above, limit=limit)


def keys(session: Session, *, dataset_id: int, indices: Sequence[int]) -> dict[int, str]:
    """The keys of some examples, by index."""
    # A join, here and below: `= ANY` reads the whole dataset while a new table has no statistics (1.28 M examples,
    # 5,000 of them wanted: 7 s, joined 0.01 s).
    query = (
        'SELECT "index", key FROM unnest(%s::int8[]) AS wanted ("index") JOIN examples USING ("index")'
        " WHERE dataset_id = %s"
    )
    return dict(fetch_binary(session, query, [list(indices), dataset_id]))


def all_keys(session: Session, *, dataset_id: int) -> list[str]:
    """The keys of all examples, in order."""
    query = 'SELECT key FROM examples WHERE dataset_id = %s ORDER BY "index"'
    return [key for (key,) in fetch_binary(session, query, [dataset_id])]


def key_lines(session: Session, *, dataset_id: int, start: int, stop: int) -> bytes:
    """The keys of the examples from `start` to before `stop`, in order, as UTF-8, each with a line's end behind it.

    No key has a line's end in it: control characters are refused wherever examples come in.
    """
    query = (
        """SELECT convert_to(string_agg(key || chr(10), '' ORDER BY "index"), 'UTF8') FROM examples"""
        """ WHERE dataset_id = %s AND "index" >= %s AND "index" < %s"""
    )
    ((found,),) = fetch_binary(session, query, [dataset_id, start, stop])
    return bytes(found or b"")


def labels(session: Session, *, dataset_id: int, indices: Sequence[int]) -> dict[int, int]:
    """The given labels of some examples, by index."""
    query = (
        'SELECT "index", label FROM unnest(%s::int8[]) AS wanted ("index") JOIN examples USING ("index")'
        " WHERE dataset_id = %s"
    )
    return dict(fetch_binary(session, query, [list(indices), dataset_id]))


def used_labels(session: Session, *, dataset_id: int) -> list[int]:
    """The classes that occur, ascending."""
    found = select(Example.label).where(Example.dataset_id == dataset_id).distinct().order_by(Example.label)
    return list(session.scalars(found))


def indices_of(session: Session, *, dataset_id: int, keys: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Index and split of each key that exists."""
    query = (
        'SELECT key, "index", split FROM unnest(%s::text[]) AS wanted (key) JOIN examples USING (key)'
        " WHERE dataset_id = %s"
    )
    rows = fetch_binary(session, query, [list(keys), dataset_id])
    return {key: (index, split) for key, index, split in rows}
