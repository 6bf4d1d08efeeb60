"""The outcomes as text and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.truth_parts.detectors import DETECTORS
from benchmarks.truth_parts.evaluate import Outcome
from benchmarks.truth_parts.summary import AP, Bar, Difference, Grid, best_single, difference, regret, worst

FIGURES = {
    AP: "average precision",
    "auroc": "AUROC",
    "precision_at_num": "precision at the true number",
    "recall_at_90": "recall at 90 % precision",
}


@dataclass(frozen=True)
class Standing:
    """One detector over the scored rows: means of the figures, worst-row regret (None alone), and the gap to `best`."""

    detector: str
    group: str
    num_rows: int
    means: dict[str, float]
    worst_regret: float | None
    gap: Difference | None


def standings(outcomes: Sequence[Outcome]) -> list[Standing]:
    """All detectors, the highest mean average precision first; gaps are to the best single published one."""
    grids = {figure: Grid.of(outcomes, figure).scored() for figure in FIGURES}
    grid = grids[AP]
    best = best_single(grid, "same")
    found = [
        Standing(
            name,
            DETECTORS[name].group,
            int(grid.whole(name).sum()),
            {figure: float(np.nanmean(grids[figure].by_row(name))) for figure in FIGURES},
            worst(regret(grid, name, "same")),
            None if best in (None, name) else difference(grid, name, best),
        )
        for name in grid.names()
        if grid.whole(name).any()
    ]
    return sorted(found, key=lambda one: -one.means[AP])


def summary_table(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """One line per detector: means over the scored rows, worst-row regret, and the gap to the best published one."""
    lines = [
        ["detector", "from", "rows", *FIGURES.values(), "worst-row regret", "less the best of `same`, 95 %"]
    ]
    for one in standings(outcomes):
        means = [f"{value:.4f}" for value in one.means.values()]
        gap = "" if one.gap is None else f"{one.gap.mean:+.4f} ({one.gap.low:+.4f} … {one.gap.high:+.4f})"
        behind = "–" if one.worst_regret is None else f"{one.worst_regret:+.3f}"
        lines.append([one.detector, one.group, str(one.num_rows), *means, behind, gap])
    return lines


def row_table(outcomes: Sequence[Outcome], names: Sequence[str], figure: str = AP) -> list[list[str]]:
    """One line per data set and noise, one column per detector: means over seeds."""
    grid = Grid.of(outcomes, figure)
    shown = [name for name in names if name in grid.values]
    if not shown:
        return []
    lines = [["data", "noise", "seeds", *shown]]
    for number, (row, noise) in enumerate(grid.rows):
        seeds = max(int((~np.isnan(grid.values[name][number])).sum()) for name in shown)
        means = [grid.by_row(name)[number] for name in shown]
        lines.append([row, noise, str(seeds), *("–" if np.isnan(one) else f"{one:.3f}" for one in means)])
    return lines


def tagged_table(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Share of examples that get a tag of a wrong label, by data set and noise."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for one in outcomes:
        if one.share_noisy is not None:
            found.setdefault((one.row, one.noise, one.detector), []).append(one.share_noisy)
    lines = [["data", "noise", "detector", "tagged noisy"]]
    return lines + [[*key, f"{np.mean(shares):.3f}"] for key, shares in found.items()]


def bar_table(bars: Sequence[Bar]) -> list[list[str]]:
    words = {True: "met", False: "missed", None: "no cells"}
    lines = [["bar", "measured", ""]]
    return lines + [
        [bar.name, "–" if bar.value is None else f"{bar.value:+.4f}", words[bar.met]] for bar in bars
    ]


def as_text(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_markdown(lines: Sequence[Sequence[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])
