"""Curves in Postgres against plain files: writing an epoch, reading a run, reading one curve, space on disk.

    python -m benchmarks.curves [--quick] [--check] [--size 100000x60]

Bars: an epoch is written at no less than a quarter of the speed of a file synced per epoch; a run is read at no less
than half of the speed of a plain SELECT of the same bytes (the transpose told apart); one curve at ImageNet size
(1,281,167 × 90) has its 95th percentile under 3 ms; at most 4.3 bytes a value on disk.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks._worlds import new_run
from store import curves, runs
from store.bulk import fetch_binary
from store.engine import Database, migrate, open_database, transaction

SIZES = {"100000x60": (100_000, 60), "1281167x90": (1_281_167, 90)}
QUICK = {"20000x20": (20_000, 20)}
BARS = {"write_ratio": 0.25, "read_ratio": 0.5, "curve_p95_ms": 3.0, "bytes_per_value": 4.3}
CURVES_READ = 400
VALUES_MOVED = 120_000_000
"""A small run is written and read so often that about as many values move as of a large one: once is mostly chance."""


def main() -> int:
    arguments = _arguments()
    sizes = QUICK if arguments.quick else SIZES
    if arguments.size:
        sizes = {arguments.size: SIZES[arguments.size]}
    figures = {}
    with tempfile.TemporaryDirectory(prefix="sdg-", dir="/tmp") as folder:
        database = open_database(None, Path(folder))
        try:
            migrate(database.engine)
            for name, (rows, epochs) in sizes.items():
                figures[name] = measure(database, Path(folder), name, rows, epochs)
                _show(name, figures[name])
        finally:
            database.close()
    missed = _missed(figures)
    for line in missed:
        print(f"missed: {line}")
    print(json.dumps({"benchmark": "curves", "figures": figures, "missed": missed}))
    return 1 if arguments.check and missed else 0


def measure(database: Database, folder: Path, name: str, rows: int, epochs: int) -> dict[str, float]:
    """All figures of one size, in one run; files and Postgres take turns epoch by epoch."""
    times = max(1, VALUES_MOVED // (rows * epochs))
    run_ids = [_new_run(database, f"{name}-{number}", epochs) for number in range(times)]
    file_seconds, table_seconds = _write(database, folder, run_ids, rows, epochs)
    run_id = run_ids[-1]
    with transaction(database.engine) as session:
        select_seconds, read_seconds, whole_seconds = _medians_in_turn(
            lambda: _plain_select(session, run_id),
            lambda: _read_untransposed(session, run_id, epochs),
            lambda: _read_whole(session, run_id, rows),
            times=max(3, times),
        )
        points = _one_curve_ms(session, run_id, rows)
        size = session.scalar(text("SELECT pg_total_relation_size('curve_blocks')")) or 0
    values = _values_stored(database)
    return {
        "write_file_s": file_seconds,
        "write_s": table_seconds,
        "write_ratio": file_seconds / table_seconds,
        "plain_select_s": select_seconds,
        "read_s": read_seconds,
        "read_ratio": select_seconds / read_seconds,
        "read_transposed_s": whole_seconds,
        "transpose_s": max(0.0, whole_seconds - read_seconds),
        "curve_median_ms": statistics.median(points),
        "curve_p95_ms": float(np.percentile(points, 95)),
        "bytes_per_value": size / values,
    }


def _new_run(database: Database, name: str, epochs: int) -> int:
    with transaction(database.engine) as session:
        return new_run(session, name=name, num_epochs=epochs).id


def _write(
    database: Database, folder: Path, run_ids: list[int], rows: int, epochs: int
) -> tuple[float, float]:
    """Median seconds of an epoch, as a synced file and as committed slabs."""
    rng = np.random.default_rng(0)
    to_file, to_table = [], []
    for run_id, epoch in itertools.product(run_ids, range(epochs)):
        loss, file = rng.random(rows, dtype=np.float32), folder / f"{epoch}.bin"
        to_file.append(_seconds(lambda file=file, loss=loss: _write_file(file, loss)))
        file.unlink()
        to_table.append(_seconds(lambda at=(run_id, epoch), loss=loss: _write_table(database, *at, loss)))
    return statistics.median(to_file), statistics.median(to_table)


def _write_file(path: Path, values: np.ndarray) -> None:
    with path.open("wb") as file:
        file.write(values.data)
        file.flush()
        os.fsync(file.fileno())


def _write_table(database: Database, run_id: int, epoch: int, values: np.ndarray) -> None:
    with transaction(database.engine) as session:
        curves.write_epoch(session, run_id=run_id, epoch=epoch, channels={"loss": values})
        runs.close_epoch(session, run_id=run_id, epoch=epoch, attempt=1, metrics={})


def _plain_select(session: Session, run_id: int) -> None:
    for _ in fetch_binary(session, "SELECT data FROM curve_blocks WHERE run_id = %s", [run_id]):
        pass


def _read_untransposed(session: Session, run_id: int, epochs: int) -> None:
    dtype = np.dtype(np.float32)
    for _ in curves.read_shards(session, run_id=run_id, channel="loss", epochs=range(epochs), dtype=dtype):
        pass


def _read_whole(session: Session, run_id: int, rows: int) -> None:
    curves.read_channel(session, run_id=run_id, channel="loss", num_rows=rows)


def _one_curve_ms(session: Session, run_id: int, rows: int) -> list[float]:
    wanted = np.random.default_rng(1).integers(0, rows, CURVES_READ)
    epochs = curves.closed_epochs(session, run_id=run_id)

    def read(row: int) -> None:
        curves.read_rows(session, run_id=run_id, channel="loss", rows=[row], epochs=epochs)

    return [1000 * _seconds(lambda row=row: read(row)) for row in wanted.tolist()]


def _values_stored(database: Database) -> int:
    with transaction(database.engine) as session:
        return int(session.scalar(text("SELECT sum(num_rows) FROM curve_blocks")) or 0)


def _seconds(step: Callable[[], Any]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def _medians_in_turn(*steps: Callable[[], Any], times: int) -> list[float]:
    """Median seconds of each step. They take turns, since machines slow down; the first turn does not count."""
    seconds = [[_seconds(step) for step in steps] for _ in range(times + 1)]
    return [statistics.median(column) for column in zip(*seconds[1:], strict=True)]


def _missed(figures: dict[str, dict[str, float]]) -> list[str]:
    missed = []
    for name, found in figures.items():
        for figure in ("write_ratio", "read_ratio"):
            if found[figure] < BARS[figure]:
                missed.append(f"{name}: {figure} {found[figure]:.2f} < {BARS[figure]}")
        for figure in ("curve_p95_ms", "bytes_per_value"):
            if found[figure] > BARS[figure]:
                missed.append(f"{name}: {figure} {found[figure]:.2f} > {BARS[figure]}")
    return missed


def _show(name: str, found: dict[str, float]) -> None:
    print(name)
    for figure, value in found.items():
        print(f"  {figure:20} {value:10.4f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small size")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar is missed")
    parser.add_argument("--size", choices=SIZES, help="only this size")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
