"""⑥ What went wrong, and how the server is."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from sondage.wire.bodies import Answer


class ProblemError(Answer):
    """One fault: of a field (`field`) or of a row of bulk input (`index`)."""

    code: str
    message: str
    field: str | None = None
    index: int | None = None


class Problem(Answer):
    """RFC 9457. `detail` says what to do."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[ProblemError] = Field(default=[])
    request_id: str


class Health(Answer):
    status: Literal["ok", "degraded"]
    version: str
    database: Literal["ok", "unreachable", "not_migrated"]
    worker_seen_at: datetime | None = Field(description="Last sign of life of any worker.")
