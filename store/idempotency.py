"""Requests that must not take effect twice: what was answered under a client's own key.

The key is claimed in the transaction of the request. A second request under it waits for the first to commit and
then repeats its answer; if the first failed, its claim is rolled back with it and the second one does the work.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from sondage.errors import Conflict
from store.tables import IdempotencyKey

KEPT = timedelta(days=7)


def claim(session: Session, *, project_id: int, key: str, request_digest: bytes) -> dict[str, Any] | None:
    """The answer that was given under this key, or None when the work is still to be done, by the caller.

    Raises
    ------
    Conflict
        The key was used for another request.
    """
    _forget_old(session, project_id)
    values = {"project_id": project_id, "key": key, "request_digest": request_digest}
    made = insert(IdempotencyKey).values(values).on_conflict_do_nothing().returning(IdempotencyKey.key)
    if session.scalar(made) is not None:
        return None
    there = session.get_one(IdempotencyKey, (project_id, key))
    if there.request_digest != request_digest:
        raise Conflict(f"The idempotency key {key!r} belongs to another request; use a new key for this one.")
    return there.answer


def remember(session: Session, *, project_id: int, key: str, answer: dict[str, Any]) -> None:
    of_key = (IdempotencyKey.project_id == project_id) & (IdempotencyKey.key == key)
    session.execute(update(IdempotencyKey).where(of_key).values(answer=answer))


def _forget_old(session: Session, project_id: int) -> None:
    old = IdempotencyKey.created_at < func.now() - KEPT
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.project_id == project_id, old))
