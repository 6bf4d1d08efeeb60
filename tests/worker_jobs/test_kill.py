"""② A training that is killed goes on from its last finished epoch and records what an uninterrupted one records."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from sondage.tagging.left_out import look_epochs
from tests.worker_jobs.worlds import (
    CHANNELS,
    LOOKS,
    NUM_EPOCHS,
    PASSES_PER_EPOCH,
    Trainings,
    World,
    assert_equal_curves,
    kill,
    stop,
    wait_until,
)

MID_EPOCH = PASSES_PER_EPOCH + PASSES_PER_EPOCH // 2
"""Passes until the middle of epoch 1: epoch 0 is committed."""


@pytest.fixture(scope="module")
def prepared(world: World):
    """A dataset, a suite, and the curves of a training that nothing interrupted."""
    dataset, suite = world.digits(), world.suite()
    world.start_worker()
    training = world.train(dataset, suite=suite)
    assert world.succeed(training.job_id).attempt == 1
    yield dataset, suite, world.recorded(training.run_id)
    for worker in world.workers:
        stop(worker)
    world.assert_nobody_left()


@pytest.fixture
def worker(world: World, prepared):
    """The one that the last test has left at work. Afterwards one is, and no process of a job."""
    (alive,) = (worker for worker in world.workers if worker.poll() is None)
    yield alive
    wait_until(lambda: world.child() is None, "the process of the job has gone")
    assert len(world.processes()) == 1


def assert_recorded_once(world: World, training: Trainings, wanted) -> None:
    """The curves are those of an uninterrupted training, and nothing is there twice."""
    assert_equal_curves(world.recorded(training.run_id), wanted)
    assert [epoch.epoch for epoch in world.epochs(training.run_id)] == list(range(NUM_EPOCHS))
    count = "SELECT count(*) FROM curve_blocks WHERE run_id = :run"
    looks = len(LOOKS) * len(look_epochs(NUM_EPOCHS))
    assert world.scalar(count, run=training.run_id) == NUM_EPOCHS * len(CHANNELS) + looks
    assert world.run(training.run_id).state == "finished"
    left = "SELECT count(*) FROM procrastinate.procrastinate_jobs"
    wait_until(lambda: world.scalar(left) == 0, "the queue is empty")


def assert_went_on(world: World, training: Trainings) -> None:
    """Epoch 0 is the first attempt's, and was not trained again; the second did the others."""
    assert [epoch.attempt for epoch in world.epochs(training.run_id)] == [1, 2, 2, 2]


def paused_in_epoch_1(world: World, prepared) -> Trainings:
    dataset, suite, _ = prepared
    world.close_gate(MID_EPOCH)
    training = world.train(dataset, suite=suite)
    world.wait_at_gate()
    assert [epoch.epoch for epoch in world.epochs(training.run_id)] == [0]
    return training


@contextmanager
def stuck_before_commit(world: World, training: Trainings) -> Iterator[None]:
    """Epoch 1 is trained and its checkpoint written; its transaction waits at its last statement."""
    with psycopg.connect(world.database.conninfo) as blocker:
        blocker.execute("LOCK TABLE epochs IN SHARE MODE")
        world.open_gate()
        waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'epochs'::regclass AND NOT granted"
        wait_until(lambda: world.scalar(waiting), "the commit of epoch 1 waits")
        assert _checkpoint(world, training, 1).exists()
        assert [epoch.epoch for epoch in world.epochs(training.run_id)] == [0]
        yield
        with contextlib.suppress(psycopg.OperationalError):  # it was killed
            blocker.rollback()


def _checkpoint(world: World, training: Trainings, epoch: int) -> Path:
    return world.data_dir / "runs" / str(training.run_id) / "checkpoints" / f"epoch-{epoch:06d}.ckpt"


def test_the_worker_in_the_middle_of_an_epoch(world, prepared, worker):
    training = paused_in_epoch_1(world, prepared)
    kill(worker)
    world.assert_nobody_left()  # its child has ended with it
    world.open_gate()
    world.start_worker()
    world.succeed(training.job_id)
    assert_went_on(world, training)
    assert_recorded_once(world, training, prepared[2])


def test_the_worker_before_the_commit(world, prepared, worker):
    training = paused_in_epoch_1(world, prepared)
    with stuck_before_commit(world, training):
        kill(worker)
        world.assert_nobody_left()
    world.start_worker()
    world.succeed(training.job_id)
    assert_went_on(world, training)
    assert_recorded_once(world, training, prepared[2])


def test_the_child_in_the_middle_of_an_epoch(world, prepared, worker):
    training = paused_in_epoch_1(world, prepared)
    kill(world.child())
    world.open_gate()
    world.succeed(training.job_id)
    assert_went_on(world, training)
    assert_recorded_once(world, training, prepared[2])


def test_the_child_before_the_commit(world, prepared, worker):
    training = paused_in_epoch_1(world, prepared)
    with stuck_before_commit(world, training):
        kill(world.child())
    world.succeed(training.job_id)
    assert_went_on(world, training)
    assert_recorded_once(world, training, prepared[2])


def _kill_postgres(world: World) -> None:
    """The whole server, as a power cut does. The number in the file is that of the server we just asked."""
    pid_file = world.data_dir / "postgres" / "cluster" / "postmaster.pid"
    postmaster = psutil.Process(int(pid_file.read_text().split()[0]))
    everyone = [*postmaster.children(recursive=True), postmaster]
    for process in everyone:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(everyone, timeout=10)


def test_postgres_in_the_middle_of_an_epoch_and_before_a_commit(own_server, prepared):
    """It comes back by itself, and the same process trains on."""
    world = own_server
    with world.worker():
        dataset, suite = world.digits(), world.suite()
        training = paused_in_epoch_1(world, (dataset, suite, None))
        _kill_postgres(world)
        world.open_gate()
        assert world.succeed(training.job_id).attempt == 1
        assert_recorded_once(world, training, prepared[2])

        training = paused_in_epoch_1(world, (dataset, suite, None))
        with stuck_before_commit(world, training):
            _kill_postgres(world)
        assert world.succeed(training.job_id).attempt == 1
        assert_recorded_once(world, training, prepared[2])
    world.assert_nobody_left()
