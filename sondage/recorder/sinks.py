"""③ Where an epoch of curves goes once it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

Channels = dict[str, np.ndarray[Any, Any]]
"""Channel name to values, shape (num_rows,): `loss` and `margin` floating, `predicted` integer (−1 unseen)."""

Metrics = Mapping[str, float | None]
"""Per-epoch figures by name; None where the figure does not exist (accuracy without validation rows)."""


class Sink(Protocol):
    """Takes one finished epoch at a time.

    Writing the same epoch again replaces it: after a crash, the epoch that was under way comes once more.
    When `write_epoch` returns, the epoch is committed.
    """

    def write_epoch(self, epoch: int, channels: Channels, metrics: Metrics) -> None: ...


class MemorySink:
    """Keeps every epoch in memory: for tests, notebooks and small runs."""

    def __init__(self) -> None:
        self.channels: dict[int, Channels] = {}
        self.metrics: dict[int, dict[str, float | None]] = {}

    def write_epoch(self, epoch: int, channels: Channels, metrics: Metrics) -> None:
        self.channels[epoch] = channels
        self.metrics[epoch] = dict(metrics)

    def curves(self, channel: str) -> np.ndarray[Any, Any]:
        """All epochs of one channel in order, shape (num_rows, num_epochs)."""
        return np.stack([self.channels[epoch][channel] for epoch in sorted(self.channels)], axis=1)
