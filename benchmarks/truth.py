"""How well wrong labels are found, by our tagger and by every known detector on the same trainings.

python -m benchmarks.truth DATA_FOLDER [--rows fashion trec] [--noise …] [--seeds 0 1 2 3 4] [--processes 2]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

ROWS = ("fashion", "trec", "mnist", "cifar10", "sst2", "vectors", "adult")


def _train(data: Path, cache: Path, row: str, noise: str, seed: int) -> float:
    from benchmarks.truth_parts.cells import cell_path, save_cell
    from benchmarks.truth_parts.rows import load_row
    from benchmarks.truth_parts.training import train_cell

    path = cell_path(cache, row, noise, seed)
    started = time.perf_counter()
    if not path.exists():
        save_cell(path, train_cell(load_row(row, data), noise, seed))
    return time.perf_counter() - started


def _settle() -> None:
    import torch

    torch.set_num_threads(1)
    os.nice(10)


def main() -> int:
    from benchmarks.truth_parts.noise import NOISES

    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=["fashion", "trec"])
    parser.add_argument("--noise", nargs="*", choices=list(NOISES), default=list(NOISES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--cache", type=Path, default=Path(".cache/truth"))
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    wanted = [
        (row, noise, seed) for seed in arguments.seeds for noise in arguments.noise for row in arguments.rows
    ]
    with ProcessPoolExecutor(arguments.processes, get_context("spawn"), _settle) as pool:
        going = {pool.submit(_train, arguments.data, arguments.cache, *cell): cell for cell in wanted}
        for done in as_completed(going):
            print(*going[done], f"{done.result():.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
