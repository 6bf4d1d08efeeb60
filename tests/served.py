"""The real server with a real worker, as `make up` starts them, for tests of what talks to it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sondage.client import Client
from store.engine import Database

ROOT = Path(__file__).parents[1]
START_SECONDS = 90


@contextmanager
def serving(database: Database) -> Iterator[str]:
    """Address of `python -m app up` on a free port and a migrated database, ended with all that belongs to it."""
    with tempfile.TemporaryDirectory(prefix="sdg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SONDAGE_")}
        environment |= {
            "SONDAGE_DATA_DIR": f"{folder}/data",
            "SONDAGE_DATABASE_URL": database.engine.url.render_as_string(hide_password=False),
            "OMP_NUM_THREADS": "1",
        }
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
