"""File locks that end with the processes holding them, however those end.

`flock` belongs to an open file, so a lock that is passed to a child lives until the last process that inherited it
is gone. That tells whether anything of a server is still alive, where a process number in a file cannot.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sondage.errors import DataFolderError, Unavailable

POLL_SECONDS = 0.02


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """The descriptor of the locked file, or None when another process holds the lock. Closing it lets go."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as fault:
        raise DataFolderError(f"{path} cannot be opened: {fault.strerror}") from fault
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as fault:
        os.close(descriptor)
        raise DataFolderError(f"{path.parent} lies where files cannot be locked: {fault.strerror}") from fault
    return descriptor


def wait_lock(path: Path, *, seconds: float, awaited: str, shared: bool = False) -> int:
    """As `try_lock`, after waiting at most `seconds`; `awaited` says in the error what was waited for."""
    deadline = time.monotonic() + seconds
    while (descriptor := try_lock(path, shared=shared)) is None:
        if time.monotonic() > deadline:
            raise Unavailable(f"waited {seconds:.0f} s for {awaited} ({path} is locked); try again")
        time.sleep(POLL_SECONDS)
    return descriptor


@contextmanager
def locked(path: Path, *, seconds: float, awaited: str) -> Iterator[None]:
    """Hold the lock of `path` for the length of a block."""
    descriptor = wait_lock(path, seconds=seconds, awaited=awaited)
    try:
        yield
    finally:
        os.close(descriptor)


def is_free(path: Path) -> bool:
    """Whether no process holds a lock on `path`."""
    descriptor = try_lock(path)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None
