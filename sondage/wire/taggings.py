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
    epochs: int | None = Field(
        default=None,
        gt=0,
        description="Look at the first so many complete epochs alone, of runs that are still going too; all of them, "
        "when the last run has finished, when not given.",
    )
    now: bool = Field(
        default=False,
        description="Instead of `epochs`: look at as many as are complete in every run now, and wait for no run.",
    )


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
    epochs: int | None = Field(
        default=None, description="The first so many epochs were looked at alone; null for all."
    )
    of_epochs: int | None = Field(
        default=None,
        description="How many the longest of its runs is to have; null where nobody said, or all were looked at.",
    )
    held_out_accuracy: float | None = Field(
        default=None,
        description="0…1: share of the held-out probes with the right tag; null until it has finished.",
    )
    job_id: int | None = None
    created_at: datetime
    finished_at: datetime | None


class Report(Answer):
    tagging_id: int
    report: dict[str, Any]
