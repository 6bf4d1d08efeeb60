"""⑤ From planted flips to what a score means, if real errors are like them; and whether they are.

Held out of any fit, flips and ordinary examples are compared by one score of one run. U(t) is the share of the
examples above t, q(t) that of the flips. Errors that are like flips give U(t) = π q(t) + what right labels add, and at
the top these add nothing: there U / q is flat and equals π. Errors of other kinds lie lower, and U / q climbs from 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray

FEWEST_PROBES = 20
LEVELS = np.arange(0.1, 0.91, 0.05)
"""Shares of the flips at which the two are compared."""
POWERS = np.array([1.0, 1.5, 2.0, 3.0, 5.0])
"""How fast right labels may come in, from the top down: any mixture of these."""
TAIL, BODY = 0.2, 0.6
LEAST_TAIL_RATIO = 0.55
"""Of U / q at `TAIL` over that at `BODY`. Measured on trained cells: 0.78 to 0.90 with uniform noise, at most 0.33 with
class pairs and instance-dependent errors."""
ASSUMPTION = (
    "True if the real errors are like the planted ones: labels flipped at random, whatever the input."
)


@dataclass(frozen=True)
class ProbeCalibration:
    """What the flips of one run say of its scores.

    Parameters
    ----------
    share_wrong : float
        Estimated share of wrong labels among the ordinary examples, 0…1, corrected for flips of wrong sources.
    like_flips : float
        The same without this correction: the share of examples that score like flips.
    scales : float64 array, shape (powers,)
        At least 0. R(q) = Σ scale · (q / (1 − q)) ** power are the right labels above the score that a share q of the
        flips exceeds.
    tail_ratio : float
        U / q at the top over that in the middle: 1 when suspected examples score like flips, 0 when none of the highest
        does.
    probes : float64 array, ascending
        Scores of the flips.
    """

    share_wrong: float
    like_flips: float
    scales: AnyArray
    tail_ratio: float
    probes: AnyArray

    @property
    def is_uniform(self) -> bool:
        """Do suspected examples score as flips do? Without suspects at all there is nothing that does."""
        return self.tail_ratio >= LEAST_TAIL_RATIO

    @property
    def warning(self) -> str | None:
        """In words, or None."""
        if self.is_uniform:
            return None
        return (
            "What looks wrong here does not look like planted flips: its scores lie lower. Errors that people make "
            "where it is hard do so, and so do hard examples that are right. The share of wrong labels cannot be told "
            "from probes; review a sample of 100."
        )

    def probability_wrong(self, score: AnyArray) -> AnyArray:
        """P(wrong) of examples by their scores in this run. Shape of `score`; 0…1; NaN where the score is."""
        num = len(self.probes)
        above = num - np.searchsorted(self.probes, score)
        q = (above + 0.5) / (num + 1)
        rates = [n * q ** (n - 1) / (1 - q) ** (n + 1) for n in POWERS.tolist()]
        added = sum(scale * rate for scale, rate in zip(self.scales.tolist(), rates, strict=True))
        chance = self.like_flips / np.maximum(self.like_flips + added, 1e-12)
        return np.asarray(np.where(np.isnan(score), np.nan, chance))


def calibrate_by_probes(score: AnyArray, probe_score: AnyArray, *, num_classes: int) -> ProbeCalibration:
    """Compare the scores of flips with those of ordinary examples of the same run.

    Parameters
    ----------
    score : float array, shape (N,)
        Of ordinary examples; high is bad; NaN for those that the run did not train.
    probe_score : float array, shape (n,)
        Of flips, by the same score; of flips that a tagger was fitted on, each without its own vote.
    num_classes : int
        C: of flips of wrong labels, one in C − 1 is right.

    Raises
    ------
    InvalidInput
        With fewer than `FEWEST_PROBES` flips, or fewer than two classes.
    """
    score, probes = score[np.isfinite(score)], np.sort(probe_score[np.isfinite(probe_score)])
    if len(probes) < FEWEST_PROBES or not len(score) or num_classes < 2:
        raise InvalidInput(
            f"{len(probes)} flips, {len(score)} examples and {num_classes} classes: at least {FEWEST_PROBES} flips, "
            "one example and two classes are needed for a calibration from probes.",
            field="probes",
        )
    ordered = np.sort(score)
    like_flips, scales = _mixture(_above(ordered, probes, LEVELS), len(score), len(probes))
    tail, body = _above(ordered, probes, np.array([TAIL, BODY])) / (TAIL, BODY)
    return ProbeCalibration(
        share_wrong=like_flips / (1 + like_flips / (num_classes - 1)),
        like_flips=like_flips,
        scales=scales,
        tail_ratio=float(tail / body) if body else 0.0,
        probes=probes,
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


def share_range(families: Mapping[str, ProbeCalibration]) -> tuple[float, float]:
    """Lowest and highest share over families of probes, each true if real errors are like that family."""
    shares = [found.share_wrong for found in families.values()]
    return min(shares), max(shares)


def _above(ordered: AnyArray, probes: AnyArray, levels: AnyArray) -> AnyArray:
    """Share of the examples above the score that each share of the flips exceeds."""
    threshold = np.quantile(probes, 1 - levels)
    return np.asarray(1 - np.searchsorted(ordered, threshold, side="right") / len(ordered))


def _mixture(above: AnyArray, num: int, num_probes: int) -> tuple[float, AnyArray]:
    """π and the scales that fit U(q) = π q + R(q) best, by weighted least squares; none of them below 0.

    Weights are the binomial variances of U and of the flips' quantiles.
    """
    variance = above * (1 - above) / num + np.square(above / LEVELS) * LEVELS * (1 - LEVELS) / num_probes
    deviation = np.sqrt(variance) + 1 / num
    odds = LEVELS / (1 - LEVELS)
    columns = np.stack([LEVELS, *(odds**power for power in POWERS.tolist())], axis=1) / deviation[:, None]
    found = _not_negative(columns, above / deviation)
    return float(found[0]), found[1:]


def _not_negative(columns: AnyArray, wanted: AnyArray) -> AnyArray:
    """Least squares with coefficients of at least 0: so few that every subset of them is tried. Shape (columns,)."""
    num = columns.shape[1]
    best, least = np.zeros(num), float(np.square(wanted).sum())
    for chosen in (s for size in range(1, num + 1) for s in combinations(range(num), size)):
        part = columns[:, chosen]
        found = np.linalg.lstsq(part, wanted, rcond=None)[0]
        residual = float(np.square(part @ found - wanted).sum())
        if (found >= 0).all() and residual < least:
            best, least = np.zeros(num), residual
            best[list(chosen)] = found
    return best


def _sigmoid(values: AnyArray) -> AnyArray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))
