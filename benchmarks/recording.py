"""What recording costs: the same training with and without it, whole epochs with their flush, in turn.

    python -m benchmarks.recording [--quick] [--check] [--device cpu|cuda]

Two trainings start from the same seed and run the same epochs on the same rows in the same order; one records
loss, margin and predicted class of every row and hands the epoch to a sink in memory, the other does not even sum
its loss. They take turns, and who goes first alternates, so that a machine that slows down slows both: epochs are short
and many, since a pair of long ones is seldom given the same machine. The figure is the median over pairs of epochs of
(time with / time without − 1), with a 95 % interval by bootstrap.

Bars: at most 4 % on the small convnet and 2 % on ResNet-20 on a CPU; at most 1 % for both on a GPU.
Random images of the size of MNIST and CIFAR; torch and numpy are all that is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sondage.recipe import Recipe
from sondage.recorder import MemorySink, Recorder
from worker.data.loader import TrainingData
from worker.training.loop import recorder_for
from worker.training.passes import Trainer, training_pass

RESAMPLES = 10_000


@dataclass(frozen=True)
class Case:
    """One model on images of one shape (height, width, channels), and how much of it to run."""

    model: str
    shape: tuple[int, int, int]
    bar: float
    num_rows: int
    pairs: int

    def recipe(self) -> Recipe:
        return Recipe(model=self.model, num_epochs=self.pairs + 1, batch_size=128, augment="shift")

    def data(self) -> TrainingData:
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (self.num_rows, *self.shape), dtype=np.uint8)
        return TrainingData.assemble("image", (pixels,), rng.integers(0, 10, self.num_rows), 10)


CASES = {
    "cpu": [
        Case("convnet", (28, 28, 1), 0.04, num_rows=1_280, pairs=150),
        Case("resnet20", (32, 32, 3), 0.02, num_rows=384, pairs=100),
    ],
    "cuda": [
        Case("convnet", (28, 28, 1), 0.01, num_rows=60_000, pairs=40),
        Case("resnet20", (32, 32, 3), 0.01, num_rows=50_000, pairs=20),
    ],
}


def main() -> int:
    arguments = _arguments()
    device = torch.device(arguments.device)
    print(f"{_name_of(device)}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(
        f"{'model':<10} {'rows':>7} {'pairs':>6} {'without':>9} {'with':>9} {'cost':>8}  95 % interval   bar"
    )
    figures = {}
    for case in _cases(device.type, arguments.quick):
        figures[case.model] = figure = measure(case, device)
        _show(case, figure)
    missed = [f"{model}: {one['cost']:.2%}" for model, one in figures.items() if one["cost"] > one["bar"]]
    for line in missed:
        print(f"missed: {line}")
    print(
        json.dumps(
            {"benchmark": "recording", "device": _name_of(device), "figures": figures, "missed": missed}
        )
    )
    return 1 if arguments.check and missed else 0


def measure(case: Case, device: torch.device) -> dict[str, Any]:
    """Time pairs of epochs; the first pair warms up and does not count."""
    data, recipe = case.data(), case.recipe()
    plain, recorded = (Trainer.build(data, recipe, seed=0, device=device) for _ in range(2))
    recorder = recorder_for(data, recipe, MemorySink(), device=device)
    seconds = np.empty((case.pairs + 1, 2))
    for epoch in range(case.pairs + 1):
        order = data.epoch_permutation(0, epoch)
        turns = [(0, plain, None), (1, recorded, recorder)]
        for column, trainer, records in turns if epoch % 2 else turns[::-1]:
            seconds[epoch, column] = _epoch_seconds(trainer, order, epoch, records)
    _check_same_training(plain, recorded, device)
    return _figures(case, seconds[1:])


def _epoch_seconds(trainer: Trainer, order: Any, epoch: int, recorder: Recorder | None) -> float:
    started = time.perf_counter()
    training_pass(trainer, order, epoch, None if recorder is None else recorder.log)
    if recorder is not None:
        recorder.end_epoch(epoch)
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
    return time.perf_counter() - started


def _check_same_training(plain: Trainer, recorded: Trainer, device: torch.device) -> None:
    """Recording changed nothing: the weights are equal (on a GPU sums may come in another order)."""
    if device.type == "cpu":
        for one, other in zip(plain.model.parameters(), recorded.model.parameters(), strict=True):
            assert torch.equal(one, other), "recording changed the training"


def _figures(case: Case, seconds: np.ndarray[Any, Any]) -> dict[str, Any]:
    ratios = seconds[:, 1] / seconds[:, 0]
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (RESAMPLES, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return {
        "without_seconds": float(np.median(seconds[:, 0])),
        "with_seconds": float(np.median(seconds[:, 1])),
        "cost": float(np.median(ratios)) - 1,
        "cost_low": float(low) - 1,
        "cost_high": float(high) - 1,
        "bar": case.bar,
        "pairs": case.pairs,
        "rows": case.num_rows,
    }


def _show(case: Case, figure: dict[str, Any]) -> None:
    interval = f"{figure['cost_low']:+.2%} … {figure['cost_high']:+.2%}"
    print(
        f"{case.model:<10} {case.num_rows:>7} {case.pairs:>6} {figure['without_seconds']:>8.3f}s "
        f"{figure['with_seconds']:>8.3f}s {figure['cost']:>+8.2%}  {interval:<15} {case.bar:.0%}"
    )


def _cases(kind: str, quick: bool) -> list[Case]:
    if not quick:
        return CASES[kind]
    return [replace(one, num_rows=one.num_rows // 2, pairs=10) for one in CASES[kind]]


def _name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {os.cpu_count()} cores"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter epochs")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar is missed")
    parser.add_argument(
        "--device", choices=list(CASES), default="cuda" if torch.cuda.is_available() else "cpu"
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
