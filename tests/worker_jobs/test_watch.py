"""Which jobs a worker's watch takes from others, and when it trusts their silence."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from store import jobs, projects
from store.engine import Database, transaction
from worker import supervise
from worker import watch as watch_module
from worker.settings import WorkerSettings
from worker.supervise import Supervisor
from worker.watch import Watch

HEARTBEAT, STALLED = 1.0, 10.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(watch_module, "time", made)
    return made


@pytest.fixture
def supervisor(database: Database, tmp_path) -> Supervisor:
    settings = WorkerSettings(data_dir=tmp_path, heartbeat_seconds=HEARTBEAT, stalled_seconds=STALLED)
    return Supervisor(database, settings, threading.Event())


@pytest.fixture
def watch(database: Database, supervisor: Supervisor, clock: Clock) -> Watch:
    """Of a worker that is registered, and not started: the tests look when they want."""
    number = registered(database)
    return Watch(database, supervisor.settings, supervisor, lambda: [number])


def registered(database: Database, *, silent_seconds: float = 0) -> int:
    with transaction(database.engine) as session:
        number = session.scalar(
            text("SELECT worker_id FROM procrastinate.procrastinate_register_worker_v1()")
        )
        silence(session, number, silent_seconds)
        return number


def silence(session: Session, worker_id: int, seconds: float) -> None:
    statement = text(
        "UPDATE procrastinate.procrastinate_workers"
        " SET last_heartbeat = now() - make_interval(secs => :seconds) WHERE id = :id"
    )
    session.execute(statement, {"seconds": seconds, "id": worker_id})


def held_by(database: Database, worker_id: int, kind: str = "register") -> int:
    """A job whose entry this worker has fetched."""
    with transaction(database.engine) as session:
        project = projects.ensure(session)
        job = jobs.create(session, project_id=project.id, kind=kind, arguments={})
        statement = text(
            "UPDATE procrastinate.procrastinate_jobs SET status = 'doing', worker_id = :worker"
            " WHERE lock = 'job/' || :job"
        )
        session.execute(statement, {"worker": worker_id, "job": str(job.id)})
        return job.id


def entries(database: Database, job_id: int) -> list[str]:
    query = text("SELECT status::text FROM procrastinate.procrastinate_jobs WHERE lock = 'job/' || :job")
    with transaction(database.engine) as session:
        return list(session.scalars(query, {"job": str(job_id)}))


def look(watch: Watch, clock: Clock, times: int = 1, *, every: float = HEARTBEAT) -> None:
    for _ in range(times):
        clock.now += every
        watch.look()


def test_a_silent_workers_job_is_offered_again_at_the_second_look(database, watch, clock):
    job_id = held_by(database, registered(database, silent_seconds=STALLED + 1))
    look(watch, clock)
    assert entries(database, job_id) == ["doing"]
    look(watch, clock)
    assert entries(database, job_id) == ["todo"]
    look(watch, clock, 3)
    assert entries(database, job_id) == ["todo"]


def test_taggings_have_a_queue_of_their_own_and_are_rescued_from_it(database, watch, clock):
    job_id = held_by(database, registered(database, silent_seconds=STALLED + 1), "tag")
    look(watch, clock, 2)
    assert entries(database, job_id) == ["todo"]
    query = text("SELECT queue_name FROM procrastinate.procrastinate_jobs WHERE lock = 'job/' || :job")
    with transaction(database.engine) as session:
        assert session.scalar(query, {"job": str(job_id)}) == jobs.TAG_QUEUE


def test_signs_of_life_are_given_for_every_queue(database, supervisor, clock):
    numbers = [registered(database, silent_seconds=100) for _ in range(2)]
    look(Watch(database, supervisor.settings, supervisor, lambda: numbers), clock)
    query = text(
        "SELECT count(*) FROM procrastinate.procrastinate_workers"
        " WHERE id = ANY(:ids) AND last_heartbeat > now() - interval '5 seconds'"
    )
    with transaction(database.engine) as session:
        assert session.scalar(query, {"ids": numbers}) == 2


def test_a_living_workers_job_is_left_alone(database, watch, clock):
    job_id = held_by(database, registered(database, silent_seconds=STALLED - 2))
    look(watch, clock, 3)
    assert entries(database, job_id) == ["doing"]


@pytest.mark.parametrize("gap", [STALLED, -3600.0], ids=["asleep", "clock set back"])
def test_after_a_gap_of_its_own_it_is_patient(database, watch, clock, gap):
    """Everyone was without the database: the others get the time to come back."""
    look(watch, clock)
    other = registered(database, silent_seconds=STALLED + 1)
    job_id = held_by(database, other)
    look(watch, clock, every=gap)
    look(watch, clock, int(STALLED / HEARTBEAT) - 1)
    assert entries(database, job_id) == ["doing"]
    look(watch, clock, 3)
    assert entries(database, job_id) == ["todo"]


def test_jobs_under_way_here_are_left_alone_and_others_of_our_own_are_not(database, watch, clock, supervisor):
    """An entry of ours that nobody works on: its end could not be written down."""
    ours = watch._worker_ids()[0]
    under_way, left = held_by(database, ours), held_by(database, ours)
    supervisor.active.add(under_way)
    look(watch, clock, 3)
    assert entries(database, under_way) == ["doing"]
    assert entries(database, left) == ["todo"]


def test_a_job_without_an_entry_gets_one_and_an_ended_one_does_not(database, watch, clock):
    open_, ended = held_by(database, watch._worker_ids()[0]), held_by(database, watch._worker_ids()[0])
    with transaction(database.engine) as session:
        session.execute(text("DELETE FROM procrastinate.procrastinate_jobs"))
        jobs.request_abort(session, project_id=projects.ensure(session).id, job_id=ended)
    look(watch, clock, 2)
    assert entries(database, open_) == ["todo"]
    assert entries(database, ended) == []


def test_it_gives_signs_of_life(database, watch, clock):
    with transaction(database.engine) as session:
        silence(session, watch._worker_ids()[0], 100)
        before = jobs.worker_seen_at(session)
    look(watch, clock)
    with transaction(database.engine) as session:
        seen, now = jobs.worker_seen_at(session), session.scalar(text("SELECT now()"))
    assert seen > before
    assert (now - seen).total_seconds() < 5


class Stop(threading.Event):
    """Nobody stops, and nobody really waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        return False


def test_a_worker_that_breaks_down_over_a_job_leaves_it_to_be_found_after_a_pause(
    database, watch, clock, supervisor, monkeypatch
):
    def no_more_processes(*command: object, **options: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(supervise.subprocess, "Popen", no_more_processes)
    job_id = held_by(database, watch._worker_ids()[0])
    supervisor.stop = Stop()
    with pytest.raises(BlockingIOError):
        supervisor.work(job_id)
    assert supervisor.stop.waited == [supervise.BREAKDOWN_SECONDS]
    assert supervisor.active == set()
    with transaction(database.engine) as session:
        session.execute(text("DELETE FROM procrastinate.procrastinate_jobs"))  # as procrastinate does
    look(watch, clock)
    assert entries(database, job_id) == ["todo"]


def test_silence_must_be_longer_than_a_few_heartbeats():
    with pytest.raises(ValueError, match="three times heartbeat_seconds"):
        WorkerSettings(heartbeat_seconds=4, stalled_seconds=10)
