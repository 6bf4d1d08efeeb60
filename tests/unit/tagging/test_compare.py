"""Two taggings held against each other: matrix, rank correlation, top lists, what moved most."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from sondage.errors import InvalidInput
from sondage.tagging.compare import TagList, compare, in_common, moved_most

NAMES = ("prototypical", "noisy")


def tag_list(tag, position, *, index=None, ranked=None, categories=NAMES) -> TagList:
    num = len(tag)
    return TagList(
        categories,
        np.arange(num) if index is None else np.array(index),
        np.array(tag, dtype=np.int16),
        np.array(position),
        np.ones(num, bool) if ranked is None else np.array(ranked),
    )


def test_a_tagging_is_like_itself() -> None:
    rng = np.random.default_rng(0)
    one = tag_list(rng.integers(-1, 2, 60), rng.permutation(60))
    found = compare(one, one)
    assert found.num_same == found.num_examples == found.num_ranked == 60
    assert found.rank_correlation == 1
    assert [(top.n, top.num_common) for top in found.overlaps] == [(10, 10), (20, 20)]
    assert (found.counts == np.diag(np.diag(found.counts))).all()


def test_counts_are_those_of_a_slow_loop_also_with_other_categories() -> None:
    rng = np.random.default_rng(1)
    first = tag_list(rng.integers(-1, 2, 200), rng.permutation(200))
    second = tag_list(rng.integers(-1, 3, 200), rng.permutation(200), categories=("noisy", "ood", "mine"))
    found = compare(first, second)
    wanted = np.zeros((3, 4), dtype=int)
    for one, other in zip(first.tag, second.tag, strict=True):
        wanted[one, other] += 1
    np.testing.assert_array_equal(found.counts, wanted)
    # `noisy` is number 1 here and 0 there; `unsure` is the last of both.
    assert found.num_same == wanted[1, 0] + wanted[2, 3]


def test_the_rank_correlation_is_spearmans_over_what_both_have_ranked() -> None:
    rng = np.random.default_rng(2)
    places = rng.permutation(300)
    noisy = np.argsort(np.argsort(places + rng.normal(0, 60, 300)))
    ranked = rng.random(300) < 0.8
    found = compare(tag_list([0] * 300, places, ranked=ranked), tag_list([0] * 300, noisy))
    assert found.num_ranked == ranked.sum()
    assert found.rank_correlation == pytest.approx(spearmanr(places[ranked], noisy[ranked]).statistic)


def test_top_lists_and_what_chance_would_give() -> None:
    places = np.arange(40)
    swapped = places.copy()
    swapped[:10], swapped[30:] = places[30:], places[:10]
    found = compare(tag_list([0] * 40, places), tag_list([0] * 40, swapped))
    assert [(top.n, top.num_common, top.expected) for top in found.overlaps] == [
        (10, 0, 2.5),
        (20, 10, 10),
    ]


def test_what_moved_from_the_top_comes_first_and_what_is_not_ranked_last() -> None:
    places = np.arange(1000)
    moved = places.copy()
    moved[[2, 400]] = moved[[400, 2]]  # from the top, and to it
    moved[[700, 900]] = moved[[900, 700]]  # within the tail
    ranked = places != 5
    order = moved_most(tag_list([0] * 1000, places, ranked=ranked), tag_list([0] * 1000, moved))
    assert order[:4].tolist() == [2, 400, 700, 900]
    assert order[-1] == 5


def test_only_what_both_have_tagged_is_compared() -> None:
    first = tag_list([0, 1, 1], [2, 1, 0], index=[3, 5, 9])
    second = tag_list([1, 1], [0, 1], index=[5, 8])
    here, there = in_common(first, second)
    assert (here.index.tolist(), there.index.tolist()) == ([5], [5])
    assert compare(here, there).rank_correlation is None
    with pytest.raises(InvalidInput, match="no example in common"):
        in_common(first, tag_list([0], [0], index=[1]))
