"""⑤ Does the suite fit these runs? What speaks against it, as warnings that say what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sondage.probes.suite import Category
from sondage.tagging.reference import roughness
from sondage.tagging.shares import least_difference
from sondage.types import AnyArray, Rows

LEAST_GAIN = 0.1
"""A category is told apart if its probes get their tag more often than those of any other category do, by more than so
much, at the lower end of a 95 % bound: a filter on a tag that says less than that is no filter."""
FEW_HELD_OUT = 20
FEWEST_TESTED = 5
"""Held-out probes of a category; of fewer nothing is said but that they are too few."""
FEW_EPOCHS = 5
MAY_DIFFER = ("seed", "name", "slot")
"""Between runs of one tagging: what a user may say in a protocol of their own."""


@dataclass(frozen=True)
class Separability:
    """How well one category is told from the one that is most like it, on held-out probes.

    Parameters
    ----------
    category : str
    num : int
        Its held-out probes.
    recall : float
        Share of them with its tag.
    like : str
        The other category whose probes get this tag most often.
    chance : float
        Share of these with this tag: what the tag is worth, if the two cannot be told apart.
    gain : float
        Lower bound (95 %, one-sided) of `recall` less `chance`.
    confused_with : str
        The category that it is taken for, or that is taken for it, most often.
    share_taken : float
        Of its own probes for that one.
    """

    category: str
    num: int
    recall: float
    like: str
    chance: float
    gain: float
    confused_with: str
    share_taken: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "category": self.category,
            "num_held_out": self.num,
            "recall": self.recall,
            "like": self.like,
            "chance": self.chance,
            "least_gain": self.gain,
            "confused_with": self.confused_with,
            "share_taken": self.share_taken,
        }

    @property
    def warning(self) -> str | None:
        if self.gain > LEAST_GAIN or self.num < FEWEST_TESTED:
            return None
        return (
            f"Category {self.category} is hardly told apart: {self.recall:.0%} of its {self.num} held-out probes get "
            f"its tag, and {self.chance:.0%} of the {self.like} probes do. It is confused most with "
            f"{self.confused_with}, for which {self.share_taken:.0%} of its probes are taken: read these two tags as "
            "one. More probes, more epochs or probes that differ more may part them."
        )


def separability(confusion: AnyArray, names: Sequence[str]) -> list[Separability]:
    """Per category with held-out probes, where there are others to compare them with.

    Parameters
    ----------
    confusion : int64 array, shape (categories, categories)
        Numbers of held-out probes: row, what it is; column, its tag.
    """
    tested = [number for number, row in enumerate(confusion) if row.sum()]
    if len(tested) < 2:
        return []
    return [_separability(confusion, names, number, tested) for number in tested]


def _separability(
    confusion: AnyArray, names: Sequence[str], number: int, tested: Sequence[int]
) -> Separability:
    own, nums = confusion[number], confusion.sum(axis=1)
    others = [other for other in tested if other != number]
    like = max(others, key=lambda other: confusion[other, number] / nums[other])
    confused = max(
        others, key=lambda other: own[other] / nums[number] + confusion[other, number] / nums[other]
    )
    return Separability(
        category=names[number],
        num=int(nums[number]),
        recall=float(own[number] / nums[number]),
        like=names[like],
        chance=float(confusion[like, number] / nums[like]),
        gain=least_difference(
            int(own[number]), int(nums[number]), int(confusion[like, number]), int(nums[like])
        ),
        confused_with=names[confused],
        share_taken=float(own[confused] / nums[number]),
    )


def too_few(num_held_out: Mapping[str, int]) -> list[str]:
    """Where the smallest category has few held-out probes, over all runs."""
    name, smallest = min(num_held_out.items(), key=lambda item: item[1])
    if smallest >= FEW_HELD_OUT:
        return []
    return [
        f"The smallest category, {name}, has {smallest} held-out probes: its precision and recall say little. "
        f"{FEW_HELD_OUT} at least are needed: more train examples, a larger count in the suite, or more known examples."
    ]


def too_short(num_epochs: int, settling: Mapping[str, Any]) -> list[str]:
    """Where the curves have few epochs, or the tags still changed at the end."""
    if num_epochs < FEW_EPOCHS:
        return [
            f"Fewer than {FEW_EPOCHS} epochs: curves this short tell categories apart poorly. Train longer, with "
            f"{FEW_EPOCHS} epochs at least."
        ]
    if settling["settled_after"] is not None or len(settling["share_equal"]) < 2:
        return []
    changed = 1 - settling["share_equal"][-2]
    return [
        f"Tags had not settled after {settling['num_epochs']} epochs: between {settling['epochs'][-2]} epochs and the "
        f"last, {changed:.0%} of them changed. Train longer, or lean on the order of the list and on reviews rather "
        "than on single tags."
    ]


def mixed(setups: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Where runs of one tagging were not recorded or trained alike.

    Parameters
    ----------
    setups : sequence of (name, mapping)
        What each run was: fields of its protocol and recipe. With one that says nothing at all, nothing is compared.
    """
    told = [(name, setup) for name, setup in setups if setup]
    fields = dict.fromkeys(field for _, setup in told for field in setup if field not in MAY_DIFFER)
    differing = [field for field in fields if len({str(setup.get(field)) for _, setup in told}) > 1]
    if not differing:
        return []
    said = [_values(field, told) for field in differing[:4]]
    more = f" and {len(differing) - 4} fields more" if len(differing) > 4 else ""
    return [
        f"The runs were not made alike: {'; '.join(said)}{more}. Their curves mean different things, and votes are "
        "averaged as if they did not. Tag them one by one, or train seeds of one recipe together."
    ]


def _values(field: str, setups: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    by_value: dict[str, list[str]] = {}
    for name, setup in setups:
        by_value.setdefault(str(setup.get(field, "not said")), []).append(name)
    return f"{field} is " + ", ".join(f"{value} ({_some(names)})" for value, names in by_value.items())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def started_singly(displaced: Sequence[Rows]) -> list[str]:
    """Of the displaced examples of each run: runs started together displace different ones, singly the same."""
    times = np.unique(np.concatenate([np.unique(of_run) for of_run in displaced]), return_counts=True)[1]
    if len(displaced) < 2 or not (times > 1).any():
        return []
    return [
        f"{int((times > 1).sum())} examples are displaced in more than one run, {int((times == len(displaced)).sum())} "
        "of them in every one, which leaves these without a tag from training: the runs were started one by one. Start "
        "all seeds together, and each displaces other examples."
    ]


def few_neighbours(ks: Sequence[int]) -> list[str]:
    """Of the k of each run."""
    warning = roughness(min(ks))
    return [] if warning is None else [warning]


def says_nothing(categories: Sequence[Category]) -> list[str]:
    """Of wrong labels."""
    if any(category.wrong_label for category in categories):
        return []
    return ["No category stands for wrong labels, so the suspicion says nothing of them: add noisy probes."]
