"""What a worker does about attempts that are superseded, processes that die every time, and jobs nobody holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from sqlalchemy import text

from store import jobs, projects
from tests.worker_jobs.worlds import (
    DIGITS,
    NUM_EPOCHS,
    PASSES_PER_EPOCH,
    ROOT,
    SLOW_MODEL,
    World,
    assert_equal_curves,
    stop,
    wait_until,
)
from worker.settings import WorkerSettings
from worker.supervise import child_environment


@pytest.fixture(autouse=True)
def opened_gate(world: World):
    yield
    world.open_gate()


def take(world: World, job_id: int) -> int:
    with world.session() as session:
        job = jobs.take(session, job_id=job_id, worker="test")
        assert job is not None
        return job.attempt


def test_an_orphan_is_refused(world, digits):
    """A child whose attempt was superseded while it trained: its next epoch is refused, and it leaves."""
    world.close_gate(PASSES_PER_EPOCH + 2)
    training = world.train(digits)
    attempt = take(world, training.job_id)
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "worker.child", "--job-id", str(training.job_id)]
    command += ["--attempt", str(attempt), "--parent-fd", str(reading)]
    orphan = subprocess.Popen(
        command,
        cwd=ROOT,
        env=world.environment(),
        pass_fds=(reading,),
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    os.close(reading)
    world.wait_at_gate()
    before = world.recorded(training.run_id)
    newer = take(world, training.job_id)
    assert newer == attempt + 1
    world.open_gate()
    _, said = orphan.communicate(timeout=20)
    os.close(writing)
    assert orphan.returncode == 3
    assert f"Attempt {attempt} of job {training.job_id} was superseded" in said
    assert_equal_curves(world.recorded(training.run_id), before)
    assert [epoch.attempt for epoch in world.epochs(training.run_id)] == [attempt]
    assert world.job(training.job_id).state == "running"
    world.abort(training.job_id)
    with world.session() as session:
        jobs.abort(session, job_id=training.job_id, attempt=newer)


def test_a_process_that_dies_every_time_is_given_up(world, digits):
    world.settings["SONDAGE_MAX_ATTEMPTS"] = "2"
    try:
        with world.worker():
            training = world.train(digits, model=f"{SLOW_MODEL}:die")
            job = world.wait_for(training.job_id)
    finally:
        del world.settings["SONDAGE_MAX_ATTEMPTS"]
    assert job.state == world.run(training.run_id).state == "failed"
    assert "Given up after 2 attempts" in job.error
    assert "memory" in job.error


def test_an_unreachable_database_is_told_at_the_start(world):
    world.settings["SONDAGE_DATABASE_URL"] = "mysql://somewhere/else"
    try:
        worker = world.start_worker()
        assert worker.wait(20) == 2
    finally:
        del world.settings["SONDAGE_DATABASE_URL"]
        stop(worker)
    assert "postgresql://" in world.log()


# ---- with one worker for all of them; those above have none, or one with settings of its own


@pytest.fixture(scope="module")
def working(world: World):
    with world.worker() as worker:
        yield worker


def test_a_job_without_an_entry_in_the_queue_is_found(world, working):
    """As after a worker's breakdown over it, or when only our own tables were restored."""
    with world.session() as session:
        project = projects.ensure(session)
        arguments = {"name": "digits", "source": DIGITS}
        number = jobs.create(session, project_id=project.id, kind="register", arguments=arguments).id
        session.execute(text("DELETE FROM procrastinate.procrastinate_jobs"))
    world.succeed(number)


def test_lost_connections_do_not_silence_a_worker(world, digits, working):
    """Every connection is cut, more than once: signs of life go on, and so does the job, in the same attempt."""
    world.close_gate(PASSES_PER_EPOCH + 2)
    cut = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    seen = "SELECT max(last_heartbeat) FROM procrastinate.procrastinate_workers"
    training = world.train(digits)
    world.wait_at_gate()
    for _ in range(3):
        assert world.scalar(cut) > 0
        last = world.scalar(seen)
        wait_until(lambda last=last: world.scalar(seen) > last, "a sign of life after the cut", seconds=5)
    world.open_gate()
    assert world.succeed(training.job_id).attempt == 1
    world.succeed(world.register(DIGITS))
    assert working.poll() is None


def test_a_worker_that_was_asleep_gives_way(world, digits, working):
    """Its job was taken over meanwhile: it ends its own attempt, and the other's goes on."""
    world.close_gate(PASSES_PER_EPOCH + 2)
    training = world.train(digits)
    world.wait_at_gate()
    child = world.child()
    working.send_signal(signal.SIGSTOP)
    with world.worker():
        wait_until(lambda: world.job(training.job_id).attempt == 2, "the job is taken over")
        working.send_signal(signal.SIGCONT)
        wait_until(lambda: not child.is_running(), "the superseded child has ended", seconds=5)
        world.open_gate()
        world.succeed(training.job_id)
    assert [epoch.attempt for epoch in world.epochs(training.run_id)] == [1] + [2] * (NUM_EPOCHS - 1)
    assert world.job(training.job_id).attempt == 2


def test_idle_threads_of_a_training_sleep_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    settings = WorkerSettings()
    assert child_environment(settings)["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert child_environment(settings)["OMP_WAIT_POLICY"] == "ACTIVE"
