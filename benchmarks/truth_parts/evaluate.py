"""From cells to figures: every detector on every cell, those of the published methods kept beside the cell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.truth_parts.cells import Cell, load_cell
from benchmarks.truth_parts.detectors import DETECTORS, Detector
from benchmarks.truth_parts.metrics import figures
from sondage.types import AnyArray

VERSION = 1
"""Raise it when a published detector changes: what was kept of it is worked out anew."""


@dataclass(frozen=True)
class Outcome:
    """Of one detector on one cell.

    Parameters
    ----------
    row, noise, seed, detector
    figures : dict
        Names and values of `benchmarks.truth_parts.metrics.Figures`; empty on clean labels.
    share_noisy : float or None
        Share of examples tagged as wrong, of detectors that give tags.
    """

    row: str
    noise: str
    seed: int
    detector: str
    figures: dict[str, float]
    share_noisy: float | None


def evaluate_cell(path: Path, names: Sequence[str]) -> list[Outcome]:
    """All detectors that the cell has what it takes for."""
    cell = load_cell(path)
    return [
        _outcome(cell, name, suspicion_of(cell, name, path))
        for name in names
        if DETECTORS[name].scheme is None or DETECTORS[name].scheme in cell.out_of_sample
    ]


def suspicion_of(cell: Cell, name: str, path: Path | None = None) -> AnyArray:
    """What a detector says of a cell; of published ones what was kept beside the cell's file, if it is there."""
    detector = DETECTORS[name]
    if path is None or detector.group == "own":
        return detector.suspicion(cell)
    kept = path.parent / "suspicion" / f"{name}-v{VERSION}-{path.stem}.npy"
    if kept.exists() and kept.stat().st_mtime >= path.stat().st_mtime:
        stored: AnyArray = np.load(kept)
        return stored
    found = detector.suspicion(cell)
    kept.parent.mkdir(exist_ok=True)
    partial = kept.with_name(f".{kept.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.save(file, found)
    partial.replace(kept)
    return found


def _outcome(cell: Cell, name: str, suspicion: AnyArray) -> Outcome:
    detector: Detector = DETECTORS[name]
    return Outcome(
        cell.row,
        cell.noise,
        cell.seed,
        name,
        asdict(figures(suspicion, cell.wrong)) if cell.wrong.any() else {},
        None if detector.share_noisy is None else detector.share_noisy(cell),
    )
