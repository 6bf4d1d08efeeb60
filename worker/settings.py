"""Settings of the worker: `SONDAGE_…` variables, read once in `worker/__main__.py` and passed down."""

from __future__ import annotations

from pydantic import Field, model_validator

from store.settings import StoreSettings


class WorkerSettings(StoreSettings):
    """What a worker may read, how much, and how it behaves."""

    device: str = Field(default="auto", description="Where to train: auto, cpu, cuda, cuda:1 …")
    num_threads: int | None = Field(
        default=None, gt=0, description="Processor threads of a training; torch's own choice when unset."
    )
    concurrency: int = Field(default=1, gt=0, description="Jobs at a time; beside them, one tagging.")
    heartbeat_seconds: float = Field(
        default=2.0, gt=0, description="Between two signs of life of the worker."
    )
    stalled_seconds: float = Field(
        default=10.0, gt=0, description="Silence after which a worker's jobs are taken over."
    )
    max_attempts: int = Field(default=10, gt=0, description="Pick-ups of one job before it is given up.")
    max_source_bytes: int = Field(default=64 * 1024**3, gt=0, description="Largest source file that is read.")
    database_patience_seconds: float = Field(
        default=300.0, gt=0, description="How long a training waits for a lost database."
    )

    @model_validator(mode="after")
    def _longer_than_a_few_heartbeats(self) -> WorkerSettings:
        if self.stalled_seconds < max(1.0, 3 * self.heartbeat_seconds):
            raise ValueError(
                "stalled_seconds must be at least 1 and three times heartbeat_seconds, "
                "or a busy worker counts as dead"
            )
        return self
