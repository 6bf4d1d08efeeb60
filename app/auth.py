"""⑥ Who asks, and what they may: bearer keys with scopes, or anyone on a loopback address."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.errors import Unauthenticated
from sondage.errors import Forbidden
from store import keys

HOW_TO_MAKE_ONE = "`python -m app keys create --name me --scopes admin`"


@dataclass(frozen=True)
class Principal:
    """Whoever sent a request. `project_id` is None for one who may open all projects."""

    name: str
    project_id: int | None
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """`admin` includes the other scopes; they do not include each other. `read|record`: one of them will do."""
        if self.scopes.isdisjoint({*scope.split("|"), "admin"}):
            raise Forbidden(f"This key lacks the scope {scope.replace('|', ' or ')!r}; use one that has it.")

    def may_open(self, project_id: int) -> bool:
        return self.project_id is None or self.project_id == project_id


def on_this_machine(reviewer: str) -> Principal:
    """Whoever reaches an open server."""
    return Principal(reviewer, None, frozenset({"admin"}))


def by_key(session: Session, secret: str | None) -> Principal:
    """The owner of a living key.

    The key is looked up by its digest, so the time this takes tells nothing about how much of a guess was right.
    """
    if not secret:
        raise Unauthenticated("A key is needed: send `Authorization: Bearer <key>`.")
    key = keys.find(session, secret=secret)
    if key is None:
        raise Unauthenticated("This key is unknown or was revoked; ask the server's operator for another.")
    return Principal(key.name, key.project_id, frozenset(key.scopes))


def refuse_to_listen_without_keys(session: Session, *, host: str) -> None:
    """A server that others can reach does not start as long as nobody could be told from anybody.

    Raises
    ------
    Forbidden
        There is no living key.
    """
    if not keys.any_living(session):
        raise Forbidden(
            f"Sondage does not listen on {host} without keys. Make one with {HOW_TO_MAKE_ONE}, or listen on "
            "127.0.0.1 (SONDAGE_HOST) without SONDAGE_ALLOWED_HOSTS."
        )
