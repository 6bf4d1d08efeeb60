"""Two processes that train one model: each records the examples that it saw."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sondage.recorder.parcel import Parcel

HERE = Path(__file__).parent
N = 21


def train(command: Sequence[str]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr


def check(parcels: Sequence[Parcel]) -> None:
    """Two epochs of two processes; together they saw every example, none of them all of it."""
    assert sorted((parcel.epoch, parcel.rank) for parcel in parcels) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for epoch in (0, 1):
        seen = [np.isfinite(parcel.channels["loss"]) for parcel in parcels if parcel.epoch == epoch]
        assert np.logical_or(*seen).all()
        assert not any(of_one.all() for of_one in seen)
        # Samplers fill up with examples that the other process saw too: one here, accelerate whole batches of four.
        assert N <= sum(int(of_one.sum()) for of_one in seen) <= 24


def test_lightning_begins_a_run_in_each_of_its_processes(recorded) -> None:
    pytest.importorskip("lightning")
    train([str(HERE / "lightning_program.py"), str(recorded.spool)])
    check(recorded.parcels())


def test_the_trainer_under_torchrun(recorded, tmp_path) -> None:
    pytest.importorskip("transformers")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    train([*launcher, str(HERE / "transformers_program.py"), str(recorded.spool), str(tmp_path / "out")])
    check(recorded.parcels())
