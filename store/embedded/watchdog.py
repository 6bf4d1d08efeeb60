"""Ends the embedded server when its last user has gone. Run as a script, by the standard library alone.

Every process that uses the server holds a shared lock on the file `users`; the kernel drops it with the process,
`kill -9` included. This script asks for the exclusive lock, sleeps until it gets it, and stops the server.

    python -I -S watchdog.py <folder> <descriptor of the locked file `watchdog`>
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

POLL_SECONDS = 0.05
LOG_BYTES = 8 * 2**20
LOG_CHECK_SECONDS = 60


def main(folder: Path, own_lock: int) -> None:
    os.chdir("/")
    users = os.open(folder / "users", os.O_RDWR)
    _keep_log_short(folder / "log")
    fcntl.flock(users, fcntl.LOCK_EX)
    stop(folder)
    # In this order: whoever waits for `users` must find the place of the watchdog free.
    os.close(own_lock)
    os.close(users)


def _interrupt(folder: Path) -> None:
    """Ask for a fast shutdown. Only while the server listens, when the number in its pid file is its own."""
    try:
        os.kill(int((folder / "cluster" / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
    except (FileNotFoundError, ProcessLookupError, IndexError, ValueError):
        return  # it is just going


def stop(
    folder: Path, *, interrupt: Callable[[Path], None] = _interrupt, seconds: float | None = None
) -> bool:
    """End the server of `folder` in order and wait until nothing of it is left.

    Returns
    -------
    bool
        False when it was still there after `seconds`.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    while not _is_gone(folder):
        if deadline is not None and time.monotonic() > deadline:
            return False
        if _listens(folder):
            interrupt(folder)
        time.sleep(POLL_SECONDS)
    return True


def _is_gone(folder: Path) -> bool:
    """The lock on `server` is inherited by every process of the server."""
    try:
        descriptor = os.open(folder / "server", os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _listens(folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(os.fspath(folder / ".s.PGSQL.5432"))
        except OSError:
            return False
    return True


def _keep_log_short(log: Path) -> None:
    """Look at the log's size now and then, while waiting for the lock."""
    signal.signal(signal.SIGALRM, lambda *_: shorten(log, LOG_BYTES))
    signal.setitimer(signal.ITIMER_REAL, LOG_CHECK_SECONDS, LOG_CHECK_SECONDS)


def shorten(log: Path, limit_bytes: int) -> None:
    """Move a log past its limit to `log.1`. The server appends, so it goes on at the start of the emptied file."""
    try:
        if log.stat().st_size > limit_bytes:
            log.with_name(log.name + ".1").write_bytes(log.read_bytes()[-limit_bytes:])
            os.truncate(log, 0)
    except OSError:
        return  # a full disk must not end the watchdog


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
