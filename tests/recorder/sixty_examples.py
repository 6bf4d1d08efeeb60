"""Sixty examples of three classes, two of which have a wrong label, and vectors that tell the classes apart."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import sondage
from tests.recorder.fake_server import FakeServer

CHANNELS = ("loss", "margin", "predicted", "label_odds")
N = 60
LABELS = np.arange(N) % 3
FEATURES = (np.random.default_rng(0).normal(size=(N, 5)) + 3 * np.eye(3, 5)[LABELS]).astype(np.float32)
GIVEN = LABELS.copy()
GIVEN[[7, 30]] = (GIVEN[[7, 30]] + 1) % 3


def close(run: sondage.Run) -> None:
    """An epoch in which nothing was learned."""
    run.log(rows=np.arange(N), logits=np.zeros((N, 3), np.float32), labels=GIVEN)
    run.end_epoch()


def looked_at(server: FakeServer, channel: str = "label_odds") -> dict[int, np.ndarray]:
    """By epoch, the log odds that arrived, or the distances."""
    return {key[0]: values for key, values in server.run.parts.items() if key[2] == channel}


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
