"""⑥ Jobs: look at them, wait for them, end them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sondage.client.http import Http
from sondage.errors import JobAborted, JobFailed, Unavailable
from sondage.wire import Job

OnProgress = Callable[[Job], None]
"""Gets a job each time it was looked at."""
Found = TypeVar("Found")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
"""How long a wait outlives the server: jobs go on after its restart."""


class Jobs:
    """`client.jobs`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self, job_id: int) -> Job:
        return self._http.get(Job, self._http.of_project("jobs", job_id))

    def list(
        self, *, state: str | None = None, kind: str | None = None, limit: int | None = None
    ) -> Iterator[Job]:
        """Newest first."""
        return self._http.pages(Job, self._http.of_project("jobs"), limit=limit, state=state, kind=kind)

    def abort(self, job_id: int) -> Job:
        """Ask for an end. A running job ends when its worker has seen it, within about two seconds."""
        return self._http.post(Job, self._http.of_project("jobs", job_id, "abort"))

    def wait(self, job: Job | int, *, on_progress: OnProgress | None = None) -> Job:
        """Wait for the end of a job.

        Raises
        ------
        JobFailed, JobAborted
            With the job's own error.
        Unavailable
            The server has been away for a minute. The job may well go on.
        """
        return self.wait_all([job], on_progress=on_progress)[0]

    def wait_all(self, jobs: Sequence[Job | int], *, on_progress: OnProgress | None = None) -> Sequence[Job]:
        """Wait for the end of all jobs. The first that fails ends the wait, and none of the other jobs."""
        numbers = [job if isinstance(job, int) else job.id for job in jobs]
        ended: dict[int, Job] = {}

        def look() -> Sequence[Job] | None:
            for number in numbers:
                if number not in ended and is_over(job := self._watched(number, on_progress)):
                    ended[number] = succeeded(job)
            return [ended[number] for number in numbers] if len(ended) == len(set(numbers)) else None

        return until(look)

    def _watched(self, number: int, on_progress: OnProgress | None) -> Job:
        job = self.get(number)
        if on_progress is not None:
            on_progress(job)
        return job


def is_over(job: Job) -> bool:
    return job.state in ("succeeded", "failed", "aborted")


def succeeded(job: Job) -> Job:
    """The job, or its failure as an exception."""
    if job.state == "failed":
        raise JobFailed(f"Job {job.id} ({job.kind}) failed: {job.error or 'it left no reason'}")
    if job.state == "aborted":
        raise JobAborted(f"Job {job.id} ({job.kind}) was aborted.")
    return job


def until(look: Callable[[], Found | None]) -> Found:
    """Look again and again, ever less often, until there is something."""
    pause, seen_at = FIRST_PAUSE_SECONDS, time.monotonic()
    while True:
        try:
            found = look()
            seen_at = time.monotonic()
        except Unavailable:
            if time.monotonic() - seen_at > PATIENCE_SECONDS:
                raise
            found = None
        if found is not None:
            return found
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
