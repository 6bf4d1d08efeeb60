"""⑤ Pairs of labels that go one way among the worst examples: what one counts, here and nowhere else.

Classes that are merely alike are confused both ways. Where one is labelled as another by habit, the pair (given label,
class predicted most often beside it) is far more frequent among the worst examples than its reverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sondage.curves import NOT_SEEN
from sondage.types import AnyArray, Labels, Mask, Rows

SHARE_OF_SUSPECTS = 0.1
"""The worst examples, whose pairs are counted; more of them bring in hard examples that are right."""
STEEPNESS = 4.0
"""Of the border between suspects and others, per standard deviation."""
PRIOR_COUNT = 2.0
LEAST_LOG_RATIO = 1.5
"""A pair counts where it is e^1.5 = 4.5 times as frequent as its reverse: classes that are merely alike are confused in
both directions."""
LEAST_DEVIATIONS = 3.0
MOST_LISTED = 200
"""Pairs that a report keeps; there may be thousands where there are thousands of classes."""


@dataclass(frozen=True)
class OneWayPairs:
    """The pairs of some examples, counted among the suspects.

    Parameters
    ----------
    given, other : int64 arrays, shape (pairs,)
        Given label, and the class predicted most often beside it. Each pair's reverse is among them.
    num, num_reverse : float64 arrays, shape (pairs,)
        How many suspects have the pair, and how many its reverse. Suspects are told softly: no whole numbers.
    value : float64 array, shape (pairs,)
        Log ratio of the two, what lies beyond ±`LEAST_LOG_RATIO`, where it is beyond chance: above 0 for the frequent
        direction, below for its reverse, else 0.
    place : int64 array, shape (N,)
        Which pair each example has; −1 for none.
    """

    given: Rows
    other: Rows
    num: AnyArray
    num_reverse: AnyArray
    value: AnyArray
    place: Rows

    @classmethod
    def of(cls, given: Labels, other: Rows, suspicion: AnyArray) -> OneWayPairs:
        """Count.

        Parameters
        ----------
        given : int array, shape (N,)
        other : int64 array, shape (N,)
            −1 where there is none.
        suspicion : float array, shape (N,)
            Standardised; NaN for examples that are not counted.
        """
        at = np.full(len(given), -1, dtype=np.int64)
        counted = np.flatnonzero((other != NOT_SEEN) & np.isfinite(suspicion))
        if not len(counted):
            none, no_rows = np.zeros(0), np.zeros(0, dtype=np.int64)
            return cls(no_rows, no_rows, none, none, none, at)
        given, other = given[counted].astype(np.int64), other[counted]
        border = np.quantile(suspicion[counted], 1 - SHARE_OF_SUSPECTS)
        weight = 1 / (1 + np.exp(-STEEPNESS * (suspicion[counted] - border)))
        num_classes = int(max(given.max(), other.max())) + 1
        both = np.concatenate([given * num_classes + other, other * num_classes + given])
        codes, place = np.unique(both, return_inverse=True)
        forth = np.bincount(place[: len(given)], weight, minlength=len(codes))
        back = np.bincount(place[len(given) :], weight, minlength=len(codes))
        ratio, beyond_chance = _compared(forth, back)
        beyond = np.sign(ratio) * np.maximum(0, np.abs(ratio) - LEAST_LOG_RATIO)
        at[counted] = place[: len(given)]
        value = np.where(beyond_chance, beyond, 0.0)
        return cls(codes // num_classes, codes % num_classes, forth, back, value, at)

    @property
    def of_examples(self) -> AnyArray:
        """The value of each example's pair, shape (N,); 0 for those without one."""
        out = np.zeros(len(self.place))
        there = self.place >= 0
        out[there] = self.value[self.place[there]]
        return out

    def to_dict(self) -> dict[str, Any]:
        """The frequent directions of those that go one way, at most 200, the most frequent first. JSON-able."""
        counted = np.flatnonzero(self.value > 0)
        order = counted[np.argsort(-self.num[counted], kind="stable")][:MOST_LISTED]
        return {
            "num": len(counted),
            "num_left_out": len(counted) - len(order),
            "listed": [
                {
                    "given": int(self.given[i]),
                    "other": int(self.other[i]),
                    "value": round(float(self.value[i]), 3),
                    "num": round(float(self.num[i]), 1),
                    "num_reverse": round(float(self.num_reverse[i]), 1),
                }
                for i in order.tolist()
            ],
        }


def one_way_pairs(given: Labels, other: Rows, suspicion: AnyArray) -> AnyArray:
    """The value of each example's pair (`OneWayPairs`), shape (N,)."""
    return OneWayPairs.of(given, other, suspicion).of_examples


def goes_one_way(num: float, num_reverse: float) -> bool:
    """Does a pair of these numbers go one way?"""
    ratio, beyond_chance = _compared(np.array([num], np.float64), np.array([num_reverse], np.float64))
    return bool(beyond_chance[0] and ratio[0] > LEAST_LOG_RATIO)


def _compared(num: AnyArray, num_reverse: AnyArray) -> tuple[AnyArray, Mask]:
    """Log ratio of the two, and whether their difference is beyond chance. Shapes (pairs,)."""
    ratio = np.log((num + PRIOR_COUNT) / (num_reverse + PRIOR_COUNT))
    deviations = np.abs(num - num_reverse) / np.sqrt(np.maximum(num + num_reverse, 1e-9))
    return ratio, np.asarray(deviations > LEAST_DEVIATIONS)
