"""⑥ The worker beside a server: started with it, started again when it dies, ended with it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from types import TracebackType

logger = logging.getLogger("app")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
STEADY_SECONDS = 60.0
"""A worker that lived so long was well: its next death begins with the shortest pause again."""
GRACE_SECONDS = 15.0


class WorkerProcess:
    """`python -m worker` in a process group of its own.

    It holds the reading end of a pipe whose other end only this process has: when this process ends, by whatever
    means, the pipe closes and the worker stops by itself.
    """

    def __init__(self, command: tuple[str, ...] = (sys.executable, "-m", "worker")) -> None:
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name="worker-process", daemon=True)

    def __enter__(self) -> WorkerProcess:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _keep_alive(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                self._run_once()
            except OSError as fault:
                # No process or no memory to be had now: the server goes on, and so do the attempts.
                self.process = None
                logger.error("the worker could not be started: %s", fault)
            if self._stop.is_set():
                return
            if time.monotonic() - started > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            code = None if self.process is None else self.process.returncode
            logger.warning("the worker ended (exit code %s); starting it again in %.0f s", code, pause)
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _run_once(self) -> None:
        """Start it, and wait for its end or for ours."""
        reading, writing = os.pipe()
        try:
            self.process = self._start(reading)
            while self.process.poll() is None and not self._stop.wait(0.2):
                pass
            if self.process.poll() is None:
                _end_group(self.process)
        finally:
            os.close(writing)

    def _start(self, reading: int) -> subprocess.Popen[bytes]:
        command = [*self.command, "--parent-fd", str(reading)]
        try:
            return subprocess.Popen(command, pass_fds=(reading,), start_new_session=True)  # noqa: S603  # our own
        finally:
            os.close(reading)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, which gives its jobs back; then make it."""
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        logger.warning("the worker did not stop in %.0f s and is killed", GRACE_SECONDS)
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
