"""Ends that someone asked for: an abort, Ctrl-C, a stop of the service, the end of the process that started it."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from tests.worker_jobs.worlds import PASSES_PER_EPOCH, SLOW_MODEL, World, stop, wait_until

PROMISED_SECONDS = 2.0


@pytest.fixture(scope="module")
def digits(world: World):
    with world.worker():
        yield world.digits()


@pytest.fixture(scope="module")
def suite(world: World):
    return world.suite()


@pytest.fixture(autouse=True)
def opened_gate(world: World):
    yield
    world.open_gate()


def in_the_middle(world: World, digits, **options):
    """A training that waits in the middle of epoch 1."""
    world.close_gate(PASSES_PER_EPOCH + 2)
    training = world.train(digits, **options)
    world.wait_at_gate()
    return training


def test_a_running_job_ends_within_two_seconds(world, digits, suite):
    training = in_the_middle(world, digits, suite=suite, tag=True, model=f"{SLOW_MODEL}:with_a_helper")
    child, helper = world.child(), psutil.Process(int((world.data_dir / "helper").read_text()))
    assert helper.is_running()
    asked = time.monotonic()
    world.abort(training.job_id)
    job = world.wait_for(training.job_id)
    took = time.monotonic() - asked
    assert job.state == world.run(training.run_id).state == "aborted"
    assert job.finished_at is not None
    assert world.tagging(training.tagging_id).state == "aborted"
    assert not child.is_running()
    assert not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE  # nobody's child by now
    assert len(world.epochs(training.run_id)) == 1  # what was recorded stays
    assert took < PROMISED_SECONDS


def test_a_queued_job_ends_at_once(world, digits):
    first = in_the_middle(world, digits)
    waiting = world.train(digits)
    asked = time.monotonic()
    world.abort(waiting.job_id)
    assert world.job(waiting.job_id).state == world.run(waiting.run_id).state == "aborted"
    assert time.monotonic() - asked < PROMISED_SECONDS
    world.open_gate()
    world.succeed(first.job_id)
    assert world.job(waiting.job_id).attempt == 0
    assert world.epochs(waiting.run_id) == []


def test_an_aborted_attempt_that_goes_on_all_the_same_is_killed(world, digits):
    """It does not listen to the polite signal."""
    training = in_the_middle(world, digits)
    os.kill(world.child().pid, signal.SIGSTOP)
    world.abort(training.job_id)
    assert world.wait_for(training.job_id, seconds=PROMISED_SECONDS).state == "aborted"
    assert world.child() is None


@pytest.fixture
def lone_world(world, digits):
    """The same data folder and database; the module's worker has ended."""
    for worker in world.workers:
        stop(worker)
    return world


def test_stopped_workers_give_their_job_back(lone_world, digits):
    """By Ctrl-C, then by the end of a service, each in the middle of an epoch; a third worker completes it.

    More attempts than are allowed in a row: those that closed an epoch do not count. At last, idle, it stops by Ctrl-C.
    """
    world = lone_world
    world.settings["SONDAGE_MAX_ATTEMPTS"] = "1"
    training = world.train(digits)
    for epochs, number in enumerate((signal.SIGINT, signal.SIGTERM), start=1):
        world.close_gate(PASSES_PER_EPOCH + 2)
        with world.worker(start_new_session=True) as worker:
            world.wait_at_gate()
            os.killpg(worker.pid, number)  # as a terminal does
            assert worker.wait(5) == 0
        assert world.job(training.job_id).state == world.run(training.run_id).state == "queued"
        assert len(world.epochs(training.run_id)) == epochs
        world.assert_nobody_left(seconds=1)
    world.open_gate()
    with world.worker() as worker:
        world.succeed(training.job_id)
        worker.send_signal(signal.SIGINT)
        assert worker.wait(5) == 0, "an idle worker stops at once"
    assert [epoch.attempt for epoch in world.epochs(training.run_id)] == [1, 2, 3, 3]
    del world.settings["SONDAGE_MAX_ATTEMPTS"]


def wait_until_ready(world: World, before: str) -> None:
    wait_until(lambda: "ready for jobs" in world.log()[len(before) :], "the worker is ready")


def test_a_worker_stops_with_the_process_that_started_it(lone_world):
    reading, writing = os.pipe()
    before = lone_world.log()
    with lone_world.worker("--parent-fd", str(reading), pass_fds=(reading,)) as worker:
        os.close(reading)
        wait_until_ready(lone_world, before)
        os.close(writing)
        assert worker.wait(5) == 0
