"""Jobs: the truth about long work.

::

    queued ── take ──> running ── finish ──> succeeded
      │  ^               │ ├───── fail ────> failed
      │  └── requeue ────┘ └── abort ──────> aborted
      └─────────────── abort ───────────────────^

A failed or an aborted job goes back to queued by `retry`.

Procrastinate carries a job's number to a worker; it is told in the transaction that makes the job. Whoever takes the
job raises `attempt`, and each later write names its attempt: an orphan of an earlier one is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from sondage.errors import Conflict, JobAborted, NotFound
from store.paging import newest_first
from store.tables import OPEN_JOB_STATES, Job, Run, Tagging

QUEUE = "sondage"
TAG_QUEUE = "sondage.tag"
"""Taggings wait in a queue of their own: one of a training under way must not wait for its end."""
TASK = "sondage.work"
FORGIVEN = "attempts_forgiven"
"""In a job's arguments: the attempts before its last `retry`."""
Standing = Literal["working", "settled", "unwanted"]


def create(
    session: Session,
    *,
    project_id: int,
    kind: str,
    arguments: dict[str, Any] | None = None,
    dataset_id: int | None = None,
    run_id: int | None = None,
    tagging_id: int | None = None,
) -> Job:
    """A queued job, and in the same transaction word of it to the workers."""
    job = Job(
        project_id=project_id,
        kind=kind,
        state="queued",
        arguments=arguments or {},
        dataset_id=dataset_id,
        run_id=run_id,
        tagging_id=tagging_id,
    )
    session.add(job)
    session.flush()
    session.refresh(job)
    tell_workers(session, job_id=job.id)
    return job


def tell_workers(session: Session, *, job_id: int) -> None:
    """Defer the job by procrastinate's own function. One lock per job: no two workers hold it at once."""
    statement = text(
        "SELECT procrastinate.procrastinate_defer_jobs_v1(ARRAY["
        "ROW(CASE kind WHEN 'tag' THEN :tag_queue ELSE :queue END, :task, 0, 'job/' || id, NULL,"
        " jsonb_build_object('job_id', id), NULL)::procrastinate.procrastinate_job_to_defer_v1])"
        " FROM jobs WHERE id = :job_id"
    )
    session.execute(statement, {"queue": QUEUE, "tag_queue": TAG_QUEUE, "task": TASK, "job_id": job_id})


def get(session: Session, *, project_id: int, job_id: int) -> Job:
    job = session.scalars(select(Job).where(Job.project_id == project_id, Job.id == job_id)).one_or_none()
    if job is None:
        raise NotFound(f"There is no job {job_id} in this project.")
    return job


def listed(
    session: Session,
    *,
    project_id: int,
    state: str | None = None,
    kind: str | None = None,
    below: int | None = None,
    limit: int = 100,
) -> tuple[Sequence[Job], int | None]:
    statement = select(Job).where(Job.project_id == project_id)
    if state is not None:
        statement = statement.where(Job.state == state)
    if kind is not None:
        statement = statement.where(Job.kind == kind)
    return newest_first(session, statement, number=Job.id, below=below, limit=limit)


def of_runs(session: Session, *, run_ids: Sequence[int]) -> dict[int, int]:
    """The newest job of each run."""
    return _newest_job(session, Job.run_id, run_ids)


def of_taggings(session: Session, *, tagging_ids: Sequence[int]) -> dict[int, int]:
    """The newest job of each tagging that has one."""
    return _newest_job(session, Job.tagging_id, tagging_ids)


def _newest_job(session: Session, subject: Any, numbers: Sequence[int]) -> dict[int, int]:
    statement = select(subject, func.max(Job.id)).where(subject.in_(numbers)).group_by(subject)
    return {row[0]: row[1] for row in session.execute(statement)}


# ---- the worker's side


