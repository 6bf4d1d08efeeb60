"""⑤ From planted flips to what a score means, if real errors are like them; and whether they are.

Flips and ordinary examples are compared by one score per run, the same for both. U(t) is the share of the examples
above t, q(t) that of the flips. Errors that are like flips give U(t) = π q(t) + what right labels add, and at the top
these add nothing: there U / q is flat and equals π. Errors of other kinds lie lower, and U / q climbs from 0. π is one
number for all runs of a tagging; what right labels add is each run's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sondage.errors import InvalidInput
from sondage.tagging.least_squares import not_negative
from sondage.tagging.shares import NORMAL_90
from sondage.types import AnyArray

FEWEST_CLASSES = 3
"""To be sure of an estimate. With two it is off by up to .08 on trained cells (docs/benchmarks/calibration.md)."""
FEWEST_PROBES = 20
"""Flips, of all runs together."""
LEVELS = np.arange(1, 19) / 20
"""Shares of the flips, .05 … .9, between whose scores examples are counted."""
POWERS = np.array([1.25, 2.0, 3.0, 5.0])
"""How fast right labels may come in, from the top down: any mixture of these. A power of 1 cannot be told from errors
at the top; without one near it, right labels among the first (TREC, 40 %) count as errors."""
TAIL, BODY = 0.2, 0.6
LEAST_TAIL_RATIO = 0.55
"""Of U / q at `TAIL` over that at `BODY`: .67 to 1.07 on development cells with uniform noise (with 5 % on hard data
.43 to .59), else 0 to 1.00, where `LEAST_EXPLAINED` notices what this does not."""
MOST_TAIL_RATIO = 1.35
"""Above it, right examples score worse than most flips do: on made-up data 1.4 to 2.1 with few errors or none."""
LEAST_EXPLAINED = 0.67
"""Of π over U / q at `BODY`: .66 to 1.01 on development cells with uniform noise (with 5 % on hard data .42 to .59),
else at most .65, but .83 with pairs among hard vectors, which are taken for flips."""
OVERLAP_LEVEL, MOST_OVERLAP = 0.8, 0.1
"""Estimated share of right labels above the score that most flips exceed. On 20 development cells with uniform noise of
which a share is told it is .119 to .166 in the eight whose shares came out .02 to .10 too high (hard data; TREC with
40 %), and at most .074 in the others, which are off by −.025 to .022."""
_SWEEPS = 40


@dataclass(frozen=True)
class RunScores:
    """One score of one run.

    Parameters
    ----------
    examples : float array, shape (N,)
        High is bad; NaN for examples that the run did not train.
    flips : float array, shape (n,)
        Of the planted flips, by the same score.
    """

    examples: AnyArray
    flips: AnyArray


@dataclass(frozen=True)
class ProbeCalibration:
    """What the flips of some runs say of their scores.

    Parameters
    ----------
    like_flips : float
        π, the share of examples that score like flips.
    deviation : float
        Its standard error, from how few flips and examples there are.
    scales : float64 array, shape (runs, powers)
        At least 0. R(q) = Σ scale · (q / (1 − q)) ** power are the right labels above the score that a share q of the
        run's flips exceeds.
    beyond : tuple of float64 arrays
        Per run the density of examples over that of flips below each of the lowest flips, falling with the score. Where
        most flips lie far above everything else, and a few that are right again among the others, no R says so.
    tail_ratio : float
        U / q at the top over that in the middle: 1 when suspected examples score like flips, 0 when none of the highest
        does.
    explained : float
        π over U / q in the middle: how much of what looks wrong there the flips account for.
    flips : tuple of float64 arrays, ascending
        Their scores, per run.
    num_classes : int
    """

    like_flips: float
    deviation: float
    scales: AnyArray
    beyond: tuple[AnyArray, ...]
    tail_ratio: float
    explained: float
    flips: tuple[AnyArray, ...]
    num_classes: int

    @property
    def num_flips(self) -> int:
        return sum(len(flips) for flips in self.flips)

    @property
    def is_uniform(self) -> bool:
        """Do suspected examples score as flips do? Where next to nothing is suspected, nothing does.

        With two classes nothing tells: any error is a flip then, and many flips are right again.
        """
        alike = self.tail_ratio >= LEAST_TAIL_RATIO and self.explained >= LEAST_EXPLAINED
        return alike and self.tells_of_the_worst

    @property
    def tells_of_the_worst(self) -> bool:
        """Is it known how much of what scores as bad as a flip is wrong? Not where right examples score worse, nor with
        two classes."""
        return self.tail_ratio <= MOST_TAIL_RATIO and self.num_classes >= FEWEST_CLASSES

    @property
    def overlap(self) -> float:
        """Estimated share of right labels, 0…1, that score above the level which .8 of the flips exceed."""
        with_flips = [len(flips) > 0 for flips in self.flips]
        right = self.scales[with_flips] @ (OVERLAP_LEVEL / (1 - OVERLAP_LEVEL)) ** POWERS
        return min(1.0, float(right.mean()) / max(1 - self.like_flips, 1e-9))

    @property
    def share_wrong(self) -> float:
        """Of the examples, 0…1: π without the flips whose source was wrong and which may be right again."""
        return self._corrected(self.like_flips)

    @property
    def share_interval(self) -> tuple[float, float]:
        """90 %, of what chance in flips and examples can do; that errors are like flips is taken as given."""
        ends = self.like_flips + NORMAL_90 * self.deviation * np.array([-1.0, 1.0])
        low, high = (self._corrected(max(0.0, float(end))) for end in ends)
        return low, high

    def probability_wrong(self, scores: Sequence[AnyArray], like_flips: float | None = None) -> AnyArray:
        """P(wrong) of examples by their scores in all runs.

        Parameters
        ----------
        scores : sequence of float arrays, shape (N,)
            One per run, NaN where it says nothing.
        like_flips : float, optional
            Another π than the estimated one: an end of its interval.

        Returns
        -------
        float64 array, shape (N,)
            0…1; NaN where no run has a score.
        """
        share = self.like_flips if like_flips is None else like_flips
        chances = [
            _chance(score, flips, share, scales, beyond)
            for score, flips, scales, beyond in zip(scores, self.flips, self.scales, self.beyond, strict=True)
        ]
        return combine(chances, self._corrected(share))

    def _corrected(self, like_flips: float) -> float:
        """At most 1: π itself may be more, where examples score worse than flips."""
        return min(1.0, like_flips / (1 + like_flips / (self.num_classes - 1)))


def calibrate_by_probes(runs: Sequence[RunScores], *, num_classes: int) -> ProbeCalibration:
    """Compare the scores of flips with those of ordinary examples of the same runs.

    Parameters
    ----------
    runs : sequence of RunScores
        Runs without flips or examples are not asked.
    num_classes : int
        C: of flips of wrong labels, one in C − 1 is right.

    Raises
    ------
    InvalidInput
        With fewer than `FEWEST_PROBES` flips, or fewer than two classes.
    """
    examples = [np.sort(run.examples[np.isfinite(run.examples)]) for run in runs]
    flips = tuple(np.sort(run.flips[np.isfinite(run.flips)]) for run in runs)
    asked = [number for number in range(len(runs)) if len(flips[number]) and len(examples[number])]
    num_flips = sum(len(flips[number]) for number in asked)
    if num_flips < FEWEST_PROBES or num_classes < 2:
        raise InvalidInput(
            f"{num_flips} flips and {num_classes} classes: at least {FEWEST_PROBES} flips and two classes are needed "
            "for a calibration from probes.",
            field="probes",
        )
    counts = np.stack([_counts(examples[number], flips[number]) for number in asked])
    sizes = np.array([(len(examples[number]), len(flips[number])) for number in asked], dtype=np.float64)
    like_flips, scales, deviation = _fit(counts, sizes)
    above = counts.sum(axis=0).cumsum() / sizes[:, 0].sum() / LEVELS
    tail, body = (float(above[np.searchsorted(LEVELS, level - 1e-9)]) for level in (TAIL, BODY))
    every_scale = np.zeros((len(runs), len(POWERS)))
    every_scale[asked] = scales
    beyond = tuple(
        _beyond(examples[number], flips[number]) if number in asked else np.zeros(0)
        for number in range(len(runs))
    )
    return ProbeCalibration(
        like_flips=like_flips,
        deviation=deviation,
        scales=every_scale,
        beyond=beyond,
        tail_ratio=tail / body if body else 0.0,
        explained=like_flips / body if body else 0.0,
        flips=flips,
        num_classes=num_classes,
    )


def combine(chances: Sequence[AnyArray], share: float) -> AnyArray:
    """P(wrong) by several runs: the mean of the log-odds, moved so that on average it is `share` again.

    A plain mean of probabilities of runs that err independently is too timid at both ends.

    Parameters
    ----------
    chances : sequence of float arrays, shape (N,)
        One per run; NaN where it did not train the example.
    share : float
        0…1.

    Returns
    -------
    float64 array, shape (N,)
        NaN where no run has a value.
    """
    stacked = np.clip(np.stack(chances), 1e-6, 1 - 1e-6)
    there = ~np.isnan(stacked)
    log_odds = np.where(there, np.log(np.where(there, stacked / (1 - stacked), 1.0)), 0.0).sum(axis=0)
    num = there.sum(axis=0)
    mean = log_odds[num > 0] / num[num > 0]
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _sigmoid(mean + middle).mean() < share else (low, middle)
    out = np.full(len(num), np.nan)
    out[num > 0] = _sigmoid(mean + high)
    return out


def _chance(
    score: AnyArray, flips: AnyArray, like_flips: float, scales: AnyArray, beyond: AnyArray
) -> AnyArray:
    """π / (π + R′(q)) at the share q of the flips above each score. NaN in a run without flips."""
    if not len(flips):
        return np.full(len(score), np.nan)
    above = len(flips) - np.searchsorted(flips, score)
    q = (above + 0.5) / (len(flips) + 1)
    rates = [n * q ** (n - 1) / (1 - q) ** (n + 1) for n in POWERS.tolist()]
    added = sum(scale * rate for scale, rate in zip(scales.tolist(), rates, strict=True))
    density = np.maximum(like_flips + added, 1e-12)
    lowest = len(flips) - above
    last = np.minimum(lowest, len(beyond) - 1)
    density = np.where(lowest < len(beyond), np.maximum(density, beyond[last]), density)
    chance = like_flips / density
    return np.asarray(np.where(np.isnan(score), np.nan, chance))


def _beyond(examples: AnyArray, flips: AnyArray) -> AnyArray:
    """Density below the lowest flip, between it and the next, and so on up to the last of `LEVELS`; made to fall."""
    from sklearn.isotonic import IsotonicRegression

    num = max(1, round(len(flips) * (1 - LEVELS[-1])))
    counts = np.diff(np.searchsorted(examples, flips[:num]), prepend=0)
    density = counts / len(examples) * (len(flips) + 1)
    return np.asarray(IsotonicRegression(increasing=False).fit_transform(np.arange(num), density))


def _counts(examples: AnyArray, flips: AnyArray) -> AnyArray:
    """Examples between the scores that neighbouring `LEVELS` of the flips exceed; both ascending. Shape (levels,)."""
    threshold = np.quantile(flips, 1 - LEVELS)
    above = len(examples) - np.searchsorted(examples, threshold, side="right")
    return np.diff(above, prepend=0).astype(np.float64)


def _fit(counts: AnyArray, sizes: AnyArray) -> tuple[float, AnyArray, float]:
    """π, the scales of each run, and the standard error of π, by reweighted least squares with none below 0.

    A step of the flips' distribution holds a gamma-distributed share of them, so the examples in it are counted with
    the variance of a negative binomial; steps are all but independent, which shares above a score are not.

    Parameters
    ----------
    counts : float array, shape (runs, levels)
    sizes : float array, shape (runs, 2)
        Numbers of examples and of flips.
    """
    num_runs, num_levels = counts.shape
    step = np.diff(LEVELS, prepend=0)
    added = np.diff((LEVELS / (1 - LEVELS))[:, None] ** POWERS, axis=0, prepend=0)
    columns = np.zeros((num_runs, num_levels, 1 + num_runs * len(POWERS)))
    columns[:, :, 0] = step
    for run in range(num_runs):
        columns[run, :, 1 + run * len(POWERS) : 1 + (run + 1) * len(POWERS)] = added
    columns = columns.reshape(num_runs * num_levels, -1)
    num_examples = np.repeat(sizes[:, 0], num_levels)
    in_step = (sizes[:, 1:] * step).ravel()
    seen = counts.ravel() / num_examples
    mean = np.maximum(seen, 1 / num_examples)
    for _ in range(_SWEEPS):
        weight = 1 / np.sqrt(mean / num_examples + mean**2 / in_step)
        found = not_negative(columns * weight[:, None], seen * weight)
        before, mean = mean, np.maximum((mean + columns @ found) / 2, 0.3 / num_examples)
        if np.allclose(before, mean, rtol=1e-4):
            break
    used = np.flatnonzero((found > 0) | (np.arange(len(found)) == 0))
    weighted = columns[:, used] * weight[:, None]
    variance = np.linalg.pinv(weighted.T @ weighted)[0, 0]
    return float(found[0]), found[1:].reshape(num_runs, -1), float(np.sqrt(max(0.0, variance)))


def _sigmoid(values: AnyArray) -> AnyArray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))
