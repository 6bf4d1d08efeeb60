"""Decisions: what reviewers said of examples. Append-only; the newest of an example counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from store.paging import newest_first
from store.tables import Dataset, Decision


def append(
    session: Session,
    *,
    dataset: Dataset,
    index: int,
    decision: str,
    label: int | None = None,
    note: str = "",
    reviewer: str = "",
) -> Decision:
    made = Decision(
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        index=index,
        decision=decision,
        label=label,
        note=note,
        reviewer=reviewer,
    )
    session.add(made)
    session.flush()
    session.refresh(made)
    return made


def append_all(
    session: Session,
    *,
    dataset: Dataset,
    rows: Sequence[tuple[int, str, int | None, str]],
    reviewer: str = "",
) -> Sequence[Decision]:
    """Many at once, in order: (index, decision, label, note)."""
    values = [
        {
            "project_id": dataset.project_id,
            "dataset_id": dataset.id,
            "index": index,
            "decision": decision,
            "label": label,
            "note": note,
            "reviewer": reviewer,
        }
        for index, decision, label, note in rows
    ]
    statement = insert(Decision).returning(Decision, sort_by_parameter_order=True)
    return session.scalars(statement, values).all()


def newest(session: Session, *, dataset_id: int, indices: Sequence[int]) -> dict[int, Decision]:
    """The decision that counts, for each of these examples that has one."""
    statement = (
        select(Decision)
        .ext(distinct_on(Decision.index))
        .where(Decision.dataset_id == dataset_id, Decision.index.in_(indices))
        .order_by(Decision.index, Decision.id.desc())
    )
    return {decision.index: decision for decision in session.scalars(statement)}


def decided(session: Session, *, dataset_id: int, word: str | None = None) -> NDArray[np.int64]:
    """The examples whose newest decision is `word`, or that have any."""
    return np.fromiter(session.scalars(decided_statement(dataset_id=dataset_id, word=word)), np.int64)


def decided_statement(*, dataset_id: int, word: str | None = None) -> Select[int]:
    """The same as a statement, for others to filter by."""
    newest_ones = newest_words(dataset_id=dataset_id).subquery()
    statement = select(newest_ones.c.index)
    return statement if word is None else statement.where(newest_ones.c.decision == word)


def newest_words(*, dataset_id: int) -> Select[int, str]:
    """Index and newest decision of every example that has one, as a statement."""
    return (
        select(Decision.index, Decision.decision)
        .ext(distinct_on(Decision.index))
        .where(Decision.dataset_id == dataset_id)
        .order_by(Decision.index, Decision.id.desc())
    )


def listed(
    session: Session, *, dataset_id: int, below: int | None = None, limit: int = 100
) -> tuple[Sequence[Decision], int | None]:
    """The whole history, newest first."""
    statement = select(Decision).where(Decision.dataset_id == dataset_id)
    return newest_first(session, statement, number=Decision.id, below=below, limit=limit)
