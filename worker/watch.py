"""The worker's watch: gives signs of life, and finds jobs that nobody works on any more.

A thread of its own, with connections of its own, so that neither a lost connection nor a long job silences it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from sondage.errors import Unavailable
from store import jobs
from store.engine import Database, transaction
from worker.settings import WorkerSettings
from worker.supervise import Supervisor

JOIN_SECONDS = 2.0

logger = logging.getLogger("worker")


class Watch:
    """Looks once per heartbeat, from `__enter__` to `__exit__`.

    Parameters
    ----------
    worker_ids
        Gives procrastinate's numbers of this worker, one for each of its queues; none while it has none.
    """

    def __init__(
        self,
        database: Database,
        settings: WorkerSettings,
        supervisor: Supervisor,
        worker_ids: Callable[[], list[int]],
    ) -> None:
        self._database = database
        self._settings = settings
        self._supervisor = supervisor
        self._worker_ids = worker_ids
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._looked_at = time.time()
        self._patient_until = 0.0
        self._suspected: set[int] = set()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while not self._ended.wait(self._settings.heartbeat_seconds):
            try:
                self.look()
            except Unavailable as lost:
                logger.warning("no sign of life could be given: %s", lost)
            except Exception:
                # It must not fall silent: a worker without signs of life loses its jobs to others.
                logger.exception("looking after jobs failed; trying again")

    def look(self) -> None:
        """One sign of life, and one look at the queue."""
        worker_ids = self._worker_ids()
        with transaction(self._database.engine) as session:
            for worker_id in worker_ids:
                jobs.give_sign_of_life(session, worker_id=worker_id)
            jobs.tell_forgotten(session)
        if self._is_patient():
            self._suspected.clear()
            return
        self._rescue(worker_ids)

    def _is_patient(self) -> bool:
        """After a gap of our own (no database, a laptop asleep) the others' silence says nothing for a while.

        By the wall clock: the monotonic one stands still while a machine sleeps.
        """
        now = time.time()
        if abs(now - self._looked_at) > self._settings.stalled_seconds / 2:
            self._patient_until = now + self._settings.stalled_seconds
        self._looked_at = now
        return now < self._patient_until

    def _rescue(self, worker_ids: list[int]) -> None:
        """Give left jobs to whoever is there, when they were found left in the look before, too."""
        with transaction(self._database.engine) as session:
            left = jobs.left_behind(
                session, silent_seconds=self._settings.stalled_seconds, worker_ids=worker_ids
            )
            ours = self._supervisor.active
            due = [entry for entry, job_id in left.items() if entry in self._suspected and job_id not in ours]
            for job_id in jobs.offer_again(session, entries=due):
                logger.warning("job %d was left by its worker; it is offered again", job_id)
        self._suspected = {entry for entry, job_id in left.items() if job_id not in ours}
