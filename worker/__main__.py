"""`python -m worker`: takes jobs from the database and does them, one process each, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from psycopg_pool import AsyncConnectionPool

from sondage.errors import SondageError, Unavailable
from store import jobs
from store.engine import Database, check_migrated, migrate, open_database, transaction
from worker.settings import WorkerSettings
from worker.supervise import Supervisor

RECONNECT_SECONDS = 1.0

logger = logging.getLogger("worker")


def main() -> int:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    try:
        settings = WorkerSettings()
        database = open_database(settings.database_url, settings.data_dir)
    except (SondageError, ValueError) as fault:
        sys.stderr.write(f"worker: {fault}\n")
        return 2
    try:
        _prepare(database)
        asyncio.run(_serve(database, settings, arguments.parent_fd))
    except SondageError as fault:
        sys.stderr.write(f"worker: {fault}\n")
        return 1
    finally:
        database.close()
    return 0


def _prepare(database: Database) -> None:
    """Our own embedded server is migrated by whoever comes first; any other only by its operator."""
    if database.embedded is not None:
        migrate(database.engine)
    else:
        check_migrated(database.engine)


async def _serve(database: Database, settings: WorkerSettings, parent_fd: int | None) -> None:
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
        check=AsyncConnectionPool.check_connection,  # none that a restart of the server has broken
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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("--parent-fd", type=int, help="a pipe; the worker stops when its other end closes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
