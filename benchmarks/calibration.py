"""Calibration by reviews: do 100 reviews say how many labels are wrong, and do the stated intervals hold?

    python -m benchmarks.calibration [--quick] [--check] [--repetitions 300] [--families "good;poor"]
    python -m benchmarks.calibration --cells FOLDER [--orders evidence reference mean_loss] [--repetitions 100]

Rankings of N examples with a known truth are made up, from excellent to nearly useless, among them such as the model of
the estimate cannot express; with `--cells`, real ones of trained cells (see benchmarks/truth.py) instead. Of each a
stratified sample of 100 is reviewed without error, then extended to 200, and the estimates are compared with the truth.

Bars, per ranking: mean expected calibration error (15 bins) at most 0.05 after 100 reviews and 0.03 after 200; Brier
skill above 0; the 90 % intervals of the share of wrong labels and of the precision of three top lists (the first 50,
as many as there are wrong labels, twice as many) hold in 85 to 95 % of the repetitions. Less is a
miss; more is printed as it is: near 0 and 1, and in lists of 50, one step narrower would often hold too rarely.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from sondage.tagging.calibrate import LEVEL, ReviewCalibration, calibrate_by_reviews
from sondage.tagging.review_sample import Strata, draw, first_allocation, next_allocation
from sondage.types import AnyArray, Mask

SIZES = (100, 200)
ECE_BARS = {100: 0.05, 200: 0.03}
LEAST_COVERAGE = 0.85
BINS = 15
LISTS = ("share", "first 50", "n·share", "2·n·share")


@dataclass(frozen=True)
class Family:
    """How scores are made: right labels by a standard distribution, wrong ones shifted by `shift`.

    `hidden` of the wrong labels score like right ones, `hard` of the right ones like wrong ones, and `foreign` of the
    right ones above everything.
    """

    num_examples: int
    share: float
    shift: float
    hidden: float = 0.0
    hard: float = 0.0
    foreign: float = 0.0
    noise: str = "normal"

    def ranking(self, rng: np.random.Generator) -> Mask:
        """Whether each label is wrong, worst of the ranking first. Shape (N,)."""
        num = self.num_examples
        wrong = np.arange(num) < round(self.share * num)
        z = {"normal": rng.standard_normal, "gumbel": rng.gumbel, "t3": partial(rng.standard_t, 3)}[
            self.noise
        ](size=num)
        chance = rng.random(num)
        shifted = np.where(wrong, chance >= self.hidden, chance < self.hard)
        score = z + self.shift * shifted + 20 * (~wrong & (rng.random(num) < self.foreign))
        return np.asarray(wrong[np.argsort(-score, kind="stable")])


FAMILIES = {
    "perfect": Family(20_000, 0.4, 12),
    "excellent": Family(20_000, 0.2, 5),
    "good": Family(20_000, 0.2, 3),
    "fair": Family(10_000, 0.2, 1.8),
    "poor": Family(10_000, 0.2, 0.8),
    "rare": Family(60_000, 0.01, 4),
    "rare, poor": Family(60_000, 0.01, 2),
    "many": Family(6_000, 0.45, 3),
    "many, poor": Family(6_000, 0.45, 0.7),
    "small": Family(2_000, 0.05, 3),
    "a third hidden": Family(20_000, 0.2, 4, hidden=0.3),
    "hard ones on top": Family(20_000, 0.1, 3, hard=0.05),
    "heavy tails": Family(5_000, 0.1, 4, noise="t3"),
    "skewed": Family(20_000, 0.3, 2.5, hidden=0.1, noise="gumbel"),
    "foreign on top": Family(20_000, 0.2, 3, foreign=0.003),
    "clean": Family(20_000, 0.0, 3),
}
QUICK = ("good", "poor", "small", "clean")


@dataclass(frozen=True)
class Outcome:
    """One estimate against the truth: per list of `LISTS` whether the interval held, its width, the error."""

    size: int
    ece: float
    skill: float
    held: tuple[bool, ...]
    width: tuple[float, ...]
    error: tuple[float, ...]


def average_precision(wrong: Mask) -> float:
    found = np.cumsum(wrong)
    return float((found / np.arange(1, len(wrong) + 1))[wrong].mean()) if wrong.any() else float("nan")


def calibration_error(probability: AnyArray, wrong: Mask) -> float:
    """Expected calibration error over equal bins of the probability, weighted by their examples."""
    number = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    return float(np.abs(np.bincount(number, probability - wrong, BINS)).sum() / len(wrong))


def review(wrong: Mask, seed: int) -> Iterator[tuple[int, ReviewCalibration]]:
    """The estimates after each size of the sample."""
    strata = Strata.over(len(wrong))
    taken = np.zeros_like(strata.sizes)
    position = np.zeros(0, dtype=np.int64)
    found: ReviewCalibration | None = None
    for size in SIZES:
        wanted = (
            first_allocation(strata, size)
            if found is None
            else next_allocation(strata, size, taken, found.uncertainty())
        )
        sample = draw(strata, wanted, seed=seed, taken=taken)
        position, taken = np.concatenate([position, sample.position]), wanted
        found = calibrate_by_reviews(strata, position, wrong[position], seed=seed)
        yield size, found


def outcomes(wrong: Mask, seed: int) -> list[Outcome]:
    num = len(wrong)
    share = float(wrong.mean())
    at_share = max(1, round(num * share))
    out = []
    for size, found in review(wrong, seed):
        probability = found.probability_wrong(np.arange(num))
        brier = float(np.square(probability - wrong).mean())
        estimates = [found.precision(k) for k in (num, 50, at_share, min(num, 2 * at_share))]
        truths = [float(wrong[:k].mean()) for k in (num, 50, at_share, 2 * at_share)]
        out.append(
            Outcome(
                size,
                calibration_error(probability, wrong),
                1 - brier / (share * (1 - share)) if share else float("nan"),
                tuple(e.low - 1e-9 <= t <= e.high + 1e-9 for e, t in zip(estimates, truths, strict=True)),
                tuple(e.high - e.low for e in estimates),
                tuple(e.value - t for e, t in zip(estimates, truths, strict=True)),
            )
        )
    return out


def of_family(name: str, repetition: int) -> tuple[float, list[Outcome]]:
    rng = np.random.default_rng([repetition, zlib.crc32(name.encode())])
    wrong = FAMILIES[name].ranking(rng)
    return average_precision(wrong), outcomes(wrong, repetition)


def of_cell(path: Path, score: str, repetition: int) -> tuple[float, list[Outcome]]:
    wrong = real_ranking(path, score)
    return average_precision(wrong), outcomes(wrong, repetition)


@cache
def real_ranking(path: Path, score: str) -> Mask:
    """The truth of a trained cell in the order of `mean_loss` or of a tagger."""
    from benchmarks.truth_parts.cells import load_cell
    from sondage.tagging.tag import Tagger, tag_runs

    cell = load_cell(path)
    tagger: Tagger = "reference" if score == "reference" else "evidence"
    result = tag_runs(cell.run_curves, cell.definition, cell.num_examples, tagger=tagger)
    order = np.argsort(-result.mean_loss, kind="stable") if score == "mean_loss" else result.order
    return cell.wrong[order[np.isfinite(result.mean_loss[order])]]


def row_of(name: str, found: list[tuple[float, list[Outcome]]]) -> list[dict[str, object]]:
    """The means over repetitions, a row per size of the sample."""
    precision = float(np.mean([ap for ap, _ in found]))
    rows: list[dict[str, object]] = []
    for number, size in enumerate(SIZES):
        those = [of_repetition[number] for _, of_repetition in found]
        coverage = np.mean([one.held for one in those], axis=0)
        skill = float(np.mean([one.skill for one in those]))
        ece = float(np.mean([one.ece for one in those]))
        misses = [
            f"coverage of {what}" for what, c in zip(LISTS, coverage, strict=True) if c < LEAST_COVERAGE
        ]
        misses += [] if ece <= ECE_BARS[size] else ["ece"]
        misses += ["skill"] if skill <= 0 else []
        rows.append(
            {
                "ranking": name,
                "ap": _number(precision, 2),
                "reviews": size,
                "ece": round(ece, 4),
                "skill": _number(skill, 3),
                "coverage": [round(float(c), 3) for c in coverage],
                "width": [round(float(w), 3) for w in np.mean([one.width for one in those], axis=0)],
                "error": [round(float(e), 3) for e in np.mean([one.error for one in those], axis=0)],
                "missed": misses,
            }
        )
    return rows


def _number(value: float, digits: int) -> float | None:
    """JSON knows no NaN: clean data have neither."""
    return round(value, digits) if np.isfinite(value) else None


def main() -> int:
    arguments = _arguments()
    tasks: dict[str, Callable[[int], tuple[float, list[Outcome]]]]
    if arguments.cells:
        tasks = {
            f"{path.parent.parent.name}/{path.parent.name}/{path.stem} {score}": partial(of_cell, path, score)
            for path in sorted(Path(arguments.cells).glob("*/*/seed*.npz"))
            for score in arguments.orders
        }
    else:
        chosen = (
            arguments.families.split(";") if arguments.families else QUICK if arguments.quick else FAMILIES
        )
        tasks = {name: partial(of_family, name) for name in chosen}
    repetitions = 20 if arguments.quick else arguments.repetitions
    print(
        f"{repetitions} repetitions; intervals of {LEVEL:.0%}: share, first 50, first n·share, first 2·n·share"
    )
    rows: list[dict[str, object]] = []
    with ProcessPoolExecutor(arguments.processes) as pool:
        for name, task in tasks.items():
            added = row_of(name, list(pool.map(task, range(repetitions), chunksize=5)))
            rows += added
            for row in added:
                print(_line(row), flush=True)
    missed = [
        f"{row['ranking']} ({row['reviews']}): {', '.join(row['missed'])}" for row in rows if row["missed"]
    ]  # type: ignore[arg-type]  # a list of words
    print(
        json.dumps({"benchmark": "calibration", "repetitions": repetitions, "rows": rows, "missed": missed})
    )
    return 1 if arguments.check and missed else 0


def _line(row: dict[str, object]) -> str:
    spread = " ".join(f"{c:.2f}/{w:.3f}" for c, w in zip(row["coverage"], row["width"], strict=True))  # type: ignore[call-overload]  # lists of floats
    return (
        f"{row['ranking']!s:34} AP {row['ap']} n {row['reviews']} ece {row['ece']} skill {row['skill']} "
        f"coverage/width {spread} {' '.join(row['missed'])}"  # type: ignore[arg-type]  # a list of words
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="four rankings, 20 repetitions")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bar is missed")
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--families", default="", help="only these, separated by semicolons")
    parser.add_argument("--cells", default="", help="a cache of benchmarks/truth.py: real rankings")
    parser.add_argument(
        "--orders", nargs="+", default=["evidence"], choices=["evidence", "reference", "mean_loss"]
    )
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
