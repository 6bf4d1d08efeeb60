"""Supervises one job: takes it, starts its process, watches for aborts, and settles what the process could not."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from sondage.errors import StorageFull, Unavailable
from store import jobs, runs
from store.engine import Database, transaction
from worker.child import DONE, ENDED, TRY_AGAIN
from worker.settings import WorkerSettings

POLL_SECONDS = 0.25
GRACE_SECONDS = 0.75
"""From the polite signal to the hard one. With the poll, an abort ends within about a second."""
SETTLED_SECONDS = 10.0
"""For a process to leave by itself once its job is settled."""
BREAKDOWN_SECONDS = 5.0
"""Before a job is tried again over which this worker itself broke down, such as when it can start no process."""
OWN_MODEL = "A model of your own must not end the process it runs in."

Result = TypeVar("Result")

CALM_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Idle threads of a training sleep and do not spin: beside other work on the machine, spinning ones cost it a factor of
eight (docs/benchmarks/threads.md). The environment's own word counts."""

logger = logging.getLogger("worker")


class Supervisor:
    """Runs jobs, each in its own process group, until `stop` is set.

    Parameters
    ----------
    stop
        Set when the worker is to end: running jobs are ended and given back to the queue.
    """

    def __init__(self, database: Database, settings: WorkerSettings, stop: threading.Event) -> None:
        self.database = database
        self.settings = settings
        self.stop = stop
        self.name = f"{socket.gethostname()}/{os.getpid()}"
        self.active: set[int] = set()
        """Numbers of the jobs under way."""

    def work(self, job_id: int) -> None:
        """One attempt at a job, from taking it to its settled end."""
        self.active.add(job_id)
        try:
            self._attempt(job_id)
        except Exception:
            # With this call goes the job's entry in the queue, and the watch makes a new one: at a bearable pace.
            self.stop.wait(BREAKDOWN_SECONDS)
            raise
        finally:
            self.active.discard(job_id)

    def _attempt(self, job_id: int) -> None:
        taken = self._take(job_id)
        if taken is None:
            return
        attempt, fruitless = taken
        if fruitless > self.settings.max_attempts:
            self._fail(job_id, attempt, _given_up(fruitless - 1))
            return
        with _Child(job_id, attempt, self.settings) as child:
            code = self._watch(child, job_id, attempt)
        self._settle(job_id, attempt, code, child.last_words)

    def _take(self, job_id: int) -> tuple[int, int] | None:
        """The number of the attempt, and how many there were since the last epoch that was closed."""

        def step() -> tuple[int, int] | None:
            with transaction(self.database.engine) as session:
                job = jobs.take(session, job_id=job_id, worker=self.name)
                if job is None:
                    return None
                fruitful = 0 if job.run_id is None else runs.last_fruitful_attempt(session, run_id=job.run_id)
                forgiven = int(job.arguments.get(jobs.FORGIVEN, 0))
                return job.attempt, job.attempt - max(fruitful, forgiven)

        return self._until_stored(step)

    def _watch(self, child: _Child, job_id: int, attempt: int) -> int | None:
        """The exit code, or None when the process was ended from here."""
        while True:
            code = child.wait(POLL_SECONDS)
            if code is not None:
                return code
            standing = self._standing(job_id, attempt)
            if standing == "settled":
                code = child.wait(SETTLED_SECONDS)
                child.end()
                return code
            if self.stop.is_set() or standing == "unwanted":
                child.end()
                return None

    def _standing(self, job_id: int, attempt: int) -> jobs.Standing:
        try:
            with transaction(self.database.engine) as session:
                return jobs.standing(session, job_id=job_id, attempt=attempt)
        except (Unavailable, StorageFull):
            return "working"  # the process waits for the database itself

    def _settle(self, job_id: int, attempt: int, code: int | None, last_words: str) -> None:
        if code == DONE:
            # Nothing happens when it did settle its job.
            self._fail(job_id, attempt, f"The job's process ended before its work was done. {OWN_MODEL}")
        elif code is None or code in (ENDED, TRY_AGAIN):
            self._give_back_or_abort(job_id, attempt)
        elif code in (-signal.SIGKILL, -signal.SIGTERM):
            # Most often the kernel, short of memory. The next attempt goes on from the last finished epoch.
            logger.warning("job %d: its process was killed; trying again", job_id)
            self._give_back_or_abort(job_id, attempt)
        else:
            self._fail(
                job_id, attempt, f"The job's process {_end_in_words(code)}. Its last words: {last_words}"
            )

    def _give_back_or_abort(self, job_id: int, attempt: int) -> None:
        def step() -> None:
            with transaction(self.database.engine) as session:
                if jobs.standing(session, job_id=job_id, attempt=attempt) == "unwanted":
                    jobs.abort(session, job_id=job_id, attempt=attempt)
                else:
                    jobs.requeue(session, job_id=job_id, attempt=attempt)

        self._until_stored(step)

    def _fail(self, job_id: int, attempt: int, error: str) -> None:
        def step() -> None:
            with transaction(self.database.engine) as session:
                jobs.fail(session, job_id=job_id, attempt=attempt, error=error)

        self._until_stored(step)

    def _until_stored(self, step: Callable[[], Result]) -> Result:
        """Wait for a database that is lost or full, so that it learns how the job stands.

        A stopping worker waits for a moment only: the job is found stalled later.
        """
        pause, left = 0.1, 5.0
        while True:
            try:
                return step()
            except (Unavailable, StorageFull):
                if self.stop.wait(pause):
                    left -= pause
                    threading.Event().wait(pause)
                if left < 0:
                    raise
                pause = min(pause * 2, 2.0)


