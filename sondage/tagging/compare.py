"""⑤ Two taggings of the same examples: which tags changed, how alike the two lists are, what moved most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sondage.errors import InvalidInput
from sondage.probes.suite import UNSURE
from sondage.types import AnyArray, Mask, Rows

TOPS = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000)
"""Lengths of top lists; those up to half of the list are compared: beyond it two lists cannot but overlap."""


@dataclass(frozen=True)
class TagList:
    """What one tagging says, example by example.

    Parameters
    ----------
    categories : sequence of str
        What the numbers in `tag` stand for; −1 is `unsure`.
    index : int array, shape (n,)
        Of the examples, ascending.
    tag : int array, shape (n,)
    position : int array, shape (n,)
        Place in the suspicious list, 0 worst.
    ranked : bool array, shape (n,)
        False where there is no suspicion: the place says nothing then.
    """

    categories: Sequence[str]
    index: Rows
    tag: AnyArray
    position: Rows
    ranked: Mask

    @property
    def names(self) -> tuple[str, ...]:
        """Of the tags, `unsure` last."""
        return (*self.categories, UNSURE)

    def take(self, places: AnyArray) -> TagList:
        return TagList(
            self.categories,
            self.index[places],
            self.tag[places],
            self.position[places],
            self.ranked[places],
        )


@dataclass(frozen=True)
class Overlap:
    """Of the first `n` of both lists so many are the same; `expected` of two lists that know nothing of each other."""

    n: int
    num_common: int
    expected: float


@dataclass(frozen=True)
class Comparison:
    """Two taggings held against each other.

    Parameters
    ----------
    num_examples : int
        Tagged by both.
    counts : int64 array, shape (tags of the first, tags of the second)
        Numbers of examples; rows and columns as in `TagList.names`.
    num_same : int
        Examples with one tag in both, by its name.
    num_ranked : int
        With a suspicion in both.
    rank_correlation : float or None
        Spearman's, −1…1, of the places of the ranked ones; 1 is the same order. None of fewer than two.
    overlaps : tuple of Overlap
    """

    num_examples: int
    counts: AnyArray
    num_same: int
    num_ranked: int
    rank_correlation: float | None
    overlaps: tuple[Overlap, ...]


def in_common(first: TagList, second: TagList) -> tuple[TagList, TagList]:
    """The examples that both have tagged, in one order.

    Raises
    ------
    InvalidInput
        There are none.
    """
    _, here, there = np.intersect1d(first.index, second.index, assume_unique=True, return_indices=True)
    if not len(here):
        raise InvalidInput("The two taggings have no example in common: are they of one dataset version?")
    return first.take(here), second.take(there)


def compare(first: TagList, second: TagList) -> Comparison:
    """Hold two taggings of the same examples (`in_common`) against each other."""
    rows, columns = len(first.names), len(second.names)
    codes = (first.tag.astype(np.int64) % rows) * columns + second.tag.astype(np.int64) % columns
    counts = np.bincount(codes, minlength=rows * columns).reshape(rows, columns)
    same = [[one == other for other in second.names] for one in first.names]
    here, there = _places(first, second)
    return Comparison(
        num_examples=len(first.index),
        counts=counts,
        num_same=int(counts[np.array(same)].sum()),
        num_ranked=len(here),
        rank_correlation=_rank_correlation(here, there),
        overlaps=tuple(_overlap(here, there, n) for n in TOPS if 2 * n <= len(here)),
    )


def moved_most(first: TagList, second: TagList) -> Rows:
    """The examples of two taggings (`in_common`) by how far they moved, furthest first. Shape (n,), places in them.

    By the ratio of the places: from place 10 to 1,000 is further than from 40,000 to 60,000, since it is the top of a
    list that people read. Those without a suspicion in either have not moved and come last; ties by index.
    """
    distance = np.full(len(first.index), -1.0)
    ranked = first.ranked & second.ranked
    here, there = _places(first, second)
    distance[ranked] = (np.maximum(here, there) + 1) / (np.minimum(here, there) + 1)
    return np.lexsort((first.index, -distance))


def _places(first: TagList, second: TagList) -> tuple[Rows, Rows]:
    """Places among the examples that are ranked in both, without gaps, 0 worst."""
    ranked = first.ranked & second.ranked
    return _ranks(first.position[ranked]), _ranks(second.position[ranked])


def _ranks(position: Rows) -> Rows:
    ranks = np.empty(len(position), dtype=np.int64)
    ranks[np.argsort(position, kind="stable")] = np.arange(len(position))
    return ranks


def _rank_correlation(here: Rows, there: Rows) -> float | None:
    """Places have no ties, so that the short formula holds."""
    n = len(here)
    if n < 2:
        return None
    squares = float(((here - there).astype(np.float64) ** 2).sum())
    return 1 - 6 * squares / (n * (float(n) ** 2 - 1))


def _overlap(here: Rows, there: Rows, n: int) -> Overlap:
    return Overlap(n, int(((here < n) & (there < n)).sum()), n * n / len(here))
