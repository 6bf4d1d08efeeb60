"""⑥ Scores."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from sondage.wire.bodies import Answer


class Score(Answer):
    id: int
    dataset_id: int
    method: str
    bad_end: Literal["high", "low"]
    run_ids: list[int]
    epochs: int | None = Field(default=None, description="Of the first so many epochs alone; null for all.")
    created_at: datetime
