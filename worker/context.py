"""What a job is given to work with: the database, the settings, its own number and attempt."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from sondage.errors import Unavailable
from store import jobs
from store.engine import Database, transaction
from worker.settings import WorkerSettings

Result = TypeVar("Result")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let the polite end (SIGTERM) wait for the end of the block, such as a commit whose outcome must be known.

    By another handler and not by a mask: a mask is one thread's own, and the signal would come in by another thread.
    """
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if came:
            signal.raise_signal(signal.SIGTERM)


@dataclass(frozen=True)
class Work:
    """One attempt at one job."""

    database: Database
    settings: WorkerSettings
    job_id: int
    attempt: int
    project_id: int
    arguments: dict[str, Any]
    dataset_id: int | None = None
    run_id: int | None = None
    tagging_id: int | None = None

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir

    def transaction(self) -> AbstractContextManager[Session]:
        return transaction(self.database.engine)

    def report(self, **progress: Any) -> None:
        """Tell how far the work is. Raises `JobAborted` when it is to stop."""
        with self.transaction() as session:
            jobs.report_progress(session, job_id=self.job_id, attempt=self.attempt, progress=progress)

    def patiently(self, step: Callable[[], Result]) -> Result:
        """Do a step that is one transaction, again and again while the database is away."""
        deadline = time.monotonic() + self.settings.database_patience_seconds
        pause = 0.1
        while True:
            try:
                return step()
            except Unavailable:
                if time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)
                pause = min(pause * 2, 5.0)

    def if_possible(self, step: Callable[[], None]) -> None:
        """Do a step that may as well be left out while the database is away."""
        with contextlib.suppress(Unavailable):
            step()
