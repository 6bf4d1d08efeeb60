"""What `run.log` costs beside other ways to keep every example's loss: whole epochs with their flush, in turn.

    python -m benchmarks.recorder [--quick] [--check] [--device cpu|cuda]

Several copies of one training start from the same seed and run the same epochs on the same rows in the same order; each
keeps the losses in its own way. They take turns within each round, in an order that is drawn anew, so that a machine
that slows down slows all of them. The figure is the median over rounds of (time of the round / time of the bare loop
in the same round − 1), with a 95 % interval by bootstrap. `inside` is the time spent in the logger's own calls as a
share of the bare epoch: finer, but without what a thread does beside, and meaningless where a call waits for a device.

| logger | keeps |
|---|---|
| loss alone | `run.log(rows=, loss=)`, channel loss |
| three channels | `run.log(rows=, loss=, logits=, labels=)`: loss, margin, predicted class |
| dict of lists | `losses[row].append(loss)` from one `.tolist()` a step |
| per item | `losses[row].append(loss.item())`, one at a time |
| aum | the package `aum`: `update(logits, targets, ids)`, sums of margins; left out where it is not installed |

The recorder runs offline: its thread writes every closed epoch to a spool folder, synced, within the time measured;
a server takes nothing from the training's machine but the sending.

Bars: on a CPU loss alone at most 2 % on a small convnet and 1 % on ResNet-20, three channels at most 4 % and 2 %; on a
GPU at most 1 %; loss alone costs at most a third of the cheapest other logger. Random images of the size of MNIST and
CIFAR.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import sondage
from sondage.recipe import Recipe
from worker.data.loader import TrainingData
from worker.training.models import build_model

RESAMPLES = 10_000
BATCH = 128
OTHERS = ("dict of lists", "per item", "aum")


class Logger(Protocol):
    def step(self, rows: Tensor, loss: Tensor, logits: Tensor, labels: Tensor) -> None: ...

    def end_epoch(self) -> None: ...


@dataclass(frozen=True)
class Case:
    """One model on images of one shape (channels, height, width), and how much of it to run."""

    model: str
    shape: tuple[int, int, int]
    num_rows: int
    rounds: int
    bar_loss: float
    bar_three: float


CASES = {
    "cpu": [
        Case("convnet", (1, 28, 28), 6_400, 30, 0.02, 0.04),
        Case("resnet20", (3, 32, 32), 1_280, 20, 0.01, 0.02),
    ],
    "cuda": [
        Case("convnet", (1, 28, 28), 60_000, 30, 0.01, 0.01),
        Case("resnet20", (3, 32, 32), 50_000, 15, 0.01, 0.01),
    ],
}


class Bare:
    def step(self, rows: Tensor, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        pass

    def end_epoch(self) -> None:
        pass


class Recorded:
    def __init__(self, spool: Path, case: Case, channels: tuple[str, ...]) -> None:
        self.run = sondage.init(
            dataset="random",
            run="-".join((case.model, *channels)),
            labels=np.arange(case.num_rows) % 10,
            channels=channels,
            mode="offline",
            spool=spool,
        )
        self.with_logits = len(channels) > 1

    def step(self, rows: Tensor, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        if self.with_logits:
            self.run.log(rows=rows, loss=loss, logits=logits, labels=labels)
        else:
            self.run.log(rows=rows, loss=loss)

    def end_epoch(self) -> None:
        self.run.end_epoch()


class DictOfLists(Bare):
    def __init__(self, num_rows: int) -> None:
        self.losses: dict[int, list[float]] = {row: [] for row in range(num_rows)}

    def step(self, rows: Tensor, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        for row, value in zip(rows.tolist(), loss.detach().tolist(), strict=True):
            self.losses[row].append(value)


class PerItem(DictOfLists):
    def step(self, rows: Tensor, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        for position, row in enumerate(rows):
            self.losses[row.item()].append(loss[position].item())


class Aum(Bare):
    def __init__(self, calculator: Any) -> None:
        self.calculator = calculator

    def step(self, rows: Tensor, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.calculator.update(logits, labels, rows.tolist())


class Training:
    """A loop as anyone would write it, and a logger in it."""

    def __init__(self, case: Case, device: torch.device, logger: Logger) -> None:
        rng = np.random.default_rng(0)
        pixels = rng.normal(size=(case.num_rows, *case.shape)).astype(np.float32)
        self.images = torch.from_numpy(pixels).to(device)
        self.labels = torch.from_numpy(rng.integers(0, 10, case.num_rows)).to(device)
        torch.manual_seed(0)
        self.model = build_model(Recipe(model=case.model), _spec(case)).to(device)
        self.optimiser = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.logger = logger
        self.device = device
        self.inside_seconds = 0.0

    def epoch_seconds(self, order: Tensor) -> float:
        started = time.perf_counter()
        self.inside_seconds = 0.0
        for rows in order.split(BATCH):
            labels = self.labels[rows]
            logits = self.model(self.images[rows])
            loss = functional.cross_entropy(logits, labels, reduction="none")
            before = time.perf_counter()
            self.logger.step(rows, loss, logits, labels)
            self.inside_seconds += time.perf_counter() - before
            self.optimiser.zero_grad()
            loss.mean().backward()
            self.optimiser.step()
        before = time.perf_counter()
        self.logger.end_epoch()
        self.inside_seconds += time.perf_counter() - before
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - started


def main() -> int:
    arguments = _arguments()
    device = torch.device(arguments.device)
    print(f"{_name_of(device)}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    figures, missed = {}, []
    for case in _cases(device.type, arguments.quick):
        with tempfile.TemporaryDirectory() as folder:
            figures[case.model] = found = measure(case, device, Path(folder))
        _show(case, found)
        missed += _missed(case, found, device)
    for line in missed:
        print(f"missed: {line}")
    last = {"benchmark": "recorder", "device": _name_of(device), "figures": figures, "missed": missed}
    print(json.dumps(last))
    return 1 if arguments.check and missed else 0


def measure(case: Case, device: torch.device, folder: Path) -> dict[str, Any]:
    """Time rounds of one epoch of each training; the first round warms up and does not count."""
    makers = _makers(case, folder)
    trainings = {name: Training(case, device, make()) for name, make in makers.items()}
    rng = np.random.default_rng(1)
    seconds = {name: np.empty(case.rounds + 1) for name in trainings}
    inside = {name: np.empty(case.rounds + 1) for name in trainings}
    for turn in range(case.rounds + 1):
        order = torch.from_numpy(rng.permutation(case.num_rows)).to(device)
        for name in rng.permutation(list(trainings)):
            seconds[name][turn] = trainings[name].epoch_seconds(order)
            inside[name][turn] = trainings[name].inside_seconds
    _check_same_training(trainings, device)
    for training in trainings.values():
        if isinstance(training.logger, Recorded):
            training.logger.run.finish()
    found = _figures({name: values[1:] for name, values in seconds.items()})
    for name, values in inside.items():
        found[name]["inside"] = float(np.median(values[1:] / seconds["bare"][1:]))
    return found


def _makers(case: Case, folder: Path) -> dict[str, Callable[[], Logger]]:
    makers: dict[str, Callable[[], Logger]] = {
        "bare": Bare,
        "loss alone": lambda: Recorded(folder, case, ("loss",)),
        "three channels": lambda: Recorded(folder, case, ("loss", "margin", "predicted")),
        "dict of lists": lambda: DictOfLists(case.num_rows),
        "per item": lambda: PerItem(case.num_rows),
    }
    with contextlib.suppress(ImportError):
        package = importlib.import_module("aum")
        makers["aum"] = lambda: Aum(package.AUMCalculator(str(folder), compressed=True))
    return makers


def _check_same_training(trainings: dict[str, Training], device: torch.device) -> None:
    """Recording changed nothing: the weights are equal (on a GPU sums may come in another order)."""
    if device.type == "cpu":
        for training in trainings.values():
            pairs = zip(trainings["bare"].model.parameters(), training.model.parameters(), strict=True)
            assert all(torch.equal(one, other) for one, other in pairs), "recording changed the training"


def _figures(seconds: dict[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    found = {}
    for name, values in seconds.items():
        ratios = values / seconds["bare"]
        medians = np.median(rng.choice(ratios, (RESAMPLES, len(ratios))), axis=1)
        low, high = np.quantile(medians, [0.025, 0.975])
        found[name] = {
            "seconds": float(np.median(values)),
            "cost": float(np.median(ratios)) - 1,
            "cost_low": float(low) - 1,
            "cost_high": float(high) - 1,
        }
    return found


def _missed(case: Case, found: dict[str, Any], device: torch.device) -> list[str]:
    costs = {name: figure["cost"] for name, figure in found.items()}
    bars = {"loss alone": case.bar_loss, "three channels": case.bar_three}
    lines = [
        f"{case.model}, {name}: {costs[name]:.2%}, bar {bar:.0%}"
        for name, bar in bars.items()
        if costs[name] > bar
    ]
    # Where nothing waits for a device, the time inside the calls tells apart what whole epochs cannot.
    kind = "inside" if device.type == "cpu" else "cost"
    costs = {name: figure[kind] for name, figure in found.items()}
    cheapest = min((name for name in OTHERS if name in costs), key=lambda name: costs[name])
    if costs["loss alone"] > costs[cheapest] / 3:
        lines.append(
            f"{case.model}: loss alone {costs['loss alone']:.2%}, {cheapest} {costs[cheapest]:.2%}: not a third"
        )
    return lines


def _show(case: Case, found: dict[str, Any]) -> None:
    print(f"\n{case.model}: {case.num_rows} rows, {case.rounds} rounds")
    print(f"{'logger':<16} {'seconds':>8} {'inside':>8} {'cost':>9}  95 % interval")
    for name, figure in found.items():
        interval = f"{figure['cost_low']:+.2%} … {figure['cost_high']:+.2%}"
        print(
            f"{name:<16} {figure['seconds']:>8.3f} {figure['inside']:>8.2%} {figure['cost']:>+9.2%}  {interval}"
        )


def _spec(case: Case) -> Any:
    channels, height, width = case.shape
    pixels = np.zeros((10, height, width, channels), dtype=np.uint8)
    return TrainingData.assemble("image", (pixels,), np.arange(10), 10).spec


def _cases(kind: str, quick: bool) -> list[Case]:
    if not quick:
        return CASES[kind]
    return [
        Case(one.model, one.shape, one.num_rows // 5, 6, one.bar_loss, one.bar_three) for one in CASES[kind]
    ]


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
