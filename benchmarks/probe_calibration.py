"""Calibration from probes, and tags by a threshold: is what a tagging says before any review true?

    python -m benchmarks.probe_calibration CELLS [--rows fashion trec] [--noise uniform20 …] [--out FILE] [--check]

CELLS is a cache of benchmarks/truth.py. Of each trained cell: the share of wrong labels, true and estimated, with its
90 % interval; the expected calibration error (15 bins) of P(wrong); the precision of the first n·share of the list and
of half as many; whether the warning of non-uniformity fires, and the range that is shown then; and what is tagged as
wrong at the default threshold, with its precision and recall.

Bars. Uniform noise: no warning, calibration error at most .03, share within .02, precision of both lists within .03.
Other noise: the warning fires and the range holds the truth. Clean: at most .02 tagged as wrong, and the range
starts at most .005 above 0. Too few flips to tell anything: missed as `votes`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.calibration import calibration_error
from benchmarks.truth_parts.cells import Cell, find_cells, load_cell
from sondage.tagging.cut import cut_at
from sondage.tagging.tag import tag_runs

FAMILIES = ("uniform", "likely", "habit", "ceiling")
MOST_ECE, SHARE_WITHIN, PRECISION_WITHIN, MOST_TAGGED = 0.03, 0.02, 0.03, 0.02
CLEAN_WITHIN = 0.005
"""Of the low end where no error was made: published labels are not quite free of errors."""


@dataclass
class Figures:
    """Of one cell. `precision` and `estimated_precision` are of the first half of n·share, and of n·share; `held`: the
    interval of the latter, or the range, holds the truth."""

    cell: str
    method: str
    share: float
    estimated: float | None
    low: float
    high: float
    is_uniform: bool
    families: dict[str, float]
    ece: float
    precision: tuple[float, float]
    estimated_precision: tuple[float, float]
    held: bool
    tagged: float
    tag_precision: float | None
    tag_recall: float | None
    unsure: float
    missed: list[str] = field(default_factory=list)


def figures_of(cell: Cell) -> Figures:
    result = tag_runs(cell.run_curves, cell.definition, cell.num_examples)
    told = result.report.to_dict()["wrong_labels"]
    ranked = result.order[np.isfinite(result.suspicion[result.order])]
    wrong, num = cell.wrong[ranked], len(ranked)
    share = told["share_wrong"] or {"value": None, "low": 0.0, "high": 1.0}
    curve = told["curve"]
    chance = np.interp((np.arange(num) + 0.5) / num, curve["place"], curve["probability"])
    sizes = [max(1, round(part * int(wrong.sum()))) for part in (0.5, 1.0)]
    low, high = (
        float(np.interp(np.arange(sizes[1]) / num, curve["place"], curve[end]).mean())
        for end in ("low", "high")
    )
    cut = cut_at(told, told["threshold"], num)
    inside = cut.holds(np.arange(num))
    found = Figures(
        cell.name,
        told["method"],
        float(wrong.mean()),
        share["value"],
        share["low"],
        share["high"],
        told["is_uniform"],
        {family["name"]: family["share"] for family in told["families"]},
        calibration_error(chance, wrong),
        (float(wrong[: sizes[0]].mean()), float(wrong[: sizes[1]].mean())),
        (float(chance[: sizes[0]].mean()), float(chance[: sizes[1]].mean())),
        low <= float(wrong[: sizes[1]].mean()) <= high,
        float(inside.mean()),
        float(wrong[inside].mean()) if inside.any() else None,
        float(wrong[inside].sum() / wrong.sum()) if wrong.any() else None,
        float((result.tag == -1).mean()),
    )
    found.missed = missed_by(cell.noise, found)
    return found


def missed_by(noise: str, found: Figures) -> list[str]:
    if found.method == "votes":
        return ["votes"]
    if noise == "clean":
        held = found.low <= found.share + CLEAN_WITHIN
        return (["tagged"] if found.tagged > MOST_TAGGED else []) + ([] if held else ["range"])
    if not noise.startswith("uniform"):
        return ([] if not found.is_uniform else ["no warning"]) + (
            [] if found.low <= found.share <= found.high else ["range"]
        )
    if found.estimated is None:
        return ["warning"]
    gaps = [abs(e - t) for e, t in zip(found.estimated_precision, found.precision, strict=True)]
    return [
        *(["ece"] if found.ece > MOST_ECE else []),
        *(["share"] if abs(found.estimated - found.share) > SHARE_WITHIN else []),
        *(["precision"] if max(gaps) > PRECISION_WITHIN else []),
    ]


def _line(one: Figures) -> str:
    share = "–" if one.estimated is None else f"{one.estimated:.3f}"
    tags = " ".join("–" if v is None else f"{v:.2f}" for v in (one.tag_precision, one.tag_recall))
    lists = " ".join(f"{t:.2f}/{e:.2f}" for t, e in zip(one.precision, one.estimated_precision, strict=True))
    return (
        f"{one.cell:26} share {one.share:.2f} {share} [{one.low:.3f}, {one.high:.3f}] "
        f"{'uniform' if one.is_uniform else 'warned '} ece {one.ece:.3f} precision {lists} "
        f"{'held' if one.held else 'out '} tagged {one.tagged:.3f} ({tags}) unsure {one.unsure:.2f} "
        + " ".join(one.missed)
    )


def tables(found: list[Figures]) -> str:
    """Markdown: cells with uniform noise, and the others."""
    uniform = [one for one in found if "/uniform" in one.cell]
    lines = [
        "| cell | share | estimated | ECE | first ½ n·share | estimated | first n·share | estimated | tagged: precision, recall | missed |",  # noqa: E501  # a row of a table
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in uniform:
        lists = [f"{t:.2f} | {e:.2f}" for t, e in zip(one.precision, one.estimated_precision, strict=True)]
        estimated = "–" if one.estimated is None else f"{one.estimated:.3f}"
        lines.append(
            f"| {one.cell} | {one.share:.2f} | {estimated} ({one.low:.3f} to {one.high:.3f}) | {one.ece:.3f} | "
            f"{' | '.join(lists)} | {_pair(one)} | {', '.join(one.missed)} |"
        )
    lines += [
        "",
        "| cell | share | uniform | likely | habit | ceiling | tagged | of them wrong, recall | missed |",
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for one in (one for one in found if one not in uniform):
        shares = [f"{one.families[n]:.3f}" if n in one.families else "–" for n in FAMILIES]
        lines.append(
            f"| {one.cell} | {one.share:.2f} | {' | '.join(shares)} | {one.tagged:.3f} | {_pair(one)} | "
            f"{', '.join(one.missed)} |"
        )
    return "\n".join(lines) + "\n"


def _pair(one: Figures) -> str:
    return ", ".join("–" if v is None else f"{v:.2f}" for v in (one.tag_precision, one.tag_recall))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", type=Path)
    parser.add_argument("--rows", nargs="+", default=["fashion", "trec"])
    parser.add_argument("--noise", nargs="+", default=["*"])
    parser.add_argument("--out", type=Path, help="write the tables to this file")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bar is missed")
    arguments = parser.parse_args()
    found = []
    for row in arguments.rows:
        for path in (p for noise in arguments.noise for p in find_cells(arguments.cells, row, noise, "?")):
            found.append(figures_of(load_cell(path)))
            print(_line(found[-1]), flush=True)
    if arguments.out:
        arguments.out.write_text(tables(found))
    missed = [f"{one.cell}: {', '.join(one.missed)}" for one in found if one.missed]
    print(json.dumps({"benchmark": "probe_calibration", "cells": [asdict(one) for one in found]}))
    return 1 if not found or (arguments.check and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
