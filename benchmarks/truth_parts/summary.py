"""From outcomes to what decides: means over rows, regret, intervals, bars. A row is a data set under a noise here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.truth_parts.detectors import DETECTORS, Group
from benchmarks.truth_parts.evaluate import Outcome
from benchmarks.truth_parts.rows import REPORTED
from sondage.types import AnyArray

RESAMPLES = 10_000
AP = "average_precision"


@dataclass(frozen=True)
class Grid:
    """One figure of all detectors: by detector, float (rows, seeds), NaN where a cell is missing.

    Rows are (data set, noise) with wrong labels; data sets that are only reported are left out of it by `scored`.
    """

    rows: list[tuple[str, str]]
    seeds: list[int]
    values: dict[str, AnyArray]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], figure: str = AP) -> Grid:
        found = [one for one in outcomes if one.figures]
        rows = list(dict.fromkeys((one.row, one.noise) for one in found))
        seeds = sorted({one.seed for one in found})
        values: dict[str, AnyArray] = {}
        for one in found:
            table = values.setdefault(one.detector, np.full((len(rows), len(seeds)), np.nan))
            table[rows.index((one.row, one.noise)), seeds.index(one.seed)] = one.figures[figure]
        return cls(rows, seeds, values)

    def scored(self) -> Grid:
        """Without the data sets that are only reported."""
        kept = [number for number, (row, _) in enumerate(self.rows) if row not in REPORTED]
        return Grid(
            [self.rows[n] for n in kept],
            self.seeds,
            {name: table[kept] for name, table in self.values.items()},
        )

    def whole(self, *names: str) -> AnyArray:
        """Which rows these detectors have a figure of, in at least one seed. Bool (rows,)."""
        there = [~np.isnan(self.values[name]).all(axis=1) for name in names]
        return np.asarray(np.logical_and.reduce(there))

    def by_row(self, name: str) -> AnyArray:
        """Mean over the seeds that are there, NaN for a row without any. Shape (rows,)."""
        table = self.values[name]
        there = ~np.isnan(table)
        return np.where(
            there.any(axis=1),
            np.where(there, table, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1),
            np.nan,
        )

    def names(self, *groups: Group) -> list[str]:
        """Detectors of these groups that are there, in the order of the registry."""
        return [
            name
            for name, one in DETECTORS.items()
            if name in self.values and (not groups or one.group in groups)
        ]


@dataclass(frozen=True)
class Difference:
    """Mean of one detector less another's over the rows that both have, with a paired 95 % interval."""

    one: str
    other: str
    mean: float
    low: float
    high: float
    num_rows: int


def difference(grid: Grid, one: str, other: str, *, seed: int = 0) -> Difference:
    """Paired by cell. The bootstrap draws rows with replacement, and within each drawn row its seeds."""
    gaps = [row[~np.isnan(row)] for row in grid.values[one] - grid.values[other]]
    gaps = [row for row in gaps if len(row)]
    if not gaps:
        raise ValueError(f"{one} and {other} have no cell in common")
    rng = np.random.default_rng(seed)
    # Per row the means of redrawn seeds first; then each resample takes rows, each with a redraw of its own.
    redrawn = np.stack([row[rng.integers(len(row), size=(RESAMPLES, len(row)))].mean(axis=1) for row in gaps])
    means = np.zeros(RESAMPLES)
    for _ in gaps:
        means += redrawn[rng.integers(len(gaps), size=RESAMPLES), rng.permutation(RESAMPLES)] / len(gaps)
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(
        one, other, float(np.mean([row.mean() for row in gaps])), float(low), float(high), len(gaps)
    )


def best_single(grid: Grid, *groups: Group) -> str | None:
    """The published detector with the highest mean over the rows: one for all rows, not the best of each."""
    names = grid.names(*groups)
    return max(names, key=lambda name: np.nanmean(grid.by_row(name))) if names else None


def regret(grid: Grid, name: str, *groups: Group) -> AnyArray:
    """Per row how far the detector is behind the best other one of that row; negative where it is ahead.

    NaN for a row that it, or every other one, has no figure of. Shape (rows,).
    """
    others = [grid.by_row(other) for other in grid.names(*groups) if other != name]
    best = np.full(len(grid.rows), np.nan)
    for values in others:
        best = np.fmax(best, values)
    return np.asarray(best - grid.by_row(name))


def worst(values: AnyArray) -> float | None:
    """The largest that is a number, None where none is."""
    there = values[~np.isnan(values)]
    return float(there.max()) if len(there) else None


@dataclass(frozen=True)
class Bar:
    """One thing the candidate must reach; `met` is None where the cells for it are missing."""

    name: str
    value: float | None
    met: bool | None


def bars(outcomes: Sequence[Outcome], candidate: str) -> list[Bar]:
    """The bars of the default tagger, on the rows that are scored."""
    grid = Grid.of(outcomes).scored()
    best = best_single(grid, "same")
    assert best is not None
    gap = difference(grid, candidate, best)
    behind = worst(regret(grid, candidate, "same"))
    out = [
        Bar(f"mean average precision above {best}, ≥ 0.01", gap.mean, gap.mean >= 0.01),
        Bar(f"its paired interval above {best}, low end > 0", gap.low, gap.low > 0),
        Bar("worst-row regret, ≤ 0.03", behind, None if behind is None else behind <= 0.03),
        _closed(grid, candidate),
        _five(grid, candidate),
        _tagged(outcomes, candidate),
    ]
    recall = Grid.of(outcomes, "recall_at_90").scored()
    rival = best_single(recall, "same")
    assert rival is not None
    ahead = difference(recall, candidate, rival)
    return [*out, Bar(f"recall at 90 % precision less that of {rival}, ≥ 0", ahead.mean, ahead.mean >= 0)]


def _closed(grid: Grid, candidate: str) -> Bar:
    """Half of what the reference lacks to 1, on average."""
    name = "share of the reference's distance to 1 closed, ≥ 0.5"
    if "reference" not in grid.values:
        return Bar(name, None, None)
    lacking = 1 - grid.by_row("reference")
    closed = float(
        np.nanmean((grid.by_row(candidate) - grid.by_row("reference")) / np.maximum(lacking, 1e-9))
    )
    return Bar(name, closed, closed >= 0.5)


def _five(grid: Grid, candidate: str) -> Bar:
    best = best_single(grid, "five")
    if best is None:
        return Bar("less cleanlab at five times the compute, ≥ -0.01", None, None)
    gap = difference(grid, candidate, best).mean
    return Bar(f"less {best}, ≥ -0.01", gap, gap >= -0.01)


def _tagged(outcomes: Sequence[Outcome], candidate: str) -> Bar:
    """The largest share over data sets that are scored, each a mean over its seeds."""
    name = "share of clean data tagged noisy, ≤ 0.02"
    found: dict[str, list[float]] = {}
    for one in outcomes:
        scored = one.noise == "clean" and one.row not in REPORTED and one.detector == candidate
        if scored and one.share_noisy is not None:
            found.setdefault(one.row, []).append(one.share_noisy)
    if not found:
        return Bar(name, None, None)
    highest = max(float(np.mean(shares)) for shares in found.values())
    return Bar(name, highest, highest <= 0.02)
