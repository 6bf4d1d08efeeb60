"""`make demo ARGS=--exit`: from nothing to its figures, and once more on what is there."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import psutil
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="sdg-", dir="/tmp"))  # short: it holds a socket
    yield folder
    rmtree(folder, ignore_errors=True)


def _demo(data_dir: Path, port: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SONDAGE_")}
    return subprocess.run(
        [sys.executable, "-m", "tools.demo", "--exit", "--port", str(port)],
        env=environment | {"SONDAGE_DATA_DIR": str(data_dir), "SONDAGE_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def _figures(output: str) -> dict[str, tuple[float, float]]:
    """Precision at the number planted and recall at twice it, per ranking."""
    rows = re.findall(r"^(\S.*?)\s{2,}(\d\.\d+)\s+(\d\.\d+)\s+\d\.\d+$", output, re.MULTILINE)
    return {name: (float(precision), float(recall)) for name, precision, recall in rows}


def test_finds_the_planted_errors_and_says_how_many(data_dir: Path) -> None:
    done = _demo(data_dir)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = _figures(done.stdout)
    assert set(figures) == {"suspicion (Sondage)", "mean loss", "margin mean (AUM)", "random"}
    precision, recall = figures["suspicion (Sondage)"]
    assert precision >= 0.95
    assert recall >= 0.98
    assert figures["random"][0] == pytest.approx(0.08, abs=0.005)
    assert "129 wrong labels were planted among 1,618 examples" in done.stdout


def test_can_be_run_again_and_leaves_nothing_running(data_dir: Path) -> None:
    done = _demo(data_dir)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Training twice" not in done.stdout
    left = [process for process in psutil.process_iter(["environ"]) if _works_in(process, data_dir)]
    assert left == []


def _works_in(process: psutil.Process, data_dir: Path) -> bool:
    return (process.info["environ"] or {}).get("SONDAGE_DATA_DIR") == str(data_dir)


def test_a_port_that_is_none_is_told(data_dir: Path) -> None:
    done = _demo(data_dir, 65_536)
    assert done.returncode == 2
    assert "65535" in done.stderr


def test_a_port_that_is_taken_is_told(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _demo(data_dir, taken.getsockname()[1])
    assert done.returncode == 2
    assert "--port" in done.stderr
