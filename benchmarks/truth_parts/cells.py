"""A cell: one data row under one noise and seed, trained twice; kept in one file of the cache.

cell = load_cell(Path("/…/fashion/uniform20/seed0.npz"))
result = tag_runs(cell.run_curves, cell.definition, cell.num_examples)
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sondage.curves import Curves
from sondage.probes.plan import Probes
from sondage.probes.suite import SuiteDefinition
from sondage.tagging.tag import RunCurves
from sondage.types import AnyArray, Labels, Mask

FORMAT = 2
"""2: looks are log odds, they were margins by ridge regressions."""
_CHANNELS = ("loss", "margin", "predicted")
_EXTRA = ("el2n", "runner_up")


@dataclass(frozen=True)
class CellRun:
    """One of the trainings of a cell. Rows 0…N−1 are the examples, N… the planted probes.

    Parameters
    ----------
    curves : RunCurves
        Channels `loss`, `margin`, `predicted` (rows, epochs) as the product records them in the training pass;
        displaced examples are not seen. Labels, the probes that were planted, the displaced rows, and the
        left-out log odds of three epochs.
    extra : Curves
        What the product does not record: `el2n`, ‖p − onehot(y)‖₂, and `runner_up`, the class of the largest logit but
        the given label's; from the same training pass.
    logits : float32 array, shape (rows, classes)
        In evaluation mode after the last epoch, of every row, displaced ones too.
    features : float32 array, shape (rows, width)
        What the last linear layer is given, likewise.
    validation_accuracy : float64 array, shape (epochs,)
        On 500 to 1,000 held-out examples with true labels.
    """

    curves: RunCurves
    extra: Curves
    logits: AnyArray
    features: AnyArray
    validation_accuracy: AnyArray


@dataclass(frozen=True)
class Cell:
    """Names, labels and trainings of one cell.

    `given` and `truth` are int64 (N,); `meta` tells how it was made; `out_of_sample` holds probabilities, float32
    (N, C), of k-fold trainings by their scheme, where they are there.
    """

    row: str
    noise: str
    seed: int
    num_classes: int
    definition: SuiteDefinition
    given: Labels
    truth: Labels
    runs: tuple[CellRun, ...]
    meta: dict[str, Any]
    out_of_sample: dict[str, AnyArray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.row}/{self.noise}/seed{self.seed}"

    @property
    def num_examples(self) -> int:
        return len(self.given)

    @property
    def wrong(self) -> Mask:
        """Where the given label is not the true one. Shape (N,)."""
        return np.asarray(self.given != self.truth)

    @property
    def run_curves(self) -> list[RunCurves]:
        """The runs in the form that a tagging takes."""
        return [run.curves for run in self.runs]

    @property
    def examples(self) -> list[Curves]:
        """Per run the curves of the N examples alone."""
        return [run.curves.curves.take(slice(self.num_examples)) for run in self.runs]


def cell_path(cache: Path, row: str, noise: str, seed: int) -> Path:
    return cache / row / noise / f"seed{seed}.npz"


def save_cell(path: Path, cell: Cell) -> None:
    """Write the cell whole or not at all."""
    arrays: dict[str, AnyArray] = {"given": cell.given.astype(np.int32), "truth": cell.truth.astype(np.int32)}
    for number, run in enumerate(cell.runs):
        arrays |= {f"run{number}_{name}": values for name, values in _run_arrays(run).items()}
    meta = cell.meta | {
        "format": FORMAT,
        "row": cell.row,
        "noise": cell.noise,
        "seed": cell.seed,
        "num_classes": cell.num_classes,
        "num_runs": len(cell.runs),
        "definition": cell.definition.to_dict(),
    }
    save_arrays(path, arrays, meta)


def load_cell(path: Path) -> Cell:
    """The cell that `save_cell` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        meta = json.loads(str(stored["meta"]))
        if meta["format"] != FORMAT:
            raise ValueError(
                f"{path} has format {meta['format']}, this is {FORMAT}: delete it, it is trained again"
            )
        runs = tuple(_run(stored, f"run{number}_", meta["seed"]) for number in range(meta["num_runs"]))
        return Cell(
            row=meta["row"],
            noise=meta["noise"],
            seed=meta["seed"],
            num_classes=meta["num_classes"],
            definition=SuiteDefinition.from_dict(meta["definition"]),
            given=stored["given"].astype(np.int64),
            truth=stored["truth"].astype(np.int64),
            runs=runs,
            meta=meta,
            out_of_sample=_out_of_sample(path),
        )


def folds_path(cell: Path, scheme: str) -> Path:
    """Where the probabilities of a k-fold training of this cell are."""
    return cell.parent / "folds" / f"{scheme}-{cell.name}"


def _out_of_sample(cell: Path) -> dict[str, AnyArray]:
    found = {}
    for path in sorted(cell.parent.glob(f"folds/*-{cell.name}")):
        with np.load(path, allow_pickle=False) as stored:
            found[path.name.partition("-")[0]] = np.asarray(stored["probabilities"])
    return found


def find_cells(cache: Path, row: str = "*", noise: str = "*", seed: int | str = "*") -> list[Path]:
    """Files of the cells that are there, sorted by name."""
    return sorted(cache.glob(f"{row}/{noise}/seed{seed}.npz"))


def load_cells(cache: Path, row: str = "*", noise: str = "*", seed: int | str = "*") -> Iterator[Cell]:
    """One cell after the other: all of them together would fill the memory."""
    return map(load_cell, find_cells(cache, row, noise, seed))


def save_arrays(path: Path, arrays: dict[str, AnyArray], meta: dict[str, Any]) -> None:
    """An `.npz` that is whole under its name, or not there: written beside, synced, renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    named: dict[str, Any] = {**arrays, "meta": np.array(json.dumps(meta))}
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **named)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _run_arrays(run: CellRun) -> dict[str, AnyArray]:
    curves, probes = run.curves, run.curves.probes
    return {
        **{name: curves.curves[name] for name in _CHANNELS},
        "el2n": run.extra["el2n"].astype(np.float16),
        "runner_up": run.extra["runner_up"].astype(np.int16),
        "labels": curves.labels.astype(np.int32),
        "probe_row": probes.row,
        "probe_category": probes.category.astype(np.str_),
        "probe_role": probes.role.astype(np.str_),
        "probe_source": probes.source_row,
        "displaced": curves.displaced,
        "logits": run.logits.astype(np.float16),
        "features": run.features.astype(np.float16),
        "validation_accuracy": run.validation_accuracy,
        **{f"look_{epoch}": odds.astype(np.float32) for epoch, odds in curves.looks.items()},
    }


def _run(stored: Any, prefix: str, seed: int) -> CellRun:
    def array(name: str) -> AnyArray:
        return np.asarray(stored[prefix + name])

    probes = Probes(array("probe_row"), array("probe_category"), array("probe_role"), array("probe_source"))
    return CellRun(
        curves=RunCurves(
            curves=Curves({name: array(name) for name in _CHANNELS}),
            labels=array("labels").astype(np.int64),
            probes=probes,
            displaced=array("displaced"),
            name=f"{prefix[:-1]} of seed {seed}",
            looks={
                int(name.rpartition("_")[2]): np.asarray(stored[name])
                for name in stored.files
                if name.startswith(prefix + "look_")
            },
        ),
        extra=Curves({name: array(name) for name in _EXTRA}),
        logits=array("logits").astype(np.float32),
        features=array("features").astype(np.float32),
        validation_accuracy=array("validation_accuracy"),
    )
