"""How well wrong labels are found, by our tagger and by every known detector on the same trainings.

    python -m benchmarks.truth DATA_FOLDER [--rows fashion trec] [--noise uniform20 …] [--seeds 0 1 2 3 4]
        [--cache .cache/truth] [--processes 2] [--only-train] [--quick] [--check] [--candidate ours] [--out FILE]

DATA_FOLDER holds fashion_mnist.npz, trec.parquet and so on; a row whose file is missing is left out. Every cell, a row
under a noise with a seed, is trained once: two runs with planted probes, and k folds of equal compute for confident
learning. All of it is kept in the cache, so that the command can be stopped at any time and goes on where it was. Then
every detector is asked, and the table is made anew. Rows, noises, metrics and bars: docs/benchmarks/truth.md.

The confirmation rows (mnist cifar10 sst2 vectors) are looked at once per candidate; development is done on the default
ones. `--quick` takes one small cell of each row, of a seed that decides nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.truth_parts import table
from benchmarks.truth_parts.detectors import DETECTORS
from benchmarks.truth_parts.evaluate import Outcome, evaluate_cell
from benchmarks.truth_parts.folds import SCHEMES
from benchmarks.truth_parts.jobs import Job, do_all, over_processes
from benchmarks.truth_parts.noise import NOISES
from benchmarks.truth_parts.rows import CONFIRMATION, DEVELOPMENT, FILES, REPORTED
from benchmarks.truth_parts.summary import Bar, bars

SEEDS = (0, 1, 2, 3, 4)
QUICK_SEED = 90
"""Of no seed that a decision is made on."""
FIVE_TIMES = tuple((row, noise) for row in CONFIRMATION for noise in ("uniform20", "instance20"))
"""The eight rows on which confident learning gets five times the compute, with `--five-times`."""


def main() -> int:
    arguments = _arguments()
    rows = [row for row in arguments.rows if _is_there(row, arguments.data)]
    cache = arguments.cache / "quick" if arguments.quick else arguments.cache
    jobs = planned(rows, arguments.noise, arguments.seeds, arguments.folds, arguments.five_times)
    faults = do_all(jobs, arguments.data, cache, quick=arguments.quick, processes=arguments.processes)
    if arguments.only_train:
        print(json.dumps({"benchmark": "truth", "trained": len(jobs) - len(faults), "faults": faults}))
        return 1 if faults or not jobs else 0
    paths = [job.path(cache) for job in jobs if job.scheme is None and job.path(cache).exists()]
    outcomes, more = _evaluate(paths, arguments.detectors, arguments.processes)
    faults += more
    if not any(outcome.figures for outcome in outcomes):
        print("No cell with wrong labels is there: nothing to compare.")
        return 1
    found = bars(outcomes, arguments.candidate) if arguments.candidate in arguments.detectors else []
    _show(outcomes, found)
    if arguments.out:
        arguments.out.write_text(_page(outcomes, found))
    missed = [bar.name for bar in found if bar.met is not True]
    print(json.dumps(_figures(outcomes, found, faults)))
    return 1 if faults or (arguments.check and missed) else 0


def planned(
    rows: Sequence[str], noises: Sequence[str], seeds: Sequence[int], folds: bool, five_times: bool
) -> list[Job]:
    """Curves first, seed by seed, then the folds: what others wait for comes first."""
    cells = [(row, noise, seed) for seed in seeds for noise in noises for row in rows]
    jobs = [Job(*cell) for cell in cells]
    if folds:
        jobs += [Job(*cell, "3x1") for cell in cells if cell[1] != "clean"]
    if five_times:
        jobs += [Job(*cell, "6x2") for cell in cells if cell[:2] in FIVE_TIMES]
    return jobs


def _is_there(row: str, folder: Path) -> bool:
    missing = [name for name in FILES[row] if not (folder / name).exists()]
    if missing:
        print(f"{row}: {folder / missing[0]} is not there; left out")
    return not missing


def _evaluate(
    paths: Sequence[Path], detectors: Sequence[str], processes: int
) -> tuple[list[Outcome], list[str]]:
    """All outcomes in the order of the paths, and what went wrong."""
    found = dict(over_processes(partial(evaluate_cell, names=tuple(detectors)), paths, processes))
    faults = [f"{path}: {one}" for path, one in found.items() if isinstance(one, Exception)]
    whole = [found[path] for path in paths]
    return [outcome for one in whole if not isinstance(one, Exception) for outcome in one], faults


def _tables(outcomes: Sequence[Outcome], found: Sequence[Bar]) -> list[tuple[str, list[list[str]]]]:
    same = [name for name in DETECTORS if DETECTORS[name].group in ("own", "same")]
    other = [name for name in DETECTORS if DETECTORS[name].group in ("equal", "five")]
    tables = [
        ("Over the scored rows", table.summary_table(outcomes)),
        ("Average precision, detectors of the same trainings", table.row_table(outcomes, same)),
        ("Average precision, detectors of other trainings", table.row_table(outcomes, other)),
        ("Tagged as wrong", table.tagged_table(outcomes)),
    ]
    tables += [("Bars", table.bar_table(found))] if found else []
    return [(title, lines) for title, lines in tables if len(lines) > 1]


def _show(outcomes: Sequence[Outcome], found: Sequence[Bar]) -> None:
    for title, lines in _tables(outcomes, found):
        print(f"\n{title}\n{table.as_text(lines)}")


def _page(outcomes: Sequence[Outcome], found: Sequence[Bar]) -> str:
    parts = [f"## {title}\n\n{table.as_markdown(lines)}\n" for title, lines in _tables(outcomes, found)]
    return "# Figures of the truth bench\n\n" + "\n".join(parts)


def _figures(outcomes: Sequence[Outcome], found: Sequence[Bar], faults: Sequence[str]) -> dict[str, object]:
    return {
        "benchmark": "truth",
        "cells": len({(one.row, one.noise, one.seed) for one in outcomes}),
        "standings": [asdict(one) for one in table.standings(outcomes)],
        "bars": [asdict(bar) for bar in found],
        "faults": list(faults),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument(
        "--rows", nargs="+", choices=(*DEVELOPMENT, *CONFIRMATION, *REPORTED), default=DEVELOPMENT
    )
    parser.add_argument("--noise", nargs="+", choices=list(NOISES))
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--detectors", nargs="+", choices=list(DETECTORS), default=list(DETECTORS))
    parser.add_argument("--candidate", default="ours", help="the detector that is held against the bars")
    parser.add_argument("--cache", type=Path, default=Path(".cache/truth"))
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="of one thread each")
    parser.add_argument("--no-folds", dest="folds", action="store_false", help="no trainings for cleanlab")
    parser.add_argument(
        "--five-times", action="store_true", help=f"folds {SCHEMES['6x2']} on the eight rows too"
    )
    parser.add_argument("--only-train", action="store_true", help="fill the cache, no table")
    parser.add_argument("--quick", action="store_true", help="one small cell of each row, uniform noise")
    parser.add_argument("--check", action="store_true", help="exit 1 when the candidate misses a bar")
    parser.add_argument("--out", type=Path, help="write the tables to this file")
    arguments = parser.parse_args()
    quick = arguments.quick
    arguments.noise = arguments.noise or (["uniform20"] if quick else list(NOISES))
    arguments.seeds = arguments.seeds or ([QUICK_SEED] if quick else list(SEEDS))
    if arguments.check and arguments.candidate not in arguments.detectors:
        parser.error(f"--check needs its candidate among the detectors: there is no {arguments.candidate!r}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
