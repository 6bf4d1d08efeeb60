"""Wrong labels of which the truth is known: nine families and rates, each with its formula, exact count and seed.

y is the true label, C the number of classes, N of examples, k = round(rate · N) the number of labels to set wrong,
p_i(c) what a labeller says (`benchmarks.truth_parts.labellers`, out of sample). Every generator draws from
`default_rng([seed, crc32(data set), crc32(noise)])`, and labellers are seeded by the cell's seed too. With two classes
a wrong label is the other one: pairs are uniform flips then, and second choices the only ones.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.truth_parts.labellers import ANNOTATORS, WEAK, judge
from benchmarks.truth_parts.rows import DataRow
from sondage.types import AnyArray, Labels, Mask, Rows
from worker.data.noise import plant_noise


@dataclass(frozen=True)
class Noise:
    """A way of setting labels wrong: `make(row, seed)` gives the given labels, int64 (N,)."""

    name: str
    rate: float
    make: Callable[[DataRow, int], Labels]

    def __call__(self, row: DataRow, seed: int) -> Labels:
        return self.make(row, seed)


def uniform(row: DataRow, seed: int, *, rate: float) -> Labels:
    """k rows at random, all alike; each gets one of the C − 1 other classes, all alike. Exactly k are wrong."""
    everywhere = np.ones(len(row), dtype=bool)
    name = f"uniform-{rate}"
    return plant_noise(
        row.labels, everywhere, row.num_classes, rate, int(_rng(row, name, seed).integers(2**31))
    )[0]


def pairs(row: DataRow, seed: int, *, rate: float) -> Labels:
    """k rows at random, all alike; y becomes (y + 1) mod C, in the data set's order of classes. Exactly k are wrong."""
    chosen = _rng(row, f"pairs-{rate}", seed).permutation(len(row))[: _count(row, rate)]
    given = row.labels.copy()
    given[chosen] = (given[chosen] + 1) % row.num_classes
    return given


def instance(row: DataRow, seed: int, *, rate: float) -> Labels:
    """Labels drawn from a weak model of another architecture that was trained on other data.

    The odds of the true class are multiplied by one number e^b for all rows, q_i(y) / (1 − q_i(y)) = e^b p_i(y) /
    (1 − p_i(y)), with the b for which Σ_i (1 − q_i(y_i)) = k. Which rows are wrong is drawn by systematic sampling of a
    random order with the inclusion probabilities 1 − q_i(y_i), so that each row is wrong as often as q_i says, and
    exactly k are. The wrong label is drawn from p_i off the true class.
    """
    rng = _rng(row, f"instance-{rate}", seed)
    said = judge(row, WEAK[row.modality], seed)
    own = np.arange(len(row)), row.labels
    chosen = systematic_sample(wrong_chances(said[own], _count(row, rate)), _count(row, rate), rng)
    said[own] = 0.0
    given = row.labels.copy()
    given[chosen] = _draw(said[chosen], rng)
    return given


def hardest(row: DataRow, seed: int, *, rate: float) -> Labels:
    """The k rows of least margin log p_i(y) − max_{c≠y} log p_i(c) of the weak model get its likeliest other class."""
    others = np.log(judge(row, WEAK[row.modality], seed))
    own = np.arange(len(row)), row.labels
    of_own = others[own]
    others[own] = -np.inf
    chosen = np.argsort(of_own - others.max(axis=1), kind="stable")[: _count(row, rate)]
    given = row.labels.copy()
    given[chosen] = others[chosen].argmax(axis=1)
    return given


