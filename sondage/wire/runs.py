"""⑥ Runs that a worker trains, and the epochs of any run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from sondage.wire.bodies import Answer, Name, Request, RunState
from sondage.wire.jobs import Job
from sondage.wire.taggings import Tagging


class RunCreate(Request):
    """Trains on a dataset with planted probes: one run per seed, each displacing other sources."""

    name: Name
    dataset_id: int
    suite: str | None = Field(
        default="default", description="Name of a suite of generators or own examples; null plants nothing."
    )
    recipe: dict[str, Any] = Field(default={}, description="Overrides of the dataset's default recipe.")
    seeds: list[int] = Field(default=[0, 1], min_length=1, max_length=8)
    tag: bool = Field(default=True, description="Tag with the default tagger when the last run has finished.")


class Run(Answer):
    id: int
    name: str
    dataset_id: int
    suite_id: int | None
    recipe: dict[str, Any]
    protocol: dict[str, Any]
    seed: int
    slot: int
    num_slots: int
    num_epochs: int
    num_rows: int
    epochs_done: int
    state: RunState
    job_id: int | None = None
    recorded: bool = Field(
        default=False,
        description="Trained and recorded by a loop of the user's own: no job, no recipe, and `seed` says nothing.",
    )
    created_at: datetime
    finished_at: datetime | None


class Epoch(Answer):
    epoch: int
    metrics: dict[str, Any] = Field(description="train_loss, train_accuracy, validation_accuracy, seconds, …")
    closed_at: datetime


class RunsCreated(Answer):
    runs: list[Run]
    jobs: list[Job]
    tagging: Tagging | None = None


class RunAborted(Answer):
    """A run that is to end, or has ended. One that a worker trains ends when its job does."""

    run: Run
    job: Job | None = Field(description="null where a loop of the user's own records it.")
