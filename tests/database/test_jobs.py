"""Jobs: states, attempts, aborts, and the taggings that wait for runs."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from sondage.errors import InvalidInput, JobAborted, NotFound
from store import jobs, runs, taggings
from store.engine import Database, transaction
from store.tables import Job, Tagging
from tests.rows import a_dataset, a_run, a_suite, a_train_job


@pytest.fixture
def job(session: Session) -> Job:
    return a_train_job(session, a_run(session, a_dataset(session)))


def _told(session: Session) -> list[int]:
    query = "SELECT (args->>'job_id')::int FROM procrastinate.procrastinate_jobs WHERE status = 'todo' ORDER BY id"
    return list(session.scalars(text(query)))


def _taken(session: Session, job: Job) -> int:
    taken = jobs.take(session, job_id=job.id, worker="w")
    assert taken is not None
    return taken.attempt


def _run_state(session: Session, job: Job) -> str:
    assert job.run_id is not None
    session.expire_all()
    return runs.get(session, project_id=job.project_id, run_id=job.run_id).state


def test_workers_are_told_in_the_same_transaction(session: Session, job: Job) -> None:
    assert _told(session) == [job.id]


def test_a_rolled_back_job_was_never_told_of(database: Database) -> None:
    def make_and_die() -> None:
        with transaction(database.engine) as session:
            a_train_job(session, a_run(session, a_dataset(session)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        make_and_die()
    with transaction(database.engine) as session:
        assert _told(session) == []


def test_take_and_finish(session: Session, job: Job) -> None:
    assert _taken(session, job) == 1
    assert (job.state, _run_state(session, job)) == ("running", "running")
    jobs.finish(session, job_id=job.id, attempt=1, result={"n": 1})
    assert (job.state, job.result, _run_state(session, job)) == ("succeeded", {"n": 1}, "finished")
    assert jobs.take(session, job_id=job.id, worker="w") is None


def test_an_older_attempt_may_write_no_more(session: Session, job: Job) -> None:
    first, second = _taken(session, job), _taken(session, job)
    assert (first, second) == (1, 2)
    for refused in (
        lambda: jobs.hold(session, job_id=job.id, attempt=first),
        lambda: jobs.finish(session, job_id=job.id, attempt=first),
        lambda: jobs.report_progress(session, job_id=job.id, attempt=first, progress={}),
    ):
        with pytest.raises(JobAborted):
            refused()
    jobs.fail(session, job_id=job.id, attempt=first, error="late")
    jobs.abort(session, job_id=job.id, attempt=first)
    jobs.requeue(session, job_id=job.id, attempt=first)
    session.refresh(job)
    assert (job.state, job.error) == ("running", None)


def test_fail_says_why(session: Session, job: Job) -> None:
    jobs.fail(session, job_id=job.id, attempt=_taken(session, job), error="lower lr")
    assert (job.state, job.error, _run_state(session, job)) == ("failed", "lower lr", "failed")


def test_requeue_tells_the_workers_again(session: Session, job: Job) -> None:
    jobs.requeue(session, job_id=job.id, attempt=_taken(session, job))
    assert (job.state, _run_state(session, job)) == ("queued", "queued")
    assert _told(session) == [job.id, job.id]
    assert _taken(session, job) == 2


def test_a_queued_job_is_aborted_at_once(session: Session, job: Job) -> None:
    ended = jobs.request_abort(session, project_id=job.project_id, job_id=job.id)
    assert (ended.state, _run_state(session, job)) == ("aborted", "aborted")
    assert jobs.take(session, job_id=job.id, worker="w") is None


def test_a_running_job_is_told_to_stop(session: Session, job: Job) -> None:
    attempt = _taken(session, job)
    jobs.request_abort(session, project_id=job.project_id, job_id=job.id)
    assert jobs.standing(session, job_id=job.id, attempt=attempt) == "unwanted"
    with pytest.raises(JobAborted, match="aborted"):
        jobs.hold(session, job_id=job.id, attempt=attempt)
    jobs.abort(session, job_id=job.id, attempt=attempt)
    assert (job.state, _run_state(session, job)) == ("aborted", "aborted")


def test_an_abort_asked_for_while_the_worker_was_dead_counts(session: Session, job: Job) -> None:
    _taken(session, job)
    jobs.request_abort(session, project_id=job.project_id, job_id=job.id)
    assert jobs.take(session, job_id=job.id, worker="next") is None
    assert job.state == "aborted"


def test_an_ended_job_stays_as_it_is(session: Session, job: Job) -> None:
    jobs.finish(session, job_id=job.id, attempt=_taken(session, job))
    assert jobs.request_abort(session, project_id=job.project_id, job_id=job.id).state == "succeeded"


def test_a_job_of_another_project_is_not_there(session: Session, job: Job) -> None:
    with pytest.raises(NotFound):
        jobs.get(session, project_id=job.project_id + 1, job_id=job.id)


def _waiting_tagging(session: Session) -> tuple[Tagging, list[Job]]:
    dataset, suite = a_dataset(session), a_suite(session)
    both = [a_run(session, dataset, name=name, suite=suite) for name in "ab"]
    queued = [a_train_job(session, run) for run in both]
    tagging = taggings.create(
        session, project_id=dataset.project_id, runs=both, suite_id=suite.id, tagger="reference"
    )
    return tagging, queued


def test_a_tagging_waits_for_its_last_run(session: Session) -> None:
    tagging, (first, second) = _waiting_tagging(session)
    jobs.finish(session, job_id=first.id, attempt=_taken(session, first))
    assert jobs.of_taggings(session, tagging_ids=[tagging.id]) == {}
    jobs.finish(session, job_id=second.id, attempt=_taken(session, second))
    assert list(jobs.of_taggings(session, tagging_ids=[tagging.id])) == [tagging.id]


@pytest.mark.parametrize("end", ["failed", "aborted"])
def test_a_tagging_ends_with_a_run_that_ends_badly(session: Session, end: str) -> None:
    tagging, (first, _) = _waiting_tagging(session)
    attempt = _taken(session, first)
    if end == "failed":
        jobs.fail(session, job_id=first.id, attempt=attempt, error="x")
    else:
        jobs.abort(session, job_id=first.id, attempt=attempt)
    session.refresh(tagging)
    assert tagging.state == end


def test_two_runs_that_finish_at_once_make_one_tag_job(database: Database) -> None:
    with transaction(database.engine) as session:
        tagging, queued = _waiting_tagging(session)
        attempts = [_taken(session, job) for job in queued]
    start = threading.Barrier(2)

    def finish(job_id: int, attempt: int) -> None:
        with transaction(database.engine) as own:
            start.wait()
            jobs.finish(own, job_id=job_id, attempt=attempt)

    threads = [
        threading.Thread(target=finish, args=(job.id, attempt))
        for job, attempt in zip(queued, attempts, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with transaction(database.engine) as session:
        made = session.scalars(
            text("SELECT count(*) FROM jobs WHERE tagging_id = :id"), {"id": tagging.id}
        ).one()
    assert made == 1


def test_runs_of_different_datasets_make_no_tagging(session: Session) -> None:
    suite = a_suite(session)
    mixed = [a_run(session, a_dataset(session, name=name), name=name) for name in "ab"]
    with pytest.raises(InvalidInput, match="same dataset"):
        taggings.create(
            session, project_id=mixed[0].project_id, runs=mixed, suite_id=suite.id, tagger="reference"
        )
