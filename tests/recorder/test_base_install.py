"""The library in an environment that holds what `pip install sondage` brings, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
IMPORT_SECONDS = 0.3
RECORD = """
import numpy as np
import sondage
run = sondage.init(
    dataset="d", run="r", num_examples=300, num_epochs=2, channels=["loss"], mode="offline"
)
for epoch in range(2):
    for rows in np.arange(300).reshape(3, 100):
        run.log(rows=rows, loss=np.full(100, 1.5, np.float32))
    run.end_epoch()
run.finish()
import sondage.client
sondage.client.Client("http://127.0.0.1:9").close()
"""
COST = "import time; start = time.process_time(); import sondage; sondage.init; print(time.process_time() - start)"


def _needed(name: str, found: set[str]) -> set[str]:
    """The distribution and all it needs without extras."""
    if name in found:
        return found
    found.add(name)
    for line in distribution(name).requires or ():
        need = Requirement(line)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            _needed(need.name, found)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import from: links to the packages of these distributions and to our own."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sondage").symlink_to(ROOT / "sondage")
    for name in _needed("sondage", set()) - {"sondage"}:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder


def _run(program: str, site: Path, spool: Path) -> str:
    """In an interpreter that sees the standard library and that folder."""
    environment = {"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin", "HOME": str(spool)}
    environment |= {"SONDAGE_SPOOL_DIR": str(spool), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=spool,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_holds_little(site: Path) -> None:
    assert not any((site / name).exists() for name in ("torch", "sklearn", "pandas", "pyarrow", "sqlalchemy"))
    assert len(_needed("sondage", set())) <= 16


def test_recording_and_the_client_work(site: Path, tmp_path: Path) -> None:
    _run(RECORD, site, tmp_path)
    assert list(tmp_path.rglob("run.json"))


def test_it_is_imported_soon(site: Path, tmp_path: Path) -> None:
    """Processor time, the least of three: what other work on the machine takes does not count."""
    seconds = min(float(_run(COST, site, tmp_path)) for _ in range(3))
    assert seconds < IMPORT_SECONDS
