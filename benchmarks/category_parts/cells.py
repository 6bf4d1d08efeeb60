"""Trainings of the bench's own data, kept like those of the truth bench."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.category_parts.rows import Planted
from benchmarks.truth_parts.cells import Cell, cell_path, load_cell, save_cell
from benchmarks.truth_parts.rows import take
from benchmarks.truth_parts.training import NUM_RUNS, recipe_for, train_run
from sondage.probes.suite import default_suite
from sondage.types import AnyArray, Mask

QUICK_EPOCHS = 3


def trained(
    cache: Path, name: str, labels: str, seed: int, make: Callable[[], Planted], *, quick: bool
) -> Cell:
    """The cell of that name: from the cache, or trained now, two runs with the default suite, and kept."""
    path = cell_path(cache / "quick" if quick else cache, name, labels, seed)
    if not path.exists():
        print(f"training {name}/{labels} …", flush=True)
        save_cell(path, train(make(), name, labels, seed, quick=quick))
    return load_cell(path)


def train(planted: Planted, name: str, labels: str, seed: int, *, quick: bool = False) -> Cell:
    row = replace(planted.row, num_epochs=QUICK_EPOCHS) if quick else planted.row
    definition, recipe = default_suite(seed=seed), recipe_for(row)
    return Cell(
        row=name,
        noise=labels,
        seed=seed,
        num_classes=row.num_classes,
        definition=definition,
        given=planted.given,
        truth=planted.truth,
        runs=tuple(train_run(row, planted.given, definition, recipe, seed, slot) for slot in range(NUM_RUNS)),
        meta={"recipe": recipe.to_dict()},
    )


def thinned(planted: Planted, keep: Mask) -> Planted:
    """Some of the examples."""
    rows = np.flatnonzero(keep)
    row = replace(planted.row, inputs=take(planted.row.inputs, rows), labels=planted.row.labels[rows])
    return Planted(row, planted.given[rows], planted.truth[rows])


def trained_masks(cell: Cell) -> list[Mask]:
    """Per run the examples that it trained on. Shape (N,)."""
    masks = []
    for run in cell.runs:
        mask = np.ones(cell.num_examples, dtype=np.bool_)
        mask[run.curves.displaced] = False
        masks.append(mask)
    return masks


def share(values: AnyArray) -> str:
    """A mean of truths as a percentage; – of none."""
    return f"{100 * float(np.mean(values)):.0f} %" if len(values) else "–"
