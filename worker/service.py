"""The worker's service: takes jobs' numbers from the queue and has each done, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException

from sondage.errors import Unavailable
from store import jobs
from store.engine import Database, transaction
from worker.settings import WorkerSettings
from worker.supervise import Supervisor

RECONNECT_SECONDS = 1.0

logger = logging.getLogger("worker")


async def serve(database: Database, settings: WorkerSettings, parent_fd: int | None) -> None:
    """Take jobs until a signal, or the end of the process behind `parent_fd`. A lost database is waited for."""
    stop = threading.Event()
    queue = _queue(database, Supervisor(database, settings, stop))
    stopping = _stop_on_signal_or_parent(stop, parent_fd)
    while not stop.is_set():
        try:
            await _take_jobs(queue, settings, stopping)
        except (ConnectorException, OSError) as lost:
            logger.warning("the database went away (%s); reconnecting", lost)
        if not stop.is_set():
            await asyncio.to_thread(_wait_for_database, database, stop)
    logger.info("stopped")


def _queue(database: Database, supervisor: Supervisor) -> App:
    """Procrastinate's application: one task, which is given a job's number."""
    address = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connector = PsycopgConnector(
        conninfo=address,
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


async def _take_jobs(queue: App, settings: WorkerSettings, stopping: asyncio.Event) -> None:
    """Take jobs until told to stop or until the connection is lost."""
    async with queue.open_async():
        worker = asyncio.create_task(
            queue.run_worker_async(
                queues=[jobs.QUEUE],
                concurrency=settings.concurrency,
                install_signal_handlers=False,
                fetch_job_polling_interval=2.0,
                update_heartbeat_interval=settings.heartbeat_seconds,
                stalled_worker_timeout=settings.stalled_seconds,
                delete_jobs="always",
            )
        )
        rescuer = asyncio.create_task(_rescue_stalled(queue, settings))
        stopper = asyncio.create_task(stopping.wait())
        logger.info("ready for jobs")
        try:
            await asyncio.wait([worker, rescuer, stopper], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (worker, rescuer, stopper):
                task.cancel()
            outcomes = await asyncio.gather(worker, rescuer, stopper, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def _rescue_stalled(queue: App, settings: WorkerSettings) -> None:
    """Give the jobs of workers that fell silent to whoever is there."""
    while True:
        stalled = await queue.job_manager.get_stalled_jobs(seconds_since_heartbeat=settings.stalled_seconds)
        for job in stalled:
            logger.warning("job %s was left by a dead worker; taking it over", job.task_kwargs.get("job_id"))
            await queue.job_manager.retry_job(job)
        await asyncio.sleep(settings.heartbeat_seconds)


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