def take(session: Session, *, job_id: int, worker: str) -> Job | None:
    """Begin a new attempt at an open job. None when there is nothing to do: ended, aborted or deleted."""
    job = session.get(Job, job_id, with_for_update=True)
    if job is None or job.state not in OPEN_JOB_STATES:
        return None
    if job.abort_requested:
        _end(session, job, "aborted")
        return None
    job.state, job.attempt, job.worker = "running", job.attempt + 1, worker
    job.started_at, job.heartbeat_at, job.error = func.now(), func.now(), None
    _subject_follows(session, job, "running")
    session.flush()
    session.refresh(job)
    return job


def hold(session: Session, *, job_id: int, attempt: int) -> Job:
    """Lock the job for this transaction, and make sure that this attempt may still write.

    Raises
    ------
    JobAborted
        An abort was asked for, a newer attempt took over, or the job is gone.
    """
    job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
    if job is None:
        raise JobAborted(f"Job {job_id} was deleted.")
    if job.attempt != attempt or job.state != "running":
        raise JobAborted(f"Attempt {attempt} of job {job_id} was superseded; it is {job.state}.")
    if job.abort_requested:
        raise JobAborted(f"Job {job_id} was aborted.")
    return job


def report_progress(session: Session, *, job_id: int, attempt: int, progress: dict[str, Any]) -> None:
    job = hold(session, job_id=job_id, attempt=attempt)
    job.progress, job.heartbeat_at = progress, func.now()


def finish(session: Session, *, job_id: int, attempt: int, result: dict[str, Any] | None = None) -> None:
    job = hold(session, job_id=job_id, attempt=attempt)
    job.result = result
    _end(session, job, "succeeded")


def fail(session: Session, *, job_id: int, attempt: int, error: str) -> None:
    """End the job in `failed`. `error` is what a user can act on. An attempt that was superseded says nothing."""
    job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
    if job is None or job.attempt != attempt or job.state != "running":
        return
    job.error = error
    _end(session, job, "failed")


def abort(session: Session, *, job_id: int, attempt: int) -> None:
    """The worker has stopped the work that was to be aborted."""
    job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
    if job is not None and job.attempt == attempt and job.state == "running":
        _end(session, job, "aborted")


def requeue(session: Session, *, job_id: int, attempt: int) -> None:
    """Give the job back, for a worker that stops. The next attempt goes on where this one got to."""
    job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
    if job is None or job.attempt != attempt or job.state != "running":
        return
    job.state, job.worker = "queued", None
    _subject_follows(session, job, "queued")
    tell_workers(session, job_id=job_id)


def standing(session: Session, *, job_id: int, attempt: int) -> Standing:
    """How an attempt stands: it works on, it has settled its job, or it is to stop (aborted, superseded, deleted)."""
    statement = select(Job.abort_requested, Job.attempt, Job.state).where(Job.id == job_id)
    row = session.execute(statement).one_or_none()
    if row is None or row.attempt != attempt:
        return "unwanted"
    if row.state in ("succeeded", "failed"):
        return "settled"
    return "unwanted" if row.abort_requested or row.state != "running" else "working"


# ---- the queue


def give_sign_of_life(session: Session, *, worker_id: int) -> None:
    statement = text("SELECT procrastinate.procrastinate_update_heartbeat_v1(:worker_id)")
    session.execute(statement, {"worker_id": worker_id})


def left_behind(session: Session, *, silent_seconds: float, worker_ids: Sequence[int]) -> dict[int, int]:
    """Entries of the queues that look left, with their job: held by a worker that is gone or silent, or by our own.

    Whether `worker_ids`, the caller's own, still work on theirs, they know themselves.
    """
    statement = text(
        "SELECT entry.id, (entry.args ->> 'job_id')::bigint FROM procrastinate.procrastinate_jobs AS entry"
        " LEFT JOIN procrastinate.procrastinate_workers AS worker ON worker.id = entry.worker_id"
        " WHERE entry.status = 'doing' AND entry.queue_name = ANY(:queues) AND (worker.id IS NULL"
        " OR worker.id = ANY(:worker_ids) OR worker.last_heartbeat < now() - make_interval(secs => :seconds))"
    )
    parameters = {"queues": [QUEUE, TAG_QUEUE], "worker_ids": list(worker_ids), "seconds": silent_seconds}
    return {row[0]: row[1] for row in session.execute(statement, parameters)}


