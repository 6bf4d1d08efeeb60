"""The trainings of the bench as resumable jobs on several processes: what is in the cache is not trained again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from benchmarks.truth_parts.cells import cell_path, folds_path, save_arrays, save_cell
from benchmarks.truth_parts.folds import out_of_sample
from benchmarks.truth_parts.noise import NOISES
from benchmarks.truth_parts.rows import DataRow, load_row, take
from benchmarks.truth_parts.training import train_cell

QUICK_EXAMPLES = 1_000
QUICK_EPOCHS = 4
# Without them glibc gives the gradients' memory back to the system at every step: 0.78 s instead of 0.43 s of processor
# time for 2,000 texts, most of the difference in page faults.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(2 << 30)}
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    """One file of the cache: a cell's two recorded runs (`scheme` is None), or a k-fold training of its labels."""

    row: str
    noise: str
    seed: int
    scheme: str | None = None

    @property
    def name(self) -> str:
        kind = "curves" if self.scheme is None else f"folds {self.scheme}"
        return f"{self.row}/{self.noise}/seed{self.seed} {kind}"

    def path(self, cache: Path) -> Path:
        cell = cell_path(cache, self.row, self.noise, self.seed)
        return cell if self.scheme is None else folds_path(cell, self.scheme)


def do(job: Job, data: Path, cache: Path, quick: bool) -> float:
    """Train and keep; returns the processor's seconds."""
    started = time.process_time()
    path = job.path(cache)
    if path.exists():
        return 0.0
    row = load_row(job.row, data)
    row = cut(row) if quick else row
    if job.scheme is None:
        save_cell(path, train_cell(row, job.noise, job.seed))
    else:
        given = NOISES[job.noise](row, job.seed)
        probabilities = out_of_sample(row, given, job.scheme, job.seed)
        seconds = time.process_time() - started
        save_arrays(path, {"probabilities": probabilities}, {"scheme": job.scheme, "train_seconds": seconds})
    return time.process_time() - started


def cut(row: DataRow) -> DataRow:
    """A small part of a row, trained for few epochs: to see that everything runs."""
    first = np.arange(min(QUICK_EXAMPLES, len(row)))
    return replace(row, inputs=take(row.inputs, first), labels=row.labels[first], num_epochs=QUICK_EPOCHS)


def do_all(jobs: Sequence[Job], data: Path, cache: Path, *, quick: bool, processes: int) -> list[str]:
    """Do what is not there yet, in this order, and tell of each. Returns what went wrong, by job."""
    missing = [job for job in jobs if not job.path(cache).exists()]
    print(f"{len(jobs)} trainings of cells, {len(jobs) - len(missing)} are there", flush=True)
    faults = []
    work = partial(do, data=data, cache=cache, quick=quick)
    for job, done in over_processes(work, missing, processes):
        if isinstance(done, Exception):
            faults.append(f"{job.name}: {done}")
            print(f"FAILED {faults[-1]}", flush=True)
        else:
            print(f"{job.name}  {done:.0f} s of processor time", flush=True)
    return faults


def over_processes(
    work: Callable[[Item], Result], items: Iterable[Item], processes: int
) -> Iterator[tuple[Item, Result | Exception]]:
    """Each item with what came of it, as they finish; polite processes of one thread each."""
    os.environ.update({name: value for name, value in _MALLOC.items() if name not in os.environ})
    with ProcessPoolExecutor(processes, get_context("spawn"), _settle) as pool:
        going = {pool.submit(work, item): item for item in items}
        for done in as_completed(going):
            fault = done.exception()
            if fault is not None and not isinstance(fault, Exception):
                raise fault
            yield going[done], fault if fault is not None else done.result()


def _settle() -> None:
    torch.set_num_threads(1)
    os.nice(10)
