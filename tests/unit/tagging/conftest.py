"""Made-up runs whose truth is known: curves that fall early, late, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from sondage.curves import Curves
from sondage.probes.plan import plan_probes
from sondage.probes.suite import SuiteDefinition, default_suite
from sondage.tagging.tag import RunCurves

NUM_CLASSES = 4
NUM_EPOCHS = 12
FALLS_AT = {"easy": 2.0, "hard": 7.0, "corrupted": 4.5, "ood": 10.0, "noisy": 30.0}


@dataclass(frozen=True)
class World:
    """N examples, 8 % with wrong labels (`noisy`), 12 % hard, the rest easy; and runs over them."""

    kinds: np.ndarray
    labels: np.ndarray

    @classmethod
    def make(cls, num_examples: int = 800, seed: int = 0) -> World:
        rng = np.random.default_rng(seed)
        kinds = rng.choice(["noisy", "hard", "easy"], num_examples, p=[0.08, 0.12, 0.8])
        return cls(kinds, rng.integers(NUM_CLASSES, size=num_examples))

    @property
    def wrong(self) -> np.ndarray:
        return self.kinds == "noisy"

    def run(self, slot: int = 0, num_slots: int = 2, definition: SuiteDefinition | None = None) -> RunCurves:
        """As a worker would hand it over: examples, then planted probes; displaced examples have no curve."""
        num = len(self.kinds)
        suite = definition or default_suite()
        plan = plan_probes(
            suite, self.labels, np.arange(num), NUM_CLASSES, seed=0, slot=slot, num_slots=num_slots
        )
        labels = np.concatenate([self.labels, plan.label])
        channels = curves_of(np.concatenate([self.kinds, plan.category]), labels, seed=slot)
        for name, values in channels.items():
            values[plan.source_row] = -1 if name == "predicted" else np.nan
        return RunCurves(Curves(channels), labels, plan.probes(num), plan.source_row, f"run-{slot}")


def curves_of(kinds: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """A loss that falls from 3 to 0 about the epoch of its kind, with noise; the prediction follows it."""
    rng = np.random.default_rng(seed)
    centre = np.array([FALLS_AT[kind] for kind in kinds.tolist()]) + rng.normal(0, 0.7, len(kinds))
    loss = 3 / (1 + np.exp(np.arange(NUM_EPOCHS) - centre[:, None]))
    loss += rng.random(loss.shape) * 0.2
    other = (labels + 1) % NUM_CLASSES
    predicted = np.where(loss < 1.4, labels[:, None], other[:, None])
    return {"loss": loss, "margin": 1.4 - loss, "predicted": predicted}


@pytest.fixture
def world() -> World:
    return World.make()


@pytest.fixture
def runs(world: World) -> list[RunCurves]:
    return [world.run(slot) for slot in (0, 1)]


@pytest.fixture
def suite() -> SuiteDefinition:
    return default_suite()
