"""The real server with a real worker, as `make up` starts them, for the length of a block."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 90


@contextmanager
def serving(data_folder: Path) -> Iterator[str]:
    """`python -m app up` until the end of the block, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "SONDAGE_DATA_DIR": str(data_folder),
        "SONDAGE_PORT": str(port),
        "SONDAGE_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen([sys.executable, "-m", "app", "up"], env=os.environ | settings, cwd=ROOT)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for_worker(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_for_worker(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/api/v1/health").json()["worker_seen_at"]:
                return
        time.sleep(0.2)
    pytest.fail("`python -m app up` did not come up with a worker; its output is above.")
