"""⑤ From reviews to what a ranking means: how many labels are wrong, in all and in any top list, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sondage.errors import InvalidInput
from sondage.tagging.review_model import Posterior, fit
from sondage.tagging.review_sample import Strata
from sondage.types import AnyArray, Mask, Rows

LEVEL = 0.9
"""Of all intervals."""
_CELLS_PER_STRATUM = 4


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Parameters
    ----------
    value : float
        Posterior mean.
    low, high : float
        The true value, of these very examples, lies between them with probability `LEVEL`.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ReviewCalibration:
    """What reviews of a stratified sample say of a ranking of N examples.

    Parameters
    ----------
    strata : Strata
    position : int64 array, shape (n,)
        Of the reviewed examples that count, 0 worst; all different.
    wrong : bool array, shape (n,)
    posterior : Posterior
    seed : int
        Of the draws: the same reviews give the same numbers.
    """

    strata: Strata
    position: Rows
    wrong: Mask
    posterior: Posterior
    seed: int

    @property
    def num_examples(self) -> int:
        return self.strata.num_examples

    def probability_wrong(self, position: AnyArray) -> AnyArray:
        """P(the given label is wrong) at these positions of the ranking. Shape of `position`; 0…1, 1 is bad."""
        knots, values = self.knots()
        return np.asarray(np.interp((np.asarray(position) + 0.5) / self.num_examples, knots, values))

    def knots(self) -> tuple[AnyArray, AnyArray]:
        """Places, 0…1 ascending, and the P(wrong) there; straight lines between them. Two arrays of one shape."""
        middle, _ = self._cells(self.num_examples)
        return middle, self.posterior.curves(middle).mean(axis=0)

    def band(self) -> tuple[AnyArray, AnyArray]:
        """Low and high end of P(wrong) at the knots, each with probability `LEVEL` by itself."""
        middle, _ = self._cells(self.num_examples)
        low, high = np.quantile(self.posterior.curves(middle), _tails(), axis=0)
        return low, high

    def share_wrong(self) -> Estimate:
        """Share of wrong labels among the N examples."""
        return self.precision(self.num_examples)

    def precision(self, k: int) -> Estimate:
        """Share of wrong labels among the first k of the ranking.

        Raises
        ------
        InvalidInput
            For a k that is not from 1 to N.
        """
        if not 1 <= k <= self.num_examples:
            raise InvalidInput(f"k is {k}; there are {self.num_examples} ranked examples.", field="k")
        seen = self.wrong[self.position < k]
        return _estimate(self._num_wrong(k) / k, any_wrong=bool(seen.any()), any_right=not bool(seen.all()))

    def uncertainty(self) -> AnyArray:
        """Expected standard deviation of one more outcome in each stratum, for `next_allocation`. Shape (strata,)."""
        middle = (self.strata.edges[:-1] + self.strata.edges[1:]) / 2 / self.num_examples
        chance = self.posterior.curves(middle)
        return np.asarray(np.sqrt((chance * (1 - chance)).mean(axis=0)))

    def _num_wrong(self, k: int) -> AnyArray:
        """How many of the first k are wrong: those seen to be, and of the others a guess per draw. Shape (draws,)."""
        middle, edges = self._cells(k)
        seen = self.position < k
        reviewed = np.histogram(self.position[seen], edges)[0]
        chance = self.posterior.curves(middle)
        rest = np.diff(edges) - reviewed
        rng = np.random.default_rng([self.seed, k])
        return int(self.wrong[seen].sum()) + _num_successes(rng, chance, rest)

    def _cells(self, k: int) -> tuple[AnyArray, Rows]:
        """The first k positions in cells so narrow that P(wrong) hardly changes within: middle places, and edges."""
        parts = [
            np.linspace(low, high, _CELLS_PER_STRATUM + 1)
            for low, high in zip(self.strata.edges[:-1], self.strata.edges[1:], strict=True)
        ]
        edges = np.unique(np.concatenate(parts).round().astype(np.int64))
        edges = np.append(edges[edges < k], k)
        return (edges[:-1] + edges[1:]) / 2 / self.num_examples, edges


def calibrate_by_reviews(strata: Strata, position: Rows, wrong: Mask, *, seed: int = 0) -> ReviewCalibration:
    """What the reviews of a sample say.

    Parameters
    ----------
    strata : Strata
        Those the sample was drawn by.
    position : int64 array, shape (n,)
        Reviewed positions of the ranking. Only examples that were drawn at random within their stratum, or the whole
        of a stratum: choices of the reviewer would bias every number.
    wrong : bool array, shape (n,)
        The outcome: is the given label wrong? Reviewers who cannot tell leave it out.

    Raises
    ------
    InvalidInput
        For positions that repeat or are outside of the ranking, or another number of outcomes.
    """
    position, wrong = np.asarray(position, dtype=np.int64), np.asarray(wrong, dtype=bool)
    if position.shape != wrong.shape or len(np.unique(position)) < len(position):
        raise InvalidInput("Each reviewed position needs one outcome, and may come once.", field="position")
    if len(position) and not 0 <= position.min() <= position.max() < strata.num_examples:
        raise InvalidInput(
            f"A reviewed position is outside of the ranking of {strata.num_examples} examples.",
            field="position",
        )
    order = np.argsort(position)
    position, wrong = position[order], wrong[order]
    posterior = fit((position + 0.5) / strata.num_examples, wrong, seed=seed)
    return ReviewCalibration(strata, position, wrong, posterior, seed)


def _num_successes(rng: np.random.Generator, chance: AnyArray, rest: Rows) -> AnyArray:
    """Sums of independent outcomes, `rest` of each column's chance: binomials of the same mean and variance.

    Shape (draws,) from (draws, cells).
    """
    mean = chance @ rest
    variance = (chance * (1 - chance)) @ rest
    trials = np.ceil(np.square(mean) / np.maximum(mean - variance, 1e-12))
    trials = np.clip(trials, 1, max(1, int(rest.sum()))).astype(np.int64)
    return np.asarray(rng.binomial(trials, np.clip(mean / trials, 0, 1)))


def _estimate(draws: AnyArray, *, any_wrong: bool, any_right: bool) -> Estimate:
    """Where the reviews found none that is wrong (or right), nothing speaks against none at all: one-sided then."""
    low, high = _tails()
    if not any_wrong:
        low, high = 0.0, LEVEL
    elif not any_right:
        low, high = 1 - LEVEL, 1.0
    ends = np.quantile(draws, (low, high))
    return Estimate(
        float(draws.mean()),
        float(ends[0]) if any_wrong else 0.0,
        float(ends[1]) if any_right else 1.0,
    )


def _tails() -> tuple[float, float]:
    return (1 - LEVEL) / 2, (1 + LEVEL) / 2
