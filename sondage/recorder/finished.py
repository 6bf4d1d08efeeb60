"""③ What comes after the end of a run: its tags."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sondage.errors import Forbidden, Unavailable
from sondage.recorder.parts import Parts

if TYPE_CHECKING:
    from sondage.client.tagged import PendingTags


def tag(parts: Parts, *, suite: str | int | None, k: int | None, timeout_seconds: float) -> PendingTags:
    """Parameters and faults as of `Run.tag`."""
    if parts.sender is None or not parts.sender.finish(timeout_seconds):
        path = parts.outbox.folder.path
        raise Unavailable(f"The server does not have all of this run: sondage sync {path}, then tag it.")
    tagged: Any = import_module("sondage.client.tagged")
    try:
        pending: PendingTags = tagged.PendingTags.create(parts.connect(), parts.spec.run, suite=suite, k=k)
    except Forbidden as fault:
        raise Forbidden(f"{fault} To tag takes one of the scopes read,record: all is recorded.") from None
    return pending
