"""Folders with embedded servers, the processes in them, and programs that use them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil
import psycopg
import pytest

from store.embedded import EmbeddedServer
from store.engine import Database, make_engine

ROOT = Path(__file__).resolve().parents[3]
IS_ROOT = os.geteuid() == 0
SECONDS = 30.0
as_root = pytest.mark.skipif(not IS_ROOT, reason="needs root, to become another user")
CLIENT = """
import sys
from pathlib import Path
from store.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
print(server.ensure(), flush=True)
sys.stdin.read()
"""


def short_folder() -> Path:
    """A short path that others may pass; pytest's own is closed, and often too long for a socket."""
    path = Path(tempfile.mkdtemp(prefix="sdg-", dir="/tmp"))
    path.chmod(0o755)
    return path


def processes_in(folder: Path) -> list[psutil.Process]:
    """Every living process that works in the folder or names it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = [process.cwd(), *process.cmdline()]  # raises for a zombie, which is nothing any more
            if process.pid != os.getpid() and any(word.startswith(str(folder)) for word in words):
                found.append(process)
    return found


def postmaster(server: EmbeddedServer) -> int:
    return int((server.folder.cluster / "postmaster.pid").read_text().split()[0])


def watchdog_of(server: EmbeddedServer) -> psutil.Process:
    (found,) = watchdogs_in(server.folder.path)
    return found


def watchdogs_in(folder: Path) -> list[psutil.Process]:
    return [process for process in processes_in(folder) if _is_watchdog(process)]


def _is_watchdog(process: psutil.Process) -> bool:
    with suppress(psutil.Error):  # it may end while it is looked at
        return process.name().startswith("python") and process.ppid() == 1
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(Database(make_engine(url)).conninfo) as connection:
        answer = connection.execute(statement)
        return answer.fetchall() if answer.description else []


class Client:
    """A process that uses the server until it is killed or told to end."""

    def __init__(self, folder: Path, script: str) -> None:
        command = [sys.executable, "-c", script, str(folder)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def url(self) -> str:
        return self._pipe(self.process.stdout).readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self._pipe(self.process.stdin).close()
        self._pipe(self.process.stdout).close()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@contextmanager
def clients(folder: Path, count: int = 1, script: str = CLIENT) -> Iterator[list[Client]]:
    found = [Client(folder, script) for _ in range(count)]
    try:
        yield found
    finally:
        for client in found:
            client.close()
