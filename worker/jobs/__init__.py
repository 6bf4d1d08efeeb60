"""The jobs, each a one-page story. What a kind of job needs is imported when it is done: only training needs torch."""

from __future__ import annotations

from worker.context import Work


def run_job(kind: str, work: Work) -> None:
    """Do a job of the kind `register`, `train` or `tag`, and settle it."""
    if kind == "register" and "inputs" in work.arguments:
        from worker.jobs.add_inputs import add_inputs

        add_inputs(work)
    elif kind == "register":
        from worker.jobs.register import register

        register(work)
    elif kind == "train":
        from worker.jobs.train import train_run

        train_run(work)
    elif kind == "tag":
        from worker.jobs.tag import tag

        tag(work)
    else:
        raise ValueError(f"unknown kind of job {kind!r}")
