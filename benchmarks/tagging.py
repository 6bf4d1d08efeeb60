"""Tagging at ImageNet size: a tagger against the plain matrix product of the same shapes, and tags into the database.

    python -m benchmarks.tagging [--quick] [--check]

1,281,167 curves of 90 epochs against 1,500 probes (float32). The product is `curves @ probes.T`, a block of rows at a
time, its result thrown away. Each part runs in a process of its own, whose peak memory is read at its end; the curves
themselves (0.46 GB) are in it. Taggers and the product take turns.

`evidence` is a whole tagging of one run by the default tagger, `tag_runs`: the votes, the evidence (margins, a look at
the features, pairs), P(wrong) and the report.

Bars: the reference tagger within 6 times, ours within 8 times the product; what the report says beside the held-out
probes, of two runs and 10,000 classes, within 2 times; peak memory under 3 GB; tags into the database at 100,000 a
second or more.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sondage.tagging.reference import ReferenceTagger

SIZE = (1_281_167, 90, 1_500)
QUICK = (100_000, 30, 500)
CATEGORIES = ("prototypical", "atypical", "noisy", "ood", "corrupted")
BLOCK = 16_384
BARS = {"reference": 6.0, "evidence": 8.0, "report": 2.0}
NUM_CLASSES = 10_000
MEMORY_BAR_GB = 3.0
TAGS_BAR = 100_000
ROUNDS = 3


def main() -> int:
    arguments = _arguments()
    size = QUICK if arguments.quick else SIZE
    if arguments.part:
        print(json.dumps(_part(arguments.part, size)))
        return 0
    figures = _figures(size, rounds=1 if arguments.quick else ROUNDS)
    for name, value in figures.items():
        print(f"{name:24} {value:14,.2f}")
    missed = _missed(figures)
    for line in missed:
        print(f"missed: {line}")
    print(json.dumps({"benchmark": "tagging", "size": size, "figures": figures, "missed": missed}))
    return 1 if arguments.check and missed else 0


def _figures(size: tuple[int, int, int], rounds: int) -> dict[str, float]:
    parts = ["product", *BARS]
    found: dict[str, list[dict[str, float]]] = {part: [] for part in parts}
    for _ in range(rounds):
        for part in parts:
            found[part].append(_in_a_process(part, size))
    seconds = {part: statistics.median(one["seconds"] for one in found[part]) for part in parts}
    figures = {f"{part}_s": seconds[part] for part in parts}
    for part in BARS:
        figures[f"{part}_ratio"] = seconds[part] / seconds["product"]
        figures[f"{part}_peak_gb"] = max(one["peak_gb"] for one in found[part])
    tags = [_in_a_process("tags", size) for _ in range(rounds)]
    figures["tags_per_second"] = statistics.median(one["tags_per_second"] for one in tags)
    return figures


def _in_a_process(part: str, size: tuple[int, int, int]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.tagging", "--part", part]
    if size == QUICK:
        command.append("--quick")
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _part(part: str, size: tuple[int, int, int]) -> dict[str, float]:
    if part == "tags":
        return _tags(size[0])
    num, epochs, num_probes = size
    rng = np.random.default_rng(0)
    curves = rng.random((num, epochs), dtype=np.float32)
    probes = rng.random((num_probes, epochs), dtype=np.float32)
    categories = np.array(CATEGORIES)[np.arange(num_probes) % len(CATEGORIES)]
    steps: dict[str, Callable[[], Any]] = {
        "product": lambda: _product(curves, probes),
        "reference": lambda: ReferenceTagger(20, CATEGORIES).fit(probes, categories).predict_proba(curves),
        "evidence": _evidence(curves, probes, categories) if part == "evidence" else dict,
        "report": _report(curves, probes, categories) if part == "report" else dict,
    }
    started = time.perf_counter()
    steps[part]()
    seconds = time.perf_counter() - started
    # Linux counts in KiB, macOS in bytes.
    unit = 1024 if sys.platform == "linux" else 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"seconds": seconds, "peak_gb": peak / 1e9}


def _product(curves: np.ndarray, probes: np.ndarray) -> None:
    for start in range(0, len(curves), BLOCK):
        curves[start : start + BLOCK] @ probes.T


def _evidence(curves: np.ndarray, probes: np.ndarray, categories: np.ndarray) -> Callable[[], Any]:
    """A tagging of one run with losses, margins, predictions and one look. Half of the probes are held out."""
    from sondage.curves import Curves
    from sondage.probes.plan import Probes
    from sondage.probes.suite import default_suite
    from sondage.tagging.tag import RunCurves, tag_runs

    rng = np.random.default_rng(1)
    num, rows = len(curves), len(curves) + np.arange(len(probes))
    loss = np.concatenate([curves, probes])
    labels = rng.integers(NUM_CLASSES, size=len(loss))
    predicted = np.where(loss > 0.5, (labels[:, None] + 1) % NUM_CLASSES, labels[:, None]).astype(np.int16)
    margin = 1 - loss
    # Flips are a little worse, so that epochs have weights.
    margin[rows[categories == "noisy"]] -= 0.2
    role = np.where(np.arange(len(rows)) // len(CATEGORIES) % 2, "held_out", "fit")
    source = rng.permutation(num)[: len(rows)]
    run = RunCurves(
        curves=Curves({"loss": loss, "margin": margin, "predicted": predicted}),
        labels=labels,
        probes=Probes(rows, categories, role, source),
        displaced=source,
        looks={loss.shape[1] - 1: rng.normal(size=len(loss)).astype(np.float32)},
    )
    return lambda: tag_runs([run], default_suite(), num)


def _report(curves: np.ndarray, probes: np.ndarray, categories: np.ndarray) -> Callable[[], Any]:
    """The parts of a report on two runs of one size and the same curves. Half of the probes are held out."""
    from sondage.curves import Curves
    from sondage.probes.plan import Probes
    from sondage.probes.suite import CATEGORIES as BUILT_IN
    from sondage.tagging.prepare import Prepared
    from sondage.tagging.report_parts import Outcome, report_parts
    from sondage.tagging.tag import tags_of

    rng = np.random.default_rng(1)
    num, rows = len(curves), len(curves) + np.arange(len(probes))
    role = np.where(np.arange(len(rows)) // len(CATEGORIES) % 2, "held_out", "fit")
    run = Prepared(
        name="run",
        curves=Curves({"loss": np.concatenate([curves, probes])}),
        labels=rng.integers(NUM_CLASSES, size=num + len(rows)),
        probes=Probes(rows, categories, role, rng.permutation(num)[: len(rows)]),
        trained=np.ones(num, dtype=bool),
    )
    votes = rng.dirichlet(np.ones(len(CATEGORIES)), num).astype(np.float32)
    outcome = Outcome(
        runs=[run, run],
        votes=[votes, votes[::-1]],
        of_probes=[votes[: len(rows)]] * 2,
        ks=[20, 20],
        categories=BUILT_IN,
        tag=tags_of(votes),
        suspicion=rng.random(num, dtype=np.float32),
        suggested=np.where(rng.random(num) < 0.8, -1, rng.integers(NUM_CLASSES, size=num)),
        displaced=np.zeros(num, dtype=bool),
        confusion=np.eye(len(CATEGORIES), dtype=np.int64) * len(rows),
        tagged=tags_of,
        class_names=[f"class {label}" for label in range(NUM_CLASSES)],
        setups=[],
        seed=0,
    )
    return lambda: report_parts(outcome)


def _tags(num: int) -> dict[str, float]:
    """As a tagging of `num` examples writes them: one transaction, with its indexes."""
    from benchmarks._worlds import new_run
    from store import suites, taggings, tags
    from store.engine import migrate, open_database, transaction

    columns = _tag_columns(num)
    with tempfile.TemporaryDirectory(prefix="sdg-", dir="/tmp") as folder:
        database = open_database(None, Path(folder))
        try:
            migrate(database.engine)
            with transaction(database.engine) as session:
                run = new_run(session, name="tags", num_epochs=2)
                suite = suites.add(
                    session, project_id=run.project_id, name="tags", digest="tags", definition={}
                )
                tagging_id = taggings.create(
                    session, project_id=run.project_id, runs=[run], suite_id=suite.id, tagger="reference"
                ).id
            started = time.perf_counter()
            with transaction(database.engine) as session:
                tags.write(session, tagging_id=tagging_id, columns=columns)
            return {"tags_per_second": num / (time.perf_counter() - started)}
        finally:
            database.close()


def _tag_columns(num: int) -> Any:
    from store.tags import TagColumns

    rng = np.random.default_rng(0)
    probabilities = rng.random((num, len(CATEGORIES)), dtype=np.float32)
    suspicion = probabilities[:, CATEGORIES.index("noisy")]
    position = np.empty(num, dtype=np.int64)
    position[np.argsort(-suspicion)] = np.arange(num)
    suggested = rng.integers(0, 1000, num, dtype=np.int32)
    return TagColumns(
        index=np.arange(num),
        position=position,
        tag=probabilities.argmax(axis=1).astype(np.int16),
        suspicion=suspicion,
        label=rng.integers(0, 1000, num, dtype=np.int32),
        suggested_label=np.where(rng.random(num) < 0.8, np.int32(-1), suggested),
        displaced=np.zeros(num, dtype=bool),
        probabilities=probabilities,
    )


def _missed(figures: dict[str, float]) -> list[str]:
    missed = []
    for part, bar in BARS.items():
        if figures[f"{part}_ratio"] > bar:
            missed.append(f"{part}: {figures[f'{part}_ratio']:.1f} times the product > {bar}")
        if figures[f"{part}_peak_gb"] > MEMORY_BAR_GB:
            missed.append(f"{part}: {figures[f'{part}_peak_gb']:.1f} GB > {MEMORY_BAR_GB}")
    if figures["tags_per_second"] < TAGS_BAR:
        missed.append(f"{figures['tags_per_second']:,.0f} tags a second < {TAGS_BAR:,}")
    return missed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small size")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar is missed")
    parser.add_argument("--part", choices=["product", *BARS, "tags"], help="one part, in this process")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
