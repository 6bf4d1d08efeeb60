"""The jobs, each a one-page story. What a kind of job needs is imported when it is done: only training needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from worker.context import Work


def job_of(kind: str, arguments: Mapping[str, Any]) -> Callable[[Work], None]:
    """What does a job of the kind `register`, `train` or `tag`, and settles it."""
    if kind == "register" and "inputs" in arguments:
        from worker.jobs.add_inputs import add_inputs

        return add_inputs
    if kind == "register":
        from worker.jobs.register import register

        return register
    if kind == "train":
        from worker.jobs.train import train_run

        return train_run
    if kind == "tag":
        from worker.jobs.tag import tag

        return tag
    raise ValueError(f"unknown kind of job {kind!r}")
