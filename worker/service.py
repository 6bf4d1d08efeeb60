"""The worker's service: takes jobs' numbers from the queue and has each done, until it is told to stop.

Procrastinate fetches; signs of life and the rescue of left jobs are our own (`worker/watch.py`), since its side tasks
end for good at the first lost connection. For the same reason it polls and does not listen.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker

from sondage.errors import Unavailable
from store import jobs
from store.engine import Database, transaction
from worker.settings import WorkerSettings
from worker.supervise import Supervisor
from worker.watch import Watch

RECONNECT_SECONDS = 1.0
POLL_SECONDS = 0.5
A_DAY_SECONDS = 86_400.0
SPARE_THREADS = 4
TAGGINGS_AT_A_TIME = 1
"""Beside the other jobs, so that a training under way can be tagged by the epochs that it has completed."""

logger = logging.getLogger("worker")


async def serve(database: Database, settings: WorkerSettings, parent_fd: int | None) -> None:
    """Take jobs until a signal, or the end of the process behind `parent_fd`. A lost database is waited for."""
    make_room(settings.concurrency + TAGGINGS_AT_A_TIME)
    stop = threading.Event()
    supervisor = Supervisor(database, settings, stop)
    stopping = _stop_on_signal_or_parent(stop, parent_fd)
    while not stop.is_set():
        try:
            await _take_jobs(database, supervisor, settings, stopping)
        except (ConnectorException, psycopg.Error, OSError) as lost:
            logger.warning("the database went away (%s); reconnecting", lost.__cause__ or lost)
        if not stop.is_set():
            await asyncio.to_thread(_wait_for_database, database, stop)
    logger.info("stopped")


def make_room(concurrency: int) -> None:
    """A thread for every job at a time, and some for what else waits. Called inside the loop.

    Jobs wait for their children in the loop's default pool, whose size goes by the processors (up to 32): of more jobs,
    one would hold its place in the queue without anybody at work on it, and look left behind.
    """
    pool = ThreadPoolExecutor(concurrency + SPARE_THREADS, thread_name_prefix="job")
    asyncio.get_running_loop().set_default_executor(pool)


async def _take_jobs(
    database: Database, supervisor: Supervisor, settings: WorkerSettings, stopping: asyncio.Event
) -> None:
    """Take jobs until told to stop or until the connection is lost. Jobs under way are waited for."""
    queue = _queue(database, supervisor)
    async with queue.open_async():
        fetchers = [
            _fetcher(queue, jobs.QUEUE, settings.concurrency),
            _fetcher(queue, jobs.TAG_QUEUE, TAGGINGS_AT_A_TIME),
        ]
        with Watch(database, settings, supervisor, lambda: _numbers(fetchers)):
            taking = [asyncio.create_task(one.run()) for one in fetchers]  # type: ignore[no-untyped-call]  # as it comes
            stopper = asyncio.create_task(stopping.wait())
            logger.info("ready for jobs")
            await asyncio.wait([*taking, stopper], return_when=asyncio.FIRST_COMPLETED)
            stopper.cancel()
            for one in fetchers:
                one.stop()  # type: ignore[no-untyped-call]  # as it comes
            await asyncio.wait(taking)
            for task in taking:
                task.result()  # raises what ended it


def _numbers(fetchers: list[Worker]) -> list[int]:
    """Procrastinate's numbers of the workers that have one by now."""
    return [one.worker_id for one in fetchers if one.worker_id is not None]


def _queue(database: Database, supervisor: Supervisor) -> App:
    """Procrastinate's application: one task, which is given a job's number."""
    connector = PsycopgConnector(
        conninfo=database.conninfo,
        kwargs={"options": "-c search_path=procrastinate"},
        min_size=1,
        max_size=4,
    )
    app = App(connector=connector)
    app.task(name=jobs.TASK, queue=jobs.QUEUE)(_work_with(supervisor))
    return app


def _work_with(supervisor: Supervisor):  # type: ignore[no-untyped-def]  # procrastinate infers the task's type
    def work(job_id: int) -> None:
        supervisor.work(job_id)

    return work


def _fetcher(queue: App, name: str, concurrency: int) -> Worker:
    return Worker(
        queue,
        queues=[name],
        concurrency=concurrency,
        install_signal_handlers=False,
        listen_notify=False,
        fetch_job_polling_interval=POLL_SECONDS,
        update_heartbeat_interval=A_DAY_SECONDS,
        stalled_worker_timeout=A_DAY_SECONDS,
        delete_jobs="always",
    )


def _stop_on_signal_or_parent(stop: threading.Event, parent_fd: int | None) -> asyncio.Event:
    """Ctrl-C, SIGTERM, or the end of the process at the other end of the pipe."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        if not stop.is_set():
            logger.info("stopping: open jobs are given back and go on from their last finished epoch")
        stop.set()
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    if parent_fd is not None:
        watcher = threading.Thread(target=_call_at_end_of, args=(parent_fd, loop, end), daemon=True)
        watcher.start()
    return stopping


def _call_at_end_of(descriptor: int, loop: asyncio.AbstractEventLoop, end: object) -> None:
    while os.read(descriptor, 1):
        pass
    with contextlib.suppress(RuntimeError):  # the loop has ended already
        loop.call_soon_threadsafe(end)  # type: ignore[arg-type]  # a plain callable


def _wait_for_database(database: Database, stop: threading.Event) -> None:
    """Until it answers. An embedded server is started again by the attempt."""
    while not stop.wait(RECONNECT_SECONDS):
        try:
            with transaction(database.engine) as session:
                jobs.worker_seen_at(session)
                return
        except Unavailable as lost:
            logger.warning("%s", lost)
