"""What `run.log` costs beside other ways to keep every example's loss: whole epochs with their flush, in turn.

    python -m benchmarks.recorder [--quick] [--check] [--device cpu|cuda]

| logger | keeps |
|---|---|
| loss alone | `run.log(rows=, loss=)`, channel loss |
| three channels | `run.log(rows=, loss=, logits=, labels=)`: loss, margin, predicted class |
| dict of lists | `losses[row].append(loss)` from one `.tolist()` a step |
| per item | `losses[row].append(loss.item())`, one at a time |
| aum | the package `aum`: `update(logits, targets, ids)`, sums of margins; left out where it is not installed |

The recorder runs offline: its thread writes every closed epoch to a spool folder, synced, within the time measured;
a server takes nothing from the training's machine but the sending. The others keep what they have in memory.

Two measures:

* `cost`: copies of one training start from the same seed and run the same epochs on the same rows. They take turns
  within each round, in an order that is drawn anew; epochs are short and rounds many, since a machine is seldom the
  same for two long epochs. The median over rounds of (time of the epoch / time of the bare one in the same round − 1),
  with a 95 % interval by bootstrap. The loggers without a bar take part in every fourth round.
* `inside`: the time spent in the logger's own calls, epoch's end included, and the processor time of the threads it
  started, as a share of the bare epoch. This is finer than any machine is steady. Counted twice, to our disadvantage:
  what a call waits while our own thread holds the interpreter. Not counted: caches that are colder afterwards, which
  only `cost` can show. Meaningless where a call waits for a device.

Short epochs are dear ones: what an epoch costs once (a file, two syncs) is spread over few rows.

How dear a logger is beside another does not depend on the model. So the third is measured where much can be logged in
little time: a linear model on epochs of the size of MNIST, one training whose epochs go to the loggers in turn. What
counts is processor time, in nanoseconds an example: of the training's thread in the logger's calls, epoch's end
included, less what two readings of the clock take, and of the threads that the logger started. It does not see what
others do on the machine, as the time on the wall does, which stands beside it: where a call waited for a lock or a
disk, the two would differ on a quiet machine. The same on epochs of a tenth is shown without a bar: there the file of
an epoch, which only the recorder writes, weighs ten times as much.

Bars: on a CPU loss alone at most 2 % on a small convnet and 1 % on ResNet-20, three channels at most 4 % and 2 %; on a
GPU at most 1 %; loss alone costs at most a third of the cheapest other logger. On a CPU a bar of an epoch is missed
where `inside` is above it, or the whole interval of `cost` is. Random images of the size of MNIST and CIFAR.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
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
RECORDED = ("loss alone", "three channels")
OTHERS = ("dict of lists", "per item", "aum")
OTHERS_EVERY = 4
NUM_FEATURES = 64
LAST_WRITE_SECONDS = 1.0
"""After the last epoch a thread still writes it; what that takes is its own processor time."""


class Logger(Protocol):
    def step(self, rows: Tensor, loss: Tensor, logits: Tensor, labels: Tensor) -> None: ...

    def end_epoch(self) -> None: ...

    def thread_seconds(self) -> float:
        """Processor time of the threads that the logger has started, since their start."""


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
        Case("convnet", (1, 28, 28), 1_280, 40, 0.02, 0.04),
        Case("resnet20", (3, 32, 32), 384, 30, 0.01, 0.02),
    ],
    "cuda": [
        Case("convnet", (1, 28, 28), 60_000, 30, 0.01, 0.01),
        Case("resnet20", (3, 32, 32), 50_000, 15, 0.01, 0.01),
    ],
}


CALLS = {60_000: 7, 6_400: 20}
"""Rows of an epoch, rounds."""
BAR_ROWS = 60_000
CLOCKS = (time.thread_time, time.perf_counter)


class Bare:
    def step(self, rows: Tensor, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        pass

    def end_epoch(self) -> None:
        pass

    def thread_seconds(self) -> float:
        return 0.0


class Recorded:
    def __init__(self, spool: Path, name: str, num_rows: int, channels: tuple[str, ...]) -> None:
        before = set(threading.enumerate())
        self.run = sondage.init(
            dataset="random",
            run="-".join((name, *channels)),
            labels=np.arange(num_rows) % 10,
            channels=channels,
            mode="offline",
            spool=spool,
        )
        started = set(threading.enumerate()) - before
        self.clocks = [time.pthread_getcpuclockid(thread.ident) for thread in started if thread.ident]
        self.with_logits = len(channels) > 1

    def step(self, rows: Tensor, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        if self.with_logits:
            self.run.log(rows=rows, loss=loss, logits=logits, labels=labels)
        else:
            self.run.log(rows=rows, loss=loss)

    def end_epoch(self) -> None:
        self.run.end_epoch()

    def thread_seconds(self) -> float:
        return sum(time.clock_gettime(clock) for clock in self.clocks)


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

    def __init__(self, model: torch.nn.Module, images: Tensor, logger: Logger) -> None:
        self.images, self.model, self.logger = images, model, logger
        labels = np.random.default_rng(0).integers(0, 10, len(images))
        self.labels = torch.from_numpy(labels).to(images.device)
        self.optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def epoch_seconds(
        self, order: Tensor, clock: Callable[[], float] = time.perf_counter
    ) -> tuple[float, float]:
        """Of the whole epoch, and by `clock` of the logger's own calls in it."""
        started, inside = time.perf_counter(), 0.0
        for rows in order.split(BATCH):
            labels = self.labels[rows]
            logits = self.model(self.images[rows])
            loss = functional.cross_entropy(logits, labels, reduction="none")
            before = clock()
            self.logger.step(rows, loss, logits, labels)
            inside += clock() - before
            self.optimiser.zero_grad()
            loss.mean().backward()
            self.optimiser.step()
        before = clock()
        self.logger.end_epoch()
        inside += clock() - before
        if self.images.is_cuda:
            torch.cuda.synchronize(self.images.device)
        return time.perf_counter() - started, inside


