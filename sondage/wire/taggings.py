"""⑥ Taggings and their reports."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from sondage.wire.bodies import Answer, Calibration, Request, RunState


class TaggingCreate(Request):
    run_ids: list[int] = Field(min_length=1, max_length=16)
    suite_id: int | None = Field(default=None, description="The suite planted in the runs when not given.")
    tagger: Literal["evidence", "reference"] = Field(
        default="evidence",
        description="What the list is ordered by: evidence against the label, or the votes alone, as in the paper.",
    )
    k: int | None = Field(default=None, gt=0, description="Neighbours; from the suite's size when not given.")


class Tagging(Answer):
    id: int
    dataset_id: int
    suite_id: int
    run_ids: list[int]
    tagger: str
    parameters: dict[str, Any]
    categories: list[str]
    calibration: Calibration
    state: RunState
    job_id: int | None = None
    created_at: datetime
    finished_at: datetime | None


class Report(Answer):
    tagging_id: int
    report: dict[str, Any]