def annotators(row: DataRow, seed: int, *, rate: float) -> Labels:
    """Three labellers of different architectures and slices each give their likeliest class; the worst vote counts.

    Each labeller looks closely, and is right, at a row whose uniform number u_ia is below its care, else it says what
    its model says. Where any of the three is wrong, the given label is that of the first wrong one in a random order of
    them (as in the "worst" labels of CIFAR-10N, Wei et al. 2022). Care is one number for all: the least with which
    at most k rows are wrong; 0, and fewer than k wrong, where the labellers are good.
    """
    rng = _rng(row, f"annotators-{rate}", seed)
    models = ANNOTATORS[row.modality]
    said = np.stack(
        [judge(row, build, seed, number).argmax(axis=1) for number, build in enumerate(models)], axis=1
    )
    order = rng.permuted(np.tile(np.arange(len(models)), (len(row), 1)), axis=1)
    said = np.take_along_axis(said, order, axis=1)
    closeness = np.where(said == row.labels[:, None], -1.0, rng.random(said.shape))
    # A row stays wrong as long as care is at most the largest number of its wrong labellers.
    ranked = np.argsort(-closeness.max(axis=1), kind="stable")
    num_wrong = min(_count(row, rate), int((closeness.max(axis=1) >= 0).sum()))
    care = closeness.max(axis=1)[ranked[num_wrong - 1]] if num_wrong else np.inf
    wrong = closeness >= care
    given = row.labels.copy()
    rows = np.flatnonzero(wrong.any(axis=1))
    given[rows] = said[rows, wrong[rows].argmax(axis=1)]
    return given


def clean(row: DataRow, seed: int) -> Labels:
    """The published labels."""
    return row.labels.copy()


NOISES = {
    noise.name: noise
    for noise in (
        Noise("uniform20", 0.20, partial(uniform, rate=0.20)),
        Noise("pairs20", 0.20, partial(pairs, rate=0.20)),
        Noise("instance20", 0.20, partial(instance, rate=0.20)),
        Noise("instance40", 0.40, partial(instance, rate=0.40)),
        Noise("uniform40", 0.40, partial(uniform, rate=0.40)),
        Noise("annotators", 0.20, partial(annotators, rate=0.20)),
        Noise("hardest20", 0.20, partial(hardest, rate=0.20)),
        Noise("uniform05", 0.05, partial(uniform, rate=0.05)),
        Noise("clean", 0.0, clean),
    )
}
"""In the order in which they are trained. Our own probes are made by uniform flips; hardest-first and annotators are
what no generator of the product does."""


def wrong_chances(of_own: AnyArray, num_wrong: int) -> AnyArray:
    """1 − q_i(y_i) of every row, which sum to `num_wrong`; b is bisected.

    Parameters
    ----------
    of_own : float array, shape (N,)
        p_i(y_i), above 0 and below 1.
    num_wrong : int
        More than 0, fewer than N.
    """
    odds = np.log(of_own) - np.log1p(-of_own)
    low, high = -40.0, 40.0
    for _ in range(100):
        shift = (low + high) / 2
        too_many = (1.0 / (1.0 + np.exp(odds + shift))).sum() > num_wrong
        low, high = (shift, high) if too_many else (low, shift)
    return np.asarray(1.0 / (1.0 + np.exp(odds + (low + high) / 2)))


def systematic_sample(chances: AnyArray, count: int, rng: np.random.Generator) -> Rows:
    """Exactly `count` rows, each with its chance; the chances lie in [0, 1] and sum to `count`.

    Source: Madow 1949, systematic sampling with unequal probabilities, of a random order.
    """
    order = rng.permutation(len(chances))
    reach = np.cumsum(chances[order])
    reach *= count / reach[-1]
    marks = np.arange(count) + rng.random()
    places = np.minimum(np.searchsorted(reach, marks, side="right"), len(order) - 1)
    return np.asarray(order[places], dtype=np.int64)


def wrong_labels(given: Labels, truth: Labels) -> Mask:
    return np.asarray(given != truth)


def _draw(weights: AnyArray, rng: np.random.Generator) -> Labels:
    """One column per row, with chances in proportion to the weights."""
    reach = np.cumsum(weights, axis=1)
    marks = rng.random(len(weights)) * reach[:, -1]
    return np.asarray((reach <= marks[:, None]).sum(axis=1), dtype=np.int64)


def _count(row: DataRow, rate: float) -> int:
    return round(rate * len(row))


def _rng(row: DataRow, noise: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(row.name.encode()), zlib.crc32(noise.encode())])