def main() -> int:
    arguments = _arguments()
    device = torch.device(arguments.device)
    print(f"{_name_of(device)}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    figures: dict[str, Any] = {}
    missed: list[str] = []
    for case in _cases(device.type, arguments.quick):
        with tempfile.TemporaryDirectory() as folder:
            figures[case.model] = found = measure(case, device, Path(folder))
        _show(case, found)
        missed += _missed(case, found, device)
    if device.type == "cpu":
        for num_rows, rounds in CALLS.items():
            with tempfile.TemporaryDirectory() as folder:
                found = measure_calls(num_rows, 3 if arguments.quick else rounds, Path(folder))
            figures[f"calls, {num_rows} rows"] = found
            _show_calls(num_rows, found)
            if num_rows == BAR_ROWS:
                missed += _no_third(
                    "calls", {name: one["ns"] for name, one in found.items()}, "ns an example"
                )
    for line in missed:
        print(f"missed: {line}")
    last = {"benchmark": "recorder", "device": _name_of(device), "figures": figures, "missed": missed}
    print(json.dumps(last))
    return 1 if arguments.check and missed else 0


def measure(case: Case, device: torch.device, folder: Path) -> dict[str, Any]:
    """Time rounds of one epoch of each training; the first round warms up and does not count."""
    pixels = np.random.default_rng(0).normal(size=(case.num_rows, *case.shape)).astype(np.float32)
    images = torch.from_numpy(pixels).to(device)
    trainings = {
        name: Training(_model(case, device), images, make())
        for name, make in _makers(case.model, case.num_rows, folder).items()
    }
    rng = np.random.default_rng(1)
    shape = (case.rounds + 1, len(trainings))
    seconds, inside = np.full(shape, np.nan), np.full(shape, np.nan)
    names = list(trainings)
    threads = {name: training.logger.thread_seconds() for name, training in trainings.items()}
    for turn in range(case.rounds + 1):
        order = torch.from_numpy(rng.permutation(case.num_rows)).to(device)
        for column in rng.permutation(len(names)):
            name, training = names[column], trainings[names[column]]
            if turn % OTHERS_EVERY == 0 or name not in OTHERS:
                seconds[turn, column], inside[turn, column] = training.epoch_seconds(order)
    _check_same_training(trainings, device)
    time.sleep(LAST_WRITE_SECONDS)
    for column, name in enumerate(names):
        used = trainings[name].logger.thread_seconds() - threads[name]
        inside[:, column] += used / np.count_nonzero(~np.isnan(seconds[:, column]))
    _finish(training.logger for training in trainings.values())
    return _figures(names, seconds[1:], inside[1:])


def measure_calls(num_rows: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Nanoseconds an example in each logger's calls and in its threads; the first round warms up.

    Epochs take turns in being timed by the clock of the thread's processor time and by that on the wall.
    """
    loggers = {name: make() for name, make in _makers("linear", num_rows, folder).items()}
    torch.manual_seed(0)
    training = Training(torch.nn.Linear(NUM_FEATURES, 10), torch.randn(num_rows, NUM_FEATURES), Bare())
    rng = np.random.default_rng(1)
    seconds = {name: np.empty((rounds + 1, len(CLOCKS))) for name in loggers}
    before = {name: logger.thread_seconds() for name, logger in loggers.items()}
    for turn in range(rounds + 1):
        order = torch.from_numpy(rng.permutation(num_rows))
        for name in rng.permutation(list(loggers)):
            training.logger = loggers[name]
            for column, clock in enumerate(CLOCKS):
                seconds[name][turn, column] = training.epoch_seconds(order, clock)[1]
    time.sleep(LAST_WRITE_SECONDS)
    to_ns = 1e9 / num_rows
    empty = np.median(seconds["bare"][1:], axis=0)
    found = {}
    for name, logger in loggers.items():
        calls, wall = (np.median(seconds[name][1:], axis=0) - empty) * to_ns
        threads = (logger.thread_seconds() - before[name]) / seconds[name].size * to_ns
        found[name] = {"calls_ns": calls, "threads_ns": threads, "ns": calls + threads, "wall_ns": wall}
    _finish(loggers.values())
    return {
        name: {kind: float(ns) for kind, ns in one.items()} for name, one in found.items() if name != "bare"
    }


def _makers(name: str, num_rows: int, folder: Path) -> dict[str, Callable[[], Logger]]:
    makers: dict[str, Callable[[], Logger]] = {
        "bare": Bare,
        "loss alone": lambda: Recorded(folder, name, num_rows, ("loss",)),
        "three channels": lambda: Recorded(folder, name, num_rows, ("loss", "margin", "predicted")),
        "dict of lists": lambda: DictOfLists(num_rows),
        "per item": lambda: PerItem(num_rows),
    }
    with contextlib.suppress(ImportError):
        package = importlib.import_module("aum")
        makers["aum"] = lambda: Aum(package.AUMCalculator(str(folder), compressed=True))
    return makers


def _finish(loggers: Iterable[Logger]) -> None:
    """Without the message that epochs wait to be sent."""
    logging.disable()
    for logger in loggers:
        if isinstance(logger, Recorded):
            logger.run.finish()
    logging.disable(logging.NOTSET)


def _check_same_training(trainings: dict[str, Training], device: torch.device) -> None:
    """Recording changed nothing: the weights are equal (on a GPU sums may come in another order)."""
    if device.type == "cpu":
        bare = trainings["bare"].model
        for name in RECORDED:
            pairs = zip(bare.parameters(), trainings[name].model.parameters(), strict=True)
            assert all(torch.equal(one, other) for one, other in pairs), "recording changed the training"


def _figures(names: list[str], seconds: np.ndarray[Any, Any], inside: np.ndarray[Any, Any]) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    bare = seconds[:, names.index("bare")]
    found = {}
    for column, name in enumerate(names):
        took_part = ~np.isnan(seconds[:, column])
        ratios = (seconds[:, column] / bare)[took_part]
        medians = np.median(rng.choice(ratios, (RESAMPLES, len(ratios))), axis=1)
        low, high = np.quantile(medians, [0.025, 0.975])
        found[name] = {
            "seconds": float(np.median(seconds[took_part, column])),
            "cost": float(np.median(ratios)) - 1,
            "cost_low": float(low) - 1,
            "cost_high": float(high) - 1,
            "inside": float(np.median(inside[took_part, column]) / np.median(bare)),
            "epochs": len(ratios),
        }
    return found


def _missed(case: Case, found: dict[str, Any], device: torch.device) -> list[str]:
    lines = []
    for name, bar in zip(RECORDED, (case.bar_loss, case.bar_three), strict=True):
        figure = found[name]
        if device.type == "cpu":
            cost = max(figure["inside"], figure["cost_low"])
        else:  # a call may wait for the device on behalf of the step before it
            cost = figure["cost"]
        if cost > bar:
            lines.append(f"{case.model}, {name}: {cost:.2%}, bar {bar:.0%}")
    if device.type != "cpu":
        costs = {name: figure["cost"] * 100 for name, figure in found.items()}
        lines += _no_third(case.model, costs, "%")
    return lines


def _no_third(where: str, costs: dict[str, float], unit: str) -> list[str]:
    cheapest = min((name for name in OTHERS if name in costs), key=lambda name: costs[name])
    if costs["loss alone"] <= costs[cheapest] / 3:
        return []
    return [
        f"{where}: loss alone {costs['loss alone']:.1f} {unit}, {cheapest} {costs[cheapest]:.1f} {unit}: not a third"
    ]


def _show(case: Case, found: dict[str, Any]) -> None:
    print(f"\n{case.model}: epochs of {case.num_rows} rows")
    print(f"{'logger':<16} {'epochs':>6} {'seconds':>8} {'inside':>8} {'cost':>9}  95 % interval")
    for name, figure in found.items():
        interval = f"{figure['cost_low']:+.2%} … {figure['cost_high']:+.2%}"
        print(
            f"{name:<16} {figure['epochs']:>6} {figure['seconds']:>8.3f} {figure['inside']:>8.3%} "
            f"{figure['cost']:>+9.2%}  {interval}"
        )


def _show_calls(num_rows: int, found: dict[str, Any]) -> None:
    cheapest = min(found[name]["ns"] for name in OTHERS if name in found)
    print(f"\ncalls, epochs of {num_rows} rows: nanoseconds an example")
    print(f"{'logger':<16} {'calls':>8} {'threads':>8} {'both':>8}  × cheapest other   calls on the wall")
    for name, one in found.items():
        print(
            f"{name:<16} {one['calls_ns']:>8.0f} {one['threads_ns']:>8.0f} {one['ns']:>8.0f}  "
            f"{one['ns'] / cheapest:<16.2f}  {one['wall_ns']:>8.0f}"
        )


def _model(case: Case, device: torch.device) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(Recipe(model=case.model), _spec(case)).to(device)


def _spec(case: Case) -> Any:
    channels, height, width = case.shape
    pixels = np.zeros((10, height, width, channels), dtype=np.uint8)
    return TrainingData.assemble("image", (pixels,), np.arange(10), 10).spec


def _cases(kind: str, quick: bool) -> list[Case]:
    if not quick:
        return CASES[kind]
    return [replace(one, num_rows=one.num_rows // 2, rounds=OTHERS_EVERY) for one in CASES[kind]]


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
