"""⑤ Waiting for a tagging, which has a job only once all its runs have finished."""

from __future__ import annotations

from sondage.client.http import Http
from sondage.client.jobs import Jobs, OnProgress, is_over, succeeded, until
from sondage.errors import JobAborted, JobFailed
from sondage.wire import Tagging


def wait_for_tagging(
    http: Http, jobs: Jobs, tagging_id: int, on_progress: OnProgress | None = None
) -> Tagging:
    """The finished tagging.

    Raises
    ------
    JobFailed, JobAborted
        The tagging, or a run it waited for, did not succeed.
    """

    def look() -> Tagging | None:
        tagging = http.get(Tagging, http.of_project("taggings", tagging_id))
        if tagging.job_id is not None:
            job = jobs.get(tagging.job_id)
            if on_progress is not None:
                on_progress(job)
            if is_over(job):
                succeeded(job)
        return tagging if tagging.state in ("finished", "failed", "aborted") else None

    tagging = until(look)
    if tagging.state == "failed":
        raise JobFailed(
            f"Tagging {tagging.id} failed: one of its runs did. `sondage job list` has the reason."
        )
    if tagging.state == "aborted":
        raise JobAborted(f"Tagging {tagging.id} was aborted, or one of its runs was.")
    return tagging
