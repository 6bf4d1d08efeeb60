"""The sample to review: known inclusion, nested, everywhere, denser at the top."""

from __future__ import annotations

import numpy as np
import pytest

from sondage.errors import InvalidInput
from sondage.tagging.review_sample import Strata, draw, first_allocation, next_allocation


@pytest.mark.parametrize("num_examples", [1, 7, 49, 51, 333, 2_000, 60_000, 1_281_167])
def test_strata_cover_the_ranking_once(num_examples: int) -> None:
    strata = Strata.over(num_examples)
    assert strata.edges[0] == 0
    assert strata.edges[-1] == num_examples
    assert (strata.sizes > 0).all()
    position = np.array([0, num_examples // 2, num_examples - 1])
    inside = strata.of(position)
    assert (strata.edges[inside] <= position).all()
    assert (position < strata.edges[inside + 1]).all()


def test_without_examples_there_are_no_strata() -> None:
    with pytest.raises(InvalidInput, match="no ranked example"):
        Strata.over(0)


@pytest.mark.parametrize(("num_examples", "size"), [(60_000, 100), (2_000, 100), (60, 100), (5_000, 250)])
def test_an_allocation_has_the_size_asked_for_and_takes_no_more_than_there_is(
    num_examples: int, size: int
) -> None:
    strata = Strata.over(num_examples)
    allocation = first_allocation(strata, size)
    assert allocation.sum() == min(size, num_examples)
    assert (allocation <= strata.sizes).all()
    assert (allocation > 0).all() or num_examples < size


def test_a_larger_sample_goes_on_where_the_smaller_one_ended() -> None:
    strata = Strata.over(10_000)
    first = first_allocation(strata, 100)
    second = next_allocation(strata, 200, first, np.linspace(0.5, 0.01, len(first)))
    assert (second >= first).all()
    assert second.sum() == 200
    small, more = draw(strata, first, seed=3), draw(strata, second, seed=3, taken=first)
    assert not set(small.position.tolist()) & set(more.position.tolist())
    at_once = draw(strata, second, seed=3)
    both = np.concatenate([small.position, more.position])
    assert set(at_once.position.tolist()) == set(both.tolist())


def test_an_extension_goes_where_outcomes_are_uncertain_and_everywhere_a_little() -> None:
    strata = Strata.over(10_000)
    first = first_allocation(strata, 100)
    uncertain = np.zeros(len(first))
    uncertain[8] = 0.5
    second = next_allocation(strata, 400, first, uncertain)
    assert second[8] > 200
    assert (np.delete(second, 8) >= 0.8 * 0.4 * np.delete(first_allocation(strata, 400), 8)).all()


def test_every_example_of_a_stratum_is_as_likely_as_its_inclusion_says() -> None:
    strata = Strata.over(400)
    allocation = first_allocation(strata, 60)
    drawn = np.zeros(400)
    for seed in range(2_000):
        sample = draw(strata, allocation, seed=seed)
        drawn[sample.position] += 1
    expected = (allocation / strata.sizes)[strata.of(np.arange(400))]
    deviation = (drawn / 2_000 - expected) / np.sqrt(expected * (1 - expected) / 2_000)
    assert np.abs(deviation).max() < 4.5
    assert sample.inclusion == pytest.approx(expected[sample.position])


def test_the_same_seed_draws_the_same_and_the_first_half_is_spread_too() -> None:
    strata = Strata.over(10_000)
    allocation = first_allocation(strata, 100)
    one, again, other = (draw(strata, allocation, seed=seed) for seed in (5, 5, 6))
    assert (one.position == again.position).all()
    assert not (one.position == other.position).all()
    half = np.bincount(one.stratum[:50], minlength=len(allocation))
    assert np.abs(half - allocation / 2).max() <= 1
