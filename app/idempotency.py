"""⑥ `Idempotency-Key`: a request that makes something takes effect once, however often it is sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy.orm import Session

from store import idempotency
from store.tables import Project

Made = TypeVar("Made", bound=BaseModel)


@dataclass(frozen=True)
class Once:
    """One request that makes something: does it, or repeats what was answered before under the same key.

    Parameters
    ----------
    route
        Method and path; with the body they tell one request from another.
    key
        The client's; without one, each request counts.
    """

    session: Session
    route: str
    key: str | None

    def make(self, project: Project, kind: type[Made], request: Any, work: Callable[[], Made]) -> Made:
        """`work`'s answer, from now or from before. `request` is the body: a model, JSON or bytes."""
        if self.key is None:
            return work()
        digest = self._digest(request)
        before = idempotency.claim(self.session, project_id=project.id, key=self.key, request_digest=digest)
        if before is not None:
            return kind.model_validate(before)
        made = work()
        answer = made.model_dump(mode="json")
        idempotency.remember(self.session, project_id=project.id, key=self.key, answer=answer)
        return made

    def _digest(self, request: Any) -> bytes:
        if isinstance(request, BaseModel):
            request = request.model_dump(mode="json")
        body = request if isinstance(request, bytes) else json.dumps(request, sort_keys=True).encode()
        return hashlib.sha256(self.route.encode() + b"\n" + body).digest()
