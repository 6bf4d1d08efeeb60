"""Small rows of the truth bench, and a cell without a training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.datasets import load_digits

from benchmarks.truth_parts.cells import Cell, CellRun
from benchmarks.truth_parts.rows import DataRow
from sondage.curves import Curves
from sondage.probes.plan import plan_probes
from sondage.probes.suite import default_suite
from sondage.tagging.tag import RunCurves


@pytest.fixture(scope="session")
def digits() -> DataRow:
    """900 pictures of 8 × 8, 400 outsiders, 100 held out."""
    found = load_digits()
    pixels = (found.images[..., None] * 15).astype(np.uint8)
    labels = found.target.astype(np.int64)
    return DataRow(
        "digits",
        "image",
        pixels[:900],
        labels[:900],
        10,
        pixels[1300:1400],
        labels[1300:1400],
        pixels[900:1300],
        labels[900:1300],
        num_epochs=3,
    )


@pytest.fixture(scope="session")
def texts() -> DataRow:
    """Two classes, all rows in use: labellers are cross-fitted."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=600)
    words = np.array([["good", "fine", "nice", "the"], ["bad", "poor", "dull", "the"]])
    inputs = [" ".join(rng.choice(words[label], size=4)) for label in labels]
    return DataRow("texts", "text", inputs, labels, 2, inputs[:20], labels[:20])


@pytest.fixture
def make_cell() -> Callable[..., Cell]:
    """A cell of random curves over `num` examples, two of whose runs displace different ones."""

    def make(num: int = 200, num_epochs: int = 8, num_classes: int = 4, seed: int = 0) -> Cell:
        rng = np.random.default_rng(seed)
        truth = rng.integers(num_classes, size=num)
        given = np.where(rng.random(num) < 0.2, (truth + 1) % num_classes, truth)
        definition = default_suite(seed=seed)
        runs = tuple(
            _random_run(rng, given, truth, num_epochs, num_classes, slot, definition) for slot in range(2)
        )
        meta = {"train_seconds": 0.0}
        return Cell("made", "uniform20", seed, num_classes, definition, given, truth, runs, meta)

    return make


def _random_run(rng, given, truth, num_epochs, num_classes, slot, definition) -> CellRun:
    num = len(given)
    plan = plan_probes(definition, given, np.arange(num), num_classes, seed=0, slot=slot, num_slots=2)
    labels = np.concatenate([given, plan.label])
    rows = len(labels)
    logits = rng.normal(size=(rows, num_epochs, num_classes))
    logits[np.arange(num), :, truth] += np.linspace(0, 3, num_epochs)
    own = np.take_along_axis(logits, labels[:, None, None], axis=2)[:, :, 0]
    others = logits.copy()
    np.put_along_axis(others, labels[:, None, None], -np.inf, axis=2)
    chances = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    channels = {
        "loss": (np.log(np.exp(logits).sum(axis=2)) - own).astype(np.float32),
        "margin": (own - others.max(axis=2)).astype(np.float32),
        "predicted": logits.argmax(axis=2).astype(np.int16),
    }
    extra = {
        "el2n": np.linalg.norm(chances - np.eye(num_classes)[labels][:, None, :], axis=2).astype(np.float16),
        "runner_up": others.argmax(axis=2).astype(np.int16),
    }
    for values in (*channels.values(), *extra.values()):
        values[plan.source_row] = -1 if values.dtype.kind == "i" else np.nan
    return CellRun(
        RunCurves(Curves(channels), labels, plan.probes(num), np.sort(plan.source_row)),
        Curves(extra),
        logits[:, -1].astype(np.float16).astype(np.float32),
        rng.normal(size=(rows, 5)).astype(np.float16).astype(np.float32),
        np.linspace(0.5, 0.9, num_epochs),
    )
