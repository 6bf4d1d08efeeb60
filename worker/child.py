"""The process that does one attempt at one job. Started by `worker/supervise.py`, in a process group of its own.

A crash, an out-of-memory or an abort of the work never takes the worker down. It ends with its worker, on Linux and
on macOS: it reads a pipe that only the worker holds open, and takes its whole group with it when that closes.
"""

from __future__ import annotations

import argparse
import atexit
import errno
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from sondage.errors import JobAborted, SondageError, Unavailable
from store import jobs
from store.engine import open_database, transaction
from worker.context import Work
from worker.jobs import job_of
from worker.settings import WorkerSettings

DONE, ENDED, TRY_AGAIN = 0, 3, 75
"""Exit codes: the job is settled; it was aborted or superseded; the database was lost for too long."""

OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)

logger = logging.getLogger("worker.child")


def main() -> int:
    gc.disable()  # until all is imported
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _end_with_parent(arguments.parent_fd)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker decides, not the terminal
    settings = WorkerSettings()
    database = open_database(settings.database_url, settings.data_dir)
    try:
        with transaction(database.engine) as session:
            job = jobs.hold(session, job_id=arguments.job_id, attempt=arguments.attempt)
            work = Work(
                database=database,
                settings=settings,
                job_id=job.id,
                attempt=job.attempt,
                project_id=job.project_id,
                arguments=job.arguments,
                dataset_id=job.dataset_id,
                run_id=job.run_id,
                tagging_id=job.tagging_id,
            )
            kind = job.kind
        return _settle(work, kind)
    except JobAborted as ended:
        logger.info("%s", ended)
        return ENDED
    except Unavailable as lost:
        logger.error("%s", lost)
        return TRY_AGAIN
    finally:
        database.close()


def _settle(work: Work, kind: str) -> int:
    """Do the work; a fault of the work itself ends the job in `failed` with words that a user can act on."""
    try:
        _imported(kind, work.arguments)(work)
    except (JobAborted, Unavailable):
        raise
    except SondageError as fault:
        _fail(work, str(fault))
    except Exception as fault:
        logger.exception("job %d failed", work.job_id)
        _fail(work, _in_words(fault))
    return DONE


def _imported(kind: str, arguments: Mapping[str, Any]) -> Callable[[Work], None]:
    """What does the job, imported without looking for garbage: there is none, and what is there will stay.

    With torch, the look takes 0.4 of 2.3 s of processor time.
    """
    try:
        return job_of(kind, arguments)
    finally:
        gc.freeze()
        gc.enable()


def _in_words(fault: Exception) -> str:
    if isinstance(fault, MemoryError):
        return "Not enough memory. Use a smaller batch_size, a smaller image_size, or a larger machine."
    if isinstance(fault, OSError) and fault.errno in OF_THE_DISK:
        return f"{fault}. Is there space left on the disk, and may the worker write to the data folder?"
    blame = "This is a fault of Sondage or of your own model; the worker's log has the trace."
    return f"{type(fault).__name__}: {fault}. {blame}"


def _fail(work: Work, error: str) -> None:
    def step() -> None:
        with work.transaction() as session:
            jobs.fail(session, job_id=work.job_id, attempt=work.attempt, error=error)

    logger.error("job %d: %s", work.job_id, error)
    work.patiently(step)


def _end_with_parent(descriptor: int) -> None:
    """Take the whole process group down once the worker's end of the pipe closes, however the worker ended."""

    def watch() -> None:
        os.read(descriptor, 1)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(ENDED)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job-id", type=int, required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--parent-fd", type=int, required=True)
    return parser.parse_args()


def _leave_at_once(codes: list[int]) -> None:
    """Without taking the interpreter apart, which takes 0.5 s of processor time with torch: nobody uses it again.

    The last of the functions at exit: others, such as those of a user's own model, have been called before.
    """
    if codes:  # else an exception is on its way
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(codes[0])


if __name__ == "__main__":
    exit_codes: list[int] = []
    atexit.register(_leave_at_once, exit_codes)
    exit_codes.append(main())
    sys.exit(exit_codes[0])
