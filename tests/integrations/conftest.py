"""Runs without a server, and what they recorded, read back from the spool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sondage
from sondage.recorder.parcel import Parcel


class Recorded:
    """Makes runs in mode offline, and reads their spool."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool

    def init(self, **arguments: Any) -> Any:
        asked: dict[str, Any] = {"dataset": "tiny", "run": "first", "mode": "offline", "spool": self.spool}
        return sondage.init(**{**asked, **arguments})

    def parcels(self, run: str = "first") -> list[Parcel]:
        """Closed epochs, in order."""
        files = sorted(self.spool.glob(f"default-{run}-*/*.epoch"))
        return [Parcel.from_bytes(file.read_bytes()) for file in files]

    def curves(self, channel: str = "loss", run: str = "first") -> np.ndarray:
        """Shape (rows, epochs)."""
        return np.stack([parcel.channels[channel] for parcel in self.parcels(run)], axis=1)

    def ended(self, run: str = "first") -> str | None:
        """How the run ended."""
        (state,) = self.spool.glob(f"default-{run}-*/rank0.json")
        ended: str | None = json.loads(state.read_text())["finish"]
        return ended


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path / "spool")
