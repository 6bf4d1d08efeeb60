"""Faults at awkward moments: an end while committing, an abort while much is written, a lost connection, leftovers."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import psycopg
import pytest
from sqlalchemy import text

from sondage.errors import Conflict, InvalidInput, JobAborted, Unavailable
from sondage.probes.suite import default_suite
from store import examples, jobs, projects, runs, taggings
from store.engine import Database, make_engine, transaction
from store.payloads import Form, PayloadWriter, open_payload
from store.tables import Run
from tests import rows
from tests.worker_jobs.worlds import (
    DIGITS,
    NUM_EPOCHS,
    PASSES_PER_EPOCH,
    Trainings,
    World,
    assert_equal_curves,
    wait_until,
)
from worker.child import _in_words
from worker.context import Work
from worker.data.arrays import TrainingArrays, read_probes, write_probes
from worker.jobs import planting
from worker.jobs import tag as tag_job
from worker.jobs.train import StoreSink, _device
from worker.settings import WorkerSettings
from worker.supervise import Supervisor

AT_COMMIT = 4711
"""Number of the advisory lock that a commit of a dataset waits for."""


@pytest.fixture(autouse=True)
def opened_gate(world: World):
    yield
    world.open_gate()


@pytest.fixture(scope="module")
def recorded(busy_world, digits) -> Trainings:
    """Two trainings that have finished, with probes."""
    training = busy_world.train(digits, suite=busy_world.suite(), seeds=(0, 1))
    for job_id in training.job_ids:
        busy_world.succeed(job_id)
    return training


@pytest.fixture
def held_commit(busy_world: World) -> Iterator[None]:
    """Every commit of a new dataset waits for a lock."""
    with busy_world.session() as session:
        session.execute(
            text(
                "CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN PERFORM pg_advisory_xact_lock({AT_COMMIT}); RETURN NULL; END $$"
            )
        )
        session.execute(
            text(
                "CREATE CONSTRAINT TRIGGER wait_at_commit AFTER INSERT ON datasets"
                " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_at_commit()"
            )
        )
    yield
    with busy_world.session() as session:
        session.execute(text("DROP TRIGGER wait_at_commit ON datasets"))
        session.execute(text("DROP FUNCTION wait_at_commit()"))


def wait_for_lock(world: World, condition: str, what: str) -> None:
    query = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND {condition}"  # noqa: S608
    wait_until(lambda: world.scalar(query), f"the job waits for {what}")


@contextmanager
def locked(world: World, table: str) -> Iterator[None]:
    """Nobody writes to the table; a job that wants to is waited for."""
    with psycopg.connect(world.database.conninfo) as holding:
        holding.execute(f"LOCK TABLE {table} IN SHARE MODE")
        yield


def wait_for_table(world: World, table: str) -> None:
    wait_for_lock(world, f"relation = '{table}'::regclass", table)


def test_an_end_while_a_dataset_is_committed_leaves_its_payload(busy_world, held_commit):
    world = busy_world
    with psycopg.connect(world.database.conninfo) as holding:
        holding.execute(f"SELECT pg_advisory_xact_lock({AT_COMMIT})")
        number = world.register(DIGITS | {"limit": 102}, name="at commit")
        wait_for_lock(world, "locktype = 'advisory'", "its commit")
        child = world.child()
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(psutil.TimeoutExpired):
            child.wait(1.0)  # one that does not wait for its commit leaves now
    job = world.succeed(number)
    assert job.attempt == 1
    dataset = world.dataset(number)
    assert open_payload(world.data_dir / dataset.payload).num_rows == dataset.num_examples


def ask_to_abort(world: World, job_id: int) -> None:
    """Refused when it has to wait for what the job writes."""
    with world.session() as session:
        session.execute(text("SET LOCAL lock_timeout = '10s'"))
        project = projects.ensure(session)
        jobs.request_abort(session, project_id=project.id, job_id=job_id)


def test_an_abort_does_not_wait_for_a_dataset_that_is_being_stored(busy_world):
    world = busy_world
    with locked(world, "examples"):
        number = world.register(DIGITS | {"limit": 103}, name="stuck")
        wait_for_table(world, "examples")
        ask_to_abort(world, number)
        assert world.wait_for(number).state == "aborted"
    assert world.scalar("SELECT count(*) FROM datasets WHERE name = 'stuck'") == 0


def tagging_of(world: World, digits, recorded: Trainings) -> tuple[int, int]:
    """A tagging of the recorded runs, and its job."""
    with world.session() as session:
        of = [runs.get(session, project_id=digits.project_id, run_id=run_id) for run_id in recorded.run_ids]
        assert of[0].suite_id is not None
        tagging = taggings.create(
            session, project_id=digits.project_id, runs=of, suite_id=of[0].suite_id, tagger="reference"
        )
        taggings.defer_if_ready(session, tagging=tagging)
        return tagging.id, jobs.of_taggings(session, tagging_ids=[tagging.id])[tagging.id]


@pytest.mark.parametrize("table", ["tags", "score_blocks"])
def test_an_abort_does_not_wait_for_tags_that_are_being_written(busy_world, digits, recorded, table):
    world = busy_world
    with locked(world, table):
        tagging_id, job_id = tagging_of(world, digits, recorded)
        wait_for_table(world, table)
        ask_to_abort(world, job_id)
        assert world.wait_for(job_id).state == "aborted"
        assert world.tagging(tagging_id).state == "aborted"
    assert world.scalar("SELECT count(*) FROM tags WHERE tagging_id = :it", it=tagging_id) == 0


def test_a_lost_connection_while_tags_are_written_is_got_over(busy_world, digits, recorded):
    world = busy_world
    with locked(world, "tags"):
        tagging_id, job_id = tagging_of(world, digits, recorded)
        wait_for_table(world, "tags")
        cut = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_locks"
            " WHERE relation = 'tags'::regclass AND NOT granted"
        )
        assert world.scalar(cut) == 1
        wait_until(lambda: world.scalar("SELECT 1"), "the connection of the test is there")
    assert world.succeed(job_id).attempt == 1
    assert world.scalar("SELECT count(*) FROM tags WHERE tagging_id = :it", it=tagging_id) > 0


# ---- going on after an end


def aborted_in_epoch_1(world: World, digits) -> Trainings:
    world.close_gate(PASSES_PER_EPOCH + 2)
    training = world.train(digits)
    world.wait_at_gate()
    world.abort(training.job_id)
    assert world.wait_for(training.job_id).state == "aborted"
    world.open_gate()
    return training


@pytest.fixture(scope="module")
def whole(busy_world: World, digits) -> Trainings:
    """A training from its first epoch to its last in one attempt."""
    training = busy_world.train(digits)
    busy_world.succeed(training.job_id)
    return training


def retry(world: World, job_id: int) -> None:
    with world.session() as session:
        jobs.retry(session, project_id=projects.ensure(session).id, job_id=job_id)


def test_an_aborted_training_goes_on_from_its_last_epoch(busy_world, digits, whole):
    world = busy_world
    training = aborted_in_epoch_1(world, digits)
    assert world.run(training.run_id).finished_at is not None
    retry(world, training.job_id)
    job = world.succeed(training.job_id)
    assert (job.attempt, job.abort_requested, job.error) == (2, False, None)
    assert world.run(training.run_id).state == "finished"
    assert [epoch.attempt for epoch in world.epochs(training.run_id)] == [1] + [2] * (NUM_EPOCHS - 1)
    assert_equal_curves(world.recorded(training.run_id), world.recorded(whole.run_id))


# ---- what is left


def test_checkpoints_of_a_finished_run_go_with_the_next_training(busy_world, digits, whole):
    """As when it was killed between its end and its clearing up. Those of an aborted one stay."""
    world = busy_world
    aborted = aborted_in_epoch_1(world, digits)
    left = world.data_dir / "runs" / str(whole.run_id) / "checkpoints"
    left.mkdir()
    for name in ("epoch-000003.ckpt", "epoch-000004.partial"):
        (left / name).write_bytes(b"left")
    world.succeed(world.train(digits, num_epochs=1).job_id)
    assert not left.exists()
    assert list((world.data_dir / "runs" / str(aborted.run_id) / "checkpoints").glob("*.ckpt"))


@pytest.mark.parametrize(("device", "words"), [("cuad", "cuad"), ("cuda:99", "cuda:99")])
def test_a_device_that_is_not_there_is_named_with_its_setting(device, words):
    with pytest.raises(InvalidInput, match=f"SONDAGE_DEVICE={words}") as fault:
        _device(device)
    assert fault.value.field == "SONDAGE_DEVICE"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_faults_of_the_disk_are_blamed_on_the_disk(number):
    assert "space left" in _in_words(OSError(number, os.strerror(number), "/data/x"))


@pytest.mark.parametrize(
    "fault", [ConnectionResetError(errno.ECONNRESET, "reset"), FileNotFoundError(2, "x")]
)
def test_other_faults_of_the_system_are_not_blamed_on_the_disk(fault):
    assert "space left" not in _in_words(fault)
    assert type(fault).__name__ in _in_words(fault)


def test_a_worker_that_cannot_be_started_is_tried_again(tmp_path, monkeypatch):
    from app import worker_process
    from app.worker_process import WorkerProcess

    monkeypatch.setattr(worker_process, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(worker_process, "LONGEST_PAUSE_SECONDS", 0.01)
    command, sign = tmp_path / "worker.sh", tmp_path / "sign"
    before = len(os.listdir("/dev/fd"))
    with WorkerProcess((str(command),)) as process:
        tries: list[int] = []
        real = process._run_once
        monkeypatch.setattr(process, "_run_once", lambda: (tries.append(1), real())[1])
        wait_until(lambda: len(tries) > 20, "it is tried again")
        # A try under way has four open; a pipe forgotten at each try would be 20 and more.
        assert len(os.listdir("/dev/fd")) < before + 20
        _script(command, f"touch {sign}\nread -r line <&$2")
        wait_until(sign.exists, "it is started in the end")


def _script(place: Path, body: str) -> None:
    beside = place.with_suffix(".new")
    beside.write_text(f"#!/bin/sh\n{body}\n")
    beside.chmod(0o755)
    beside.rename(place)


# ---- in this process, where another attempt can come between


@pytest.fixture
def taken(database, tmp_path):
    """A training that this process has taken, of 60 vectors."""
    with transaction(database.engine) as session:
        run = rows.a_run(session, rows.a_dataset(session, num=60))
        job = rows.a_train_job(session, run)
        assert jobs.take(session, job_id=job.id, worker="test") is not None
        return Work(
            database=database,
            settings=WorkerSettings(data_dir=tmp_path),
            job_id=job.id,
            attempt=1,
            project_id=run.project_id,
            arguments={},
            run_id=run.id,
        )


def test_an_epoch_and_its_progress_are_one(taken):
    sink = StoreSink(taken, taken.run_id, NUM_EPOCHS)
    sink.write_epoch(1, {"loss": np.zeros(60, np.float32)}, {"train_loss": 1.0})
    with taken.transaction() as session:
        progress = jobs.get(session, project_id=taken.project_id, job_id=taken.job_id).progress
    assert (progress["unit"], progress["done"], progress["total"]) == ("epoch", 2, NUM_EPOCHS)


def test_given_up_and_resumed_it_gets_all_its_attempts_again(taken):
    """Else the first attempt after it would be one too many."""
    with taken.transaction() as session:
        job = jobs.get(session, project_id=taken.project_id, job_id=taken.job_id)
        job.attempt = 11
        jobs.fail(session, job_id=job.id, attempt=11, error="Given up after 10 attempts")
    with taken.transaction() as session:
        again = jobs.retry(session, project_id=taken.project_id, job_id=taken.job_id)
        assert (again.state, again.error, again.finished_at) == ("queued", None, None)
        assert session.get_one(Run, taken.run_id).state == "queued"
    supervisor = Supervisor(taken.database, taken.settings, threading.Event())
    assert supervisor._take(taken.job_id) == (12, 1)


def test_only_what_failed_or_was_aborted_is_resumed(taken):
    with pytest.raises(Conflict, match="running"), taken.transaction() as session:
        jobs.retry(session, project_id=taken.project_id, job_id=taken.job_id)
    with taken.transaction() as session:
        jobs.finish(session, job_id=taken.job_id, attempt=1)
    with pytest.raises(Conflict, match="succeeded"), taken.transaction() as session:
        jobs.retry(session, project_id=taken.project_id, job_id=taken.job_id)


def test_progress_of_a_tagging_needs_no_database_but_minds_an_abort(taken):
    away = Work(
        database=Database(make_engine("postgresql://nobody@127.0.0.1:1/none")),
        settings=taken.settings,
        job_id=taken.job_id,
        attempt=1,
        project_id=taken.project_id,
        arguments={},
    )
    with pytest.raises(Unavailable):
        away.report(unit="share")
    tag_job._progress(away)(0.5)
    with taken.transaction() as session:
        jobs.request_abort(session, project_id=taken.project_id, job_id=taken.job_id)
    with pytest.raises(JobAborted):
        tag_job._progress(taken)(0.5)


@pytest.mark.parametrize(
    ("recorded", "by_evidence", "needed"),
    [
        (["loss", "margin", "predicted"], False, ["loss", "predicted"]),
        (["loss", "margin"], False, ["loss", "margin"]),
        (["entropy", "loss"], False, ["loss"]),
        (["label_odds", "loss", "margin", "predicted"], True, ["loss", "margin", "predicted"]),
        (["entropy", "loss"], True, ["loss"]),
    ],
)
def test_a_tagging_reads_the_channels_it_needs(recorded, by_evidence, needed):
    assert tag_job._channels_of_tagging(recorded, by_evidence=by_evidence) == needed


def plant(work: Work, folder: Path) -> planting.Planted | None:
    """As a training does it."""
    if not (folder / "inputs").exists():
        with PayloadWriter(folder) as writer:
            writer.start(Form.VALUES, row_shape=(3,))
            writer.add(np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32))
            writer.publish(folder / "inputs")
    payload = open_payload(folder / "inputs")
    with work.transaction() as session:
        run = session.get_one(Run, work.run_id)
        columns = examples.columns(session, dataset_id=run.dataset_id)
    return planting.planted_probes(
        work, run, default_suite(count=4), TrainingArrays(payload, (payload.array,)), columns, ("a", "b")
    )


def between(monkeypatch, happens) -> None:
    """Something happens while probes are made, before they are stored."""
    real = planting._make

    def make(*given):
        made = real(*given)
        monkeypatch.setattr(planting, "_make", real)
        happens()
        return made

    monkeypatch.setattr(planting, "_make", make)


def test_probes_that_another_wrote_meanwhile_stay(taken, tmp_path, monkeypatch):
    found = []
    between(monkeypatch, lambda: found.append((plant(taken, tmp_path), place.stat().st_ino)))
    place = planting.probes_folder(tmp_path, taken.run_id)
    planted = plant(taken, tmp_path)
    [(first, inode)] = found
    assert place.stat().st_ino == inode
    for one, other in zip(planted.inputs, first.inputs, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [path.name for path in place.parent.iterdir()] == ["probes"]


def test_a_superseded_attempt_leaves_the_probes_alone(taken, tmp_path, monkeypatch):
    """Those of an attempt that was killed before it committed are replaced by the attempt that took over, only."""
    place = planting.probes_folder(tmp_path, taken.run_id)
    place.parent.mkdir(parents=True)
    write_probes(place, np.ones((2, 3), np.float32))

    def take_over() -> None:
        with taken.transaction() as session:
            jobs.take(session, job_id=taken.job_id, worker="another")

    between(monkeypatch, take_over)
    with pytest.raises(JobAborted, match="superseded"):
        plant(taken, tmp_path)
    np.testing.assert_array_equal(read_probes(place)[0], np.ones((2, 3)))
    with taken.transaction() as session:
        assert not runs.probes(session, run_id=taken.run_id)
