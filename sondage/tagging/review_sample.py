"""⑤ Which examples to review: a stratified random sample over the ranking, drawn once and extended at will.

The ranking is cut into strata; in each the examples have one random order that a seed fixes. A sample takes the first
few of each order, so that a larger sample contains the smaller one, and within a stratum every example is as likely
as any other, whatever made the sample as large as it is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray, Rows

TOP = 50
"""Examples in the first stratum: the screen or two that people look at first."""
NARROW = 0.05
"""Below the top the strata double until they have this share of the examples; from then on they are so wide."""
TOP_WEIGHT = 0.25
"""Share of the first sample that goes to strata alike, however small; the rest goes by their sizes."""
KEPT_WEIGHT = 0.4
"""Share of an extension that goes as the first sample did; the rest goes where the outcome is least certain."""


@dataclass(frozen=True)
class Strata:
    """Slices of the ranking, worst first.

    Parameters
    ----------
    edges : int64 array, shape (strata + 1,)
        Stratum h holds the positions from edges[h] to edges[h + 1] − 1; the first edge is 0, the last N.
    """

    edges: Rows

    @property
    def sizes(self) -> Rows:
        """Examples per stratum, all positive. Shape (strata,)."""
        return np.diff(self.edges)

    @property
    def num_examples(self) -> int:
        return int(self.edges[-1])

    def of(self, position: Rows) -> Rows:
        """The stratum of each position. Shape of `position`."""
        return np.asarray(np.searchsorted(self.edges, position, side="right") - 1, dtype=np.int64)

    @classmethod
    def over(cls, num_examples: int) -> Strata:
        """The strata of a ranking of N examples: narrow at the top, a twentieth of it each below.

        Raises
        ------
        InvalidInput
            Without examples.
        """
        if num_examples < 1:
            raise InvalidInput("There is no ranked example to review.", field="tagging_id")
        edges, end = [0], min(TOP, num_examples)
        while end < NARROW * num_examples:
            edges.append(end)
            end *= 2
        widths = np.linspace(0, 1, round(1 / NARROW) + 1)[1:] * num_examples
        below = [round(width) for width in widths.tolist()]
        edges += sorted({edge for edge in below if edge > edges[-1]})
        return cls(np.array(edges, dtype=np.int64))


@dataclass(frozen=True)
class ReviewSample:
    """Positions to review, in the order to review them in.

    Parameters
    ----------
    strata : Strata
    position : int64 array, shape (n,)
        Places in the ranking, 0 worst; all different.
    stratum : int64 array, shape (n,)
    inclusion : float64 array, shape (n,)
        Probability with which each was drawn, 0…1: the share of its stratum that is in the sample.
    """

    strata: Strata
    position: Rows
    stratum: Rows
    inclusion: AnyArray

    def __len__(self) -> int:
        return len(self.position)


def first_allocation(strata: Strata, size: int) -> Rows:
    """How many to review in each stratum when nothing is known yet. Shape (strata,); sums to min(size, N)."""
    return _shared_out(_first_weights(strata), strata.sizes, size, np.zeros_like(strata.sizes))


def next_allocation(strata: Strata, size: int, taken: Rows, uncertainty: AnyArray) -> Rows:
    """The same when some were reviewed: more where the outcome is uncertain (Neyman), something everywhere.

    Parameters
    ----------
    size : int
        In all, those already taken included.
    taken : int64 array, shape (strata,)
        How many of each stratum are in the sample already; never fewer are returned.
    uncertainty : float64 array, shape (strata,)
        Expected standard deviation of one outcome, sqrt(p (1 − p)).
    """
    neyman = strata.sizes * uncertainty
    total = neyman.sum()
    first = _first_weights(strata)
    weights = first if not total else KEPT_WEIGHT * first + (1 - KEPT_WEIGHT) * neyman / total
    return _shared_out(weights, strata.sizes, size, taken)


def draw(strata: Strata, allocation: Rows, *, seed: int, taken: Rows | None = None) -> ReviewSample:
    """The positions that an allocation takes and an earlier one did not.

    Parameters
    ----------
    allocation : int64 array, shape (strata,)
    seed : int
        Of the orders: the same for every extension of a sample.
    taken : int64 array, shape (strata,), optional
        The allocation before. Nothing when not given.

    Returns
    -------
    ReviewSample
        Strata are mixed evenly, so that the first half of the list is a sample of the whole ranking too.
    """
    before = np.zeros_like(strata.sizes) if taken is None else taken
    positions, numbers, turns = [], [], []
    for number, (start, size) in enumerate(zip(strata.edges.tolist(), strata.sizes.tolist(), strict=False)):
        low, high = int(before[number]), int(allocation[number])
        rng = np.random.default_rng([seed, number])
        # The whole order is drawn, whatever is taken of it: a larger sample then begins with the smaller one.
        chosen = start + rng.permutation(size)[low:high]
        positions.append(chosen)
        numbers.append(np.full(len(chosen), number))
        turns.append((np.arange(len(chosen)) + rng.random()) / max(1, len(chosen)))
    order = np.argsort(np.concatenate(turns), kind="stable")
    stratum = np.concatenate(numbers)[order].astype(np.int64)
    inclusion = (allocation / strata.sizes)[stratum]
    return ReviewSample(strata, np.concatenate(positions)[order].astype(np.int64), stratum, inclusion)


def _first_weights(strata: Strata) -> AnyArray:
    alike = np.full(len(strata.sizes), 1 / len(strata.sizes))
    return np.asarray(TOP_WEIGHT * alike + (1 - TOP_WEIGHT) * strata.sizes / strata.num_examples)


def _shared_out(weights: AnyArray, sizes: Rows, total: int, taken: Rows) -> Rows:
    """Whole numbers near total · weights, from `taken` up to `sizes`: one at a time to whoever lacks most."""
    total = min(total, int(sizes.sum()))
    given = taken.astype(np.int64).copy()
    for _ in range(max(0, total - int(given.sum()))):
        lacking = np.where(given < sizes, (given + 0.5) / np.maximum(weights, 1e-12), np.inf)
        given[int(lacking.argmin())] += 1
    return given
