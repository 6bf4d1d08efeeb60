"""⑥ What reviewers say of examples."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from sondage.wire.bodies import Answer, DecisionWord, Request


class DecisionIn(Request):
    index: int = Field(ge=0)
    decision: DecisionWord
    label: int | None = None
    note: str = ""


class Decision(Answer):
    id: int
    index: int
    decision: DecisionWord
    label: int | None
    note: str
    reviewer: str
    created_at: datetime
