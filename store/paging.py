"""Lists in pages: newest first by number, each page starting below the last one seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

Row = TypeVar("Row")


def newest_first(
    session: Session,
    statement: Select[Row],
    *,
    number: InstrumentedAttribute[int],
    below: int | None,
    limit: int,
) -> tuple[Sequence[Row], int | None]:
    """One page of `statement`, and the number to go on below, or None on the last page."""
    if below is not None:
        statement = statement.where(number < below)
    rows = session.scalars(statement.order_by(number.desc()).limit(limit + 1)).all()
    return _cut(rows, number, limit)


def ascending(
    session: Session,
    statement: Select[Row],
    *,
    number: InstrumentedAttribute[int],
    above: int | None,
    limit: int,
) -> tuple[Sequence[Row], int | None]:
    """The same in ascending order, for examples and epochs."""
    if above is not None:
        statement = statement.where(number > above)
    rows = session.scalars(statement.order_by(number).limit(limit + 1)).all()
    return _cut(rows, number, limit)


def _cut(
    rows: Sequence[Row], number: InstrumentedAttribute[Any], limit: int
) -> tuple[Sequence[Row], int | None]:
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], int(getattr(rows[limit - 1], number.key))
