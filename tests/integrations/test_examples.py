"""The examples, each run as a program: on real data where it lies beside the checkout, else on tiny data."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data"


def example(name: str, *words: object, folder: Path) -> str:
    """Run an example in mode offline; what it printed."""
    command = [
        sys.executable,
        str(ROOT / "examples" / name),
        *map(str, words),
        "--mode",
        "offline",
        "--run",
        "first",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def here(recorded) -> Path:
    """The working directory of examples: their spool is the fixture's."""
    recorded.spool = recorded.spool.parent / "sondage-spool"
    folder: Path = recorded.spool.parent
    return folder


@pytest.fixture
def pictures(here) -> Path:
    if REAL.is_dir():
        return REAL / "cifar10_train.parquet"
    rng = np.random.default_rng(0)
    rows = []
    for number in range(120):
        opened = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(opened, "PNG")
        rows.append({"image": {"bytes": opened.getvalue(), "path": None}, "label": number % 4})
    parquet.write_table(pyarrow.Table.from_pylist(rows), here / "pictures.parquet")
    return here / "pictures.parquet"


@pytest.fixture
def texts(here) -> Path:
    if REAL.is_dir():
        return REAL / "sst2.parquet"
    words = [["good", "fine", "warm"], ["bad", "dull", "cold"]]
    rows = [
        {
            "text": f"a {words[row % 2][row % 3]} film number {row}",
            "label": ["neg", "pos"][row % 2],
            "split": "test" if row % 10 == 9 else "train",
        }
        for row in range(60)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), here / "texts.parquet")
    return here / "texts.parquet"


def check(recorded, num_rows: int, num_epochs: int) -> np.ndarray:
    loss = recorded.curves()
    assert loss.shape == (num_rows, num_epochs)
    assert np.isfinite(loss).all()
    assert recorded.ended() == "finished"
    return loss


def test_plain_pytorch(recorded, here, pictures) -> None:
    few = ("--epochs", 2, "--batch-size", 40, "--limit", 120)
    assert example("plain_pytorch.py", pictures, *few, folder=here).count("epoch") == 2
    check(recorded, 120, 2)


def test_lightning(recorded, here, texts) -> None:
    num = 2000 if REAL.is_dir() else 54
    example("lightning_text.py", texts, "--epochs", 3, "--limit", 2000, folder=here)
    loss = check(recorded, num, 3)
    assert loss[:, -1].mean() < 0.95 * loss[:, 0].mean()


def test_transformers(recorded, here, texts) -> None:
    num = 200 if REAL.is_dir() else 54
    example("transformers_text.py", texts, "--epochs", 2, "--limit", 200, folder=here)
    check(recorded, num, 2)


@pytest.mark.parametrize("options", [[], ["--boosted"]], ids=["partial_fit", "staged"])
def test_scikit_learn(recorded, here, options) -> None:
    example("scikit_learn.py", "--epochs", 3, "--limit", 300, *options, folder=here)
    loss = check(recorded, 300, 3)
    assert loss[:, -1].mean() < loss[:, 0].mean()