def offer_again(session: Session, *, entries: Sequence[int]) -> list[int]:
    """Replace held entries of the queue, those that another is not just replacing; returns their jobs.

    By new ones: a worker that only slept will still remove the entry that it had.
    """
    statement = text(
        "DELETE FROM procrastinate.procrastinate_jobs WHERE id IN ("
        "SELECT id FROM procrastinate.procrastinate_jobs"
        " WHERE id = ANY(:entries) AND status = 'doing' FOR UPDATE SKIP LOCKED)"
        " RETURNING (args ->> 'job_id')::bigint"
    )
    offered = list(session.scalars(statement, {"entries": list(entries)}))
    for job_id in offered:
        tell_workers(session, job_id=job_id)
    return offered


def tell_forgotten(session: Session) -> list[int]:
    """Tell the workers of open jobs that have no entry in the queue, such as one whose worker broke down over it."""
    statement = text(
        "SELECT id FROM jobs WHERE state IN ('queued', 'running') AND NOT EXISTS ("
        "SELECT FROM procrastinate.procrastinate_jobs AS entry"
        " WHERE entry.lock = 'job/' || jobs.id AND entry.status IN ('todo', 'doing'))"
        " FOR UPDATE SKIP LOCKED"
    )
    forgotten = list(session.scalars(statement))
    for job_id in forgotten:
        tell_workers(session, job_id=job_id)
    return forgotten


# ---- the user's side


def request_abort(session: Session, *, project_id: int, job_id: int) -> Job:
    """Ask for an end. A queued job ends at once, a running one when its worker sees it; an ended one stays."""
    get(session, project_id=project_id, job_id=job_id)
    job = session.get_one(Job, job_id, with_for_update=True, populate_existing=True)
    if job.state in OPEN_JOB_STATES:
        job.abort_requested = True
        if job.state == "queued":
            _end(session, job, "aborted")
    session.flush()
    session.refresh(job)
    return job


def retry(session: Session, *, project_id: int, job_id: int) -> Job:
    """Queue a job again that failed or was aborted; a training goes on from its last committed epoch.

    A tagging that ended with its run stays ended: the runs are there to be tagged again.

    Raises
    ------
    Conflict
        The job is open, or has succeeded.
    """
    get(session, project_id=project_id, job_id=job_id)
    job = session.get_one(Job, job_id, with_for_update=True, populate_existing=True)
    if job.state not in ("failed", "aborted"):
        raise Conflict(f"Job {job.id} is {job.state}; only one that failed or was aborted can go on.")
    job.state, job.abort_requested, job.worker = "queued", False, None
    job.error, job.result, job.finished_at = None, None, None
    # The attempts until now are forgiven: none of them counts towards giving up.
    job.arguments = job.arguments | {FORGIVEN: job.attempt}
    _subject_follows(session, job, "queued")
    tell_workers(session, job_id=job.id)
    session.flush()
    session.refresh(job)
    return job


def worker_seen_at(session: Session) -> datetime | None:
    """The last sign of life of any worker."""
    seen = session.scalar(text("SELECT max(last_heartbeat) FROM procrastinate.procrastinate_workers"))
    return seen if isinstance(seen, datetime) else None


def _end(session: Session, job: Job, state: str) -> None:
    job.state, job.finished_at = state, func.now()
    _subject_follows(session, job, "finished" if state == "succeeded" else state)
    session.flush()


def _subject_follows(session: Session, job: Job, state: str) -> None:
    """The run or the tagging of a job has the job's state, in its own words."""
    from store import runs, taggings

    ended = state in ("finished", "failed", "aborted")
    if job.run_id is not None and session.get(Run, job.run_id) is not None:
        if ended:
            taggings.hold_waiting(session, run_id=job.run_id)
        runs.set_state(session, run_id=job.run_id, state=state)
        if ended:
            taggings.run_has_ended(session, run_id=job.run_id, state=state)
    if job.tagging_id is not None and session.get(Tagging, job.tagging_id) is not None:
        taggings.set_state(session, tagging_id=job.tagging_id, state=state)
