"""⑤ From a threshold to tags: which places of the ranking are tagged as wrong, and how sure that is.

P(wrong) along the ranking is kept with a tagging, so another threshold needs no new tagging. The same function serves
the worker, the lists, the files and the slider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sondage.probes.suite import Category
from sondage.types import AnyArray, Mask, Probabilities

THRESHOLD = 0.5
"""Tagged as wrong is what is more likely wrong than right."""
LEAST_SHARE = 0.5
"""Of the votes, for a tag of another category: half of them."""
NO_TAG = -1


@dataclass(frozen=True)
class Cut:
    """The examples that are tagged as wrong at one threshold.

    Parameters
    ----------
    threshold : float
        P(wrong) above it.
    ranges : tuple of (first, end)
        Positions of the ranking, `end` not included; one range where P(wrong) falls along the ranking.
    num : int
        How many positions that is.
    precision, precision_low, precision_high : float or None
        Expected share of wrong labels among them; the interval, or the range over families of errors.
    recall : float or None
        Expected share of all wrong labels that are among them.
    """

    threshold: float
    ranges: tuple[tuple[int, int], ...]
    num: int
    precision: float | None = None
    precision_low: float | None = None
    precision_high: float | None = None
    recall: float | None = None

    def holds(self, position: AnyArray) -> Mask:
        """Which positions are in it. Shape of `position`."""
        edges = np.array([edge for one in self.ranges for edge in one], dtype=np.int64)
        return np.asarray(np.searchsorted(edges, np.asarray(position), side="right") % 2 == 1)


def cut_at(estimate: Mapping[str, Any], threshold: float, num_ranked: int) -> Cut:
    """Where an estimate along the ranking is above a threshold.

    Parameters
    ----------
    estimate : mapping
        `curve` with `place`, `probability`, `low` and `high`, as `sondage.tagging.wrong_labels.estimate` and
        `sondage.tagging.calibration_summary.summarise` keep it; `method` and, from probes, `is_uniform`.
    threshold : float
        0…1.
    num_ranked : int
        N, examples with a suspicion.
    """
    curve = estimate["curve"]
    place = (np.arange(num_ranked) + 0.5) / max(1, num_ranked)
    chance = np.interp(place, curve["place"], curve["probability"])
    inside = chance > threshold
    ranges = _ranges(inside)
    num = int(inside.sum())
    if estimate.get("method") == "votes":
        return Cut(threshold, ranges, num)
    low, high = (np.interp(place, curve["place"], curve[name]) for name in ("low", "high"))
    told = estimate.get("method", "reviews") == "reviews" or bool(estimate.get("is_uniform"))
    total = float(chance.sum())
    return Cut(
        threshold,
        ranges,
        num,
        precision=_mean(chance, inside) if told else None,
        precision_low=_mean(low, inside),
        precision_high=_mean(high, inside),
        recall=float(chance[inside].sum()) / total if told and total > 0 else None,
    )


def tags_at(
    cut: Cut,
    position: AnyArray,
    ranked: Mask,
    probabilities: Probabilities,
    categories: Sequence[Category],
) -> AnyArray:
    """Number of each example's category: one for wrong labels within the cut, else one with half of the votes, or none.

    Parameters
    ----------
    position : int array, shape (N,)
    ranked : bool array, shape (N,)
        Has a suspicion.
    probabilities : float array, shape (N, categories)
        Shares of votes; NaN rows where there are none.

    Returns
    -------
    int16 array, shape (N,)
        −1 is `unsure`.
    """
    wrong = np.array([bool(category.wrong_label) for category in categories])
    votes = np.where(np.isnan(probabilities), 0.0, probabilities)
    others = np.where(wrong, 0.0, votes)
    best = others.argmax(axis=1)
    tag = np.where(others.max(axis=1, initial=0.0) >= LEAST_SHARE, best, NO_TAG)
    if wrong.any():
        as_wrong = np.where(wrong, votes, -1.0).argmax(axis=1)
        tag = np.where(ranked & cut.holds(position), as_wrong, tag)
    return np.asarray(tag, dtype=np.int16)


def _ranges(inside: Mask) -> tuple[tuple[int, int], ...]:
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    return tuple(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _mean(values: AnyArray, inside: Mask) -> float | None:
    return float(values[inside].mean()) if inside.any() else None
