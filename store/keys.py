"""Bearer keys: shown once, kept as a SHA-256 digest, scoped, revocable.

A key has 256 random bits, so a plain fast digest is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from sondage.errors import InvalidInput, NotFound
from store.tables import SCOPES, Key

PREFIX = "sdg_"


@dataclass(frozen=True)
class NewKey:
    """A key just made: `secret` is shown once and kept nowhere."""

    key: Key
    secret: str


def create(session: Session, *, name: str, scopes: Sequence[str], project_id: int | None = None) -> NewKey:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise InvalidInput(f"Unknown scopes {unknown}; choose from {', '.join(SCOPES)}.", field="scopes")
    secret = PREFIX + secrets.token_urlsafe(32)
    key = Key(
        project_id=project_id,
        name=name,
        prefix=secret[: len(PREFIX) + 6],
        digest=digest(secret),
        scopes=sorted(set(scopes)),
    )
    session.add(key)
    session.flush()
    return NewKey(key, secret)


def find(session: Session, *, secret: str) -> Key | None:
    """The living key with this secret."""
    statement = select(Key).where(Key.digest == digest(secret), Key.revoked_at.is_(None))
    return session.scalars(statement).one_or_none()


def any_living(session: Session) -> bool:
    return session.scalar(select(Key.id).where(Key.revoked_at.is_(None)).limit(1)) is not None


def listed(session: Session) -> Sequence[Key]:
    return session.scalars(select(Key).order_by(Key.id)).all()


def revoke(session: Session, *, key_id: int) -> None:
    statement = update(Key).where(Key.id == key_id, Key.revoked_at.is_(None)).values(revoked_at=func.now())
    if session.execute(statement.returning(Key.id)).one_or_none() is None:
        raise NotFound(f"There is no living key number {key_id}.")


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