def _given_up(attempts: int) -> str:
    return (
        f"Given up after {attempts} attempts in a row whose process was killed before it got anywhere, most often "
        "for want of memory: use a smaller batch_size or image_size, or a larger machine. See the worker's log."
    )


def _end_in_words(code: int) -> str:
    return f"ended with code {code}" if code >= 0 else f"crashed ({signal.Signals(-code).name})"


class _Child:
    """The process of one attempt, in a group of its own that ends when this object (or this process) does."""

    def __init__(self, job_id: int, attempt: int, settings: WorkerSettings) -> None:
        reading, self._write = os.pipe()
        self._words: deque[str] = deque(maxlen=12)
        command = [sys.executable, "-m", "worker.child"]
        command += ["--job-id", str(job_id), "--attempt", str(attempt), "--parent-fd", str(reading)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
                command,
                env=child_environment(settings),
                pass_fds=(reading,),
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                text=True,
                errors="replace",
            )
        except BaseException:
            os.close(self._write)
            raise
        finally:
            os.close(reading)
        self._reader = threading.Thread(target=self._listen, name=f"job-{job_id}-log", daemon=True)
        self._reader.start()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()
        os.close(self._write)

    def wait(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """End the whole group: politely, then for certain. What it had not committed is as if it never was."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
            except (ProcessLookupError, PermissionError):
                break  # all gone; on macOS a group of zombies refuses
            if number == signal.SIGTERM:
                self.wait(GRACE_SECONDS)
        self._process.wait()
        self._reader.join(1.0)

    @property
    def last_words(self) -> str:
        return " ".join(line.strip() for line in list(self._words)[-3:]) or "none"

    def _listen(self) -> None:
        """Pass the process's log on to ours, and remember its end."""
        assert self._process.stderr is not None  # noqa: S101 (we asked for a pipe)
        for line in self._process.stderr:
            self._words.append(line)
            # Should our own log be gone, the process must not get stuck on a full pipe.
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(line)


def child_environment(settings: WorkerSettings) -> dict[str, str]:
    """Ours, with the settings as the child reads them, whatever folder it starts in."""
    given = {"SONDAGE_DATA_DIR": str(settings.data_dir.resolve())}
    for name, value in settings.model_dump(exclude_none=True, exclude={"data_dir"}).items():
        if isinstance(value, str | int | float):
            given[f"SONDAGE_{name.upper()}"] = str(value)
    return CALM_THREADS | os.environ | given
