"""Are the categories what they are called? Against truths from outside, on trainings by the worker's own parts.

    python -m benchmarks.categories [DATA_FOLDER] [--parts typical foreign hard] [--cache .cache/categories]
        [--truth .cache/truth] [--seed 0] [--quick] [--out FILE]

typical   Prototypical and atypical against the published C-scores: 8,000 pictures of CIFAR-10, published labels.
foreign   Letters, and pictures of clothes, among 4,000 handwritten digits, with random and with plausible labels,
          beside 5 % wrong labels: are they found, and told from wrong labels?
hard      Wrong labels among the worst fifth by mean loss alone: noisy against atypical. On cells of the truth bench
          (benchmarks/truth.py), which are trained where its cache has none; second-split forgetting besides.

All trainings are kept in the caches, so that the command can be stopped and goes on where it was. A part whose files
are not in the data folder is left out. Some 15 minutes on one core, 10 more where the truth bench has left no cells.
`--quick` takes few examples and epochs, and means nothing. The last line is JSON with all figures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.category_parts import foreign, hard, typical
from benchmarks.category_parts.cells import thinned, trained
from benchmarks.category_parts.rows import FILES, LABELS, SOURCES, Planted
from benchmarks.category_parts.rows import foreign as foreign_row
from benchmarks.category_parts.rows import typical as typical_row
from benchmarks.category_parts.second_split import second_split
from benchmarks.truth_parts.cells import Cell, cell_path, load_cell
from benchmarks.truth_parts.jobs import Job, cut, do
from benchmarks.truth_parts.rows import FILES as TRUTH_FILES
from benchmarks.truth_parts.rows import load_row
from benchmarks.truth_parts.table import as_markdown, as_text

QUICK_EXAMPLES = 1_000
HARD_CELLS = tuple(
    (row, noise) for row in ("fashion", "trec") for noise in ("uniform20", "instance20", "hardest20")
)
"""Development rows of the truth bench alone: its confirmation rows are not to be looked at in passing."""
FIGURES = {"auroc": "AUROC", "average_precision": "average precision"}
Table = tuple[str, list[list[str]]]


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(1)
    found: dict[str, object] = {"benchmark": "categories", "seed": arguments.seed, "quick": arguments.quick}
    tables: list[Table] = []
    for name in arguments.parts:
        part = PARTS[name](arguments)
        if part is None:
            continue
        figures, shown = part
        found[name] = figures
        tables += shown
        for title, lines in shown:
            print(f"\n{title}\n{as_text(lines)}", flush=True)
    if arguments.out:
        page = "\n".join(f"## {title}\n\n{as_markdown(lines)}\n" for title, lines in tables)
        arguments.out.write_text(f"# Figures of the category bench\n\n{page}")
    print(json.dumps(_rounded(found)))
    return 0 if tables else 1


def _typical(arguments: argparse.Namespace) -> tuple[object, list[Table]] | None:
    if not _are_there(arguments.data, FILES["typical"]):
        return None
    size = {"num_examples": QUICK_EXAMPLES} if arguments.quick else {}
    planted, c_score = typical_row(arguments.data, **size)
    cell = trained(
        arguments.cache, "typical", "published", arguments.seed, lambda: planted, quick=arguments.quick
    )
    agreements = typical.agreements(cell, c_score)
    return [asdict(one) for one in agreements], [
        ("Regularity against the C-score", typical.agreement_table(agreements)),
        ("Tags by C-score", typical.tag_table(cell, c_score)),
    ]


def _foreign(arguments: argparse.Namespace) -> tuple[object, list[Table]] | None:
    if not _are_there(arguments.data, FILES["foreign"]):
        return None
    found: dict[str, list[foreign.Detection]] = {}
    confusions: list[Table] = []
    for source in SOURCES:
        for labels in LABELS:
            make: Callable[[], Planted] = partial(foreign_row, arguments.data, source, labels, arguments.seed)
            if arguments.quick:
                make = partial(_few, make)
            cell = trained(
                arguments.cache, f"digits-{source}", labels, arguments.seed, make, quick=arguments.quick
            )
            found[f"{source}, {labels}"] = foreign.detections(cell)
            confusions.append((f"Tags: {source} with {labels} labels", foreign.confusion_table(cell)))
    figures = {name: [asdict(one) for one in of_cell] for name, of_cell in found.items()}
    title = "Foreign pictures: AUROC against right labels / against wrong labels / average precision"
    return figures, [(title, foreign.detection_table(found)), *confusions]


def _few(make: Callable[[], Planted]) -> Planted:
    """A quarter of the digits, and of what is foreign."""
    planted = make()
    return thinned(planted, np.arange(len(planted.given)) % 4 == 0)


def _hard(arguments: argparse.Namespace) -> tuple[object, list[Table]] | None:
    cells = [cell for cell in HARD_CELLS if _are_there(arguments.data, TRUTH_FILES[cell[0]])]
    if arguments.quick:
        cells = cells[:1]
    if not cells:
        return None
    measured, tags = {}, []
    for row, noise in cells:
        name = f"{row}, {noise}"
        cell = _truth_cell(arguments, row, noise)
        path = cell_path(
            arguments.cache / "second-split", row, noise + "-quick" * arguments.quick, arguments.seed
        )
        data = load_row(row, arguments.data)
        data = cut(data) if arguments.quick else data
        measured[name] = hard.measure(cell, second_split(path, data, cell.given, arguments.seed))
        tags.append((f"Tags of hard examples: {name}", hard.tag_table(cell)))
    tables = [
        (f"Wrong labels among the hard examples: {title}", hard.figure_table(measured, figure))
        for figure, title in FIGURES.items()
    ]
    figures = {cell: {name: asdict(one) for name, one in found.items()} for cell, found in measured.items()}
    return figures, [*tables, *tags]


def _truth_cell(arguments: argparse.Namespace, row: str, noise: str) -> Cell:
    cache = arguments.cache / "quick" if arguments.quick else arguments.truth
    job = Job(row, noise, arguments.seed)
    if not job.path(cache).exists():
        print(f"training {row}/{noise} …", flush=True)
        do(job, arguments.data, cache, arguments.quick)
    return load_cell(job.path(cache))


PARTS = {"typical": _typical, "foreign": _foreign, "hard": _hard}


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def _are_there(folder: Path, names: tuple[str, ...]) -> bool:
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        print(f"{folder / missing[0]} is not there; what needs it is left out")
    return not missing


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--cache", type=Path, default=Path(".cache/categories"))
    parser.add_argument(
        "--truth", type=Path, default=Path(".cache/truth"), help="cells of benchmarks/truth.py"
    )
    parser.add_argument("--seed", type=int, default=0, help="of labels, probes and trainings")
    parser.add_argument("--quick", action="store_true", help="few examples and epochs: does it run?")
    parser.add_argument("--out", type=Path, help="write the tables to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
