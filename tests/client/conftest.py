"""A real server with a real worker and a database of its own, as `make up` starts them, for the client's tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sondage.cli import main
from sondage.client import Client

ROOT = Path(__file__).parents[2]
START_SECONDS = 90
Sondage = Callable[..., int]


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """`python -m app up` on a free port, ended with all that belongs to it."""
    with tempfile.TemporaryDirectory(prefix="sdg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SONDAGE_")}
        environment |= {"SONDAGE_DATA_DIR": f"{folder}/data", "OMP_NUM_THREADS": "1"}
        log = Path(folder, "log")
        with log.open("w") as opened:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", "up", "--port", "0"],
                cwd=ROOT,
                env=environment,
                stdout=opened,
                stderr=subprocess.STDOUT,
            )
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait(60)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Read from the log; then wait until the server and its worker have shown themselves."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        said = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if said and _is_ready(said[0]):
            return said[0]
        time.sleep(0.2)
    raise AssertionError(f"The server did not start:\n{log.read_text()}")


def _is_ready(url: str) -> bool:
    with Client(url) as client:
        return client.health().worker_seen_at is not None


@pytest.fixture
def client(server_url: str) -> Iterator[Client]:
    with Client(server_url) as opened:
        yield opened


@pytest.fixture
def sondage(server_url: str, monkeypatch: pytest.MonkeyPatch) -> Sondage:
    """Runs a command on the server; returns its exit code."""
    monkeypatch.setenv("SONDAGE_URL", server_url)
    monkeypatch.delenv("SONDAGE_KEY", raising=False)
    return lambda *words: main([str(word) for word in words])
