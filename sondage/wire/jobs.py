"""⑥ Long work and how far it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict

from sondage.wire.bodies import Answer, JobState


class Progress(Answer):
    """`done` of `total` in `unit`; more keys by kind: epoch, num_epochs, examples_per_second, seconds_left."""

    model_config = ConfigDict(extra="allow", from_attributes=True)

    unit: str | None = None
    done: float | None = None
    total: float | None = None
    seconds_left: float | None = None
    examples_per_second: float | None = None


class Job(Answer):
    id: int
    kind: Literal["register", "train", "tag"]
    state: JobState
    attempt: int
    progress: Progress
    error: str | None
    result: dict[str, Any] | None
    dataset_id: int | None
    run_id: int | None
    tagging_id: int | None
    abort_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
