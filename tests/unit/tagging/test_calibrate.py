"""What reviews say: against exact answers where there are any, and intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest

from sondage.errors import InvalidInput
from sondage.tagging.calibrate import ReviewCalibration, calibrate_by_reviews
from sondage.tagging.review_model import NUM_DRAWS, curves, fit
from sondage.tagging.review_sample import Strata, draw, first_allocation


def _reviewed(wrong: np.ndarray, size: int = 100, seed: int = 0) -> ReviewCalibration:
    strata = Strata.over(len(wrong))
    position = draw(strata, first_allocation(strata, size), seed=seed).position
    return calibrate_by_reviews(strata, position, wrong[position], seed=seed)


def _ranking(rng: np.random.Generator, num: int, share: float, shift: float) -> np.ndarray:
    wrong = np.arange(num) < share * num
    return wrong[np.argsort(-(rng.standard_normal(num) + shift * wrong))]


def test_a_ranking_with_errors_is_counted() -> None:
    wrong = _ranking(np.random.default_rng(0), 10_000, 0.2, 3)
    found = _reviewed(wrong, 200)
    share, top, all_of_it = found.share_wrong(), found.precision(500), found.precision(10_000)
    assert share.low < 0.2 < share.high
    assert share.high - share.low < 0.08
    assert top.value > 0.9
    assert share == all_of_it
    probability = found.probability_wrong(np.arange(10_000))
    assert probability.mean() == pytest.approx(share.value, abs=0.005)
    assert probability[:100].mean() > 0.9
    assert probability[5_000:].mean() < 0.05


def test_intervals_hold_about_as_often_as_they_say() -> None:
    held = []
    for seed in range(60):
        wrong = _ranking(np.random.default_rng(seed), 4_000, 0.2, 2)
        found = _reviewed(wrong, seed=seed)
        for k in (4_000, 800):
            estimate = found.precision(k)
            held.append(estimate.low <= wrong[:k].mean() <= estimate.high)
    assert 0.8 < np.mean(held) < 0.98


def test_clean_data_may_have_no_error_at_all() -> None:
    share = _reviewed(np.zeros(5_000, dtype=bool)).share_wrong()
    assert share.low == 0
    assert share.high < 0.03


def test_data_that_are_all_wrong_may_have_no_right_label() -> None:
    share = _reviewed(np.ones(5_000, dtype=bool)).share_wrong()
    assert share.high == 1
    assert share.low > 0.9


def test_a_whole_review_leaves_nothing_to_guess() -> None:
    wrong = np.random.default_rng(0).random(80) < 0.3
    found = calibrate_by_reviews(Strata.over(80), np.arange(80), wrong)
    share = found.share_wrong()
    assert share.value == pytest.approx(wrong.mean())
    assert share.low == pytest.approx(share.high)


def test_without_reviews_everything_is_possible() -> None:
    found = calibrate_by_reviews(Strata.over(1_000), np.zeros(0, np.int64), np.zeros(0, bool))
    share = found.share_wrong()
    assert (share.low, share.high) == (0, 1)


def test_the_same_reviews_give_the_same_numbers_in_any_order() -> None:
    wrong = _ranking(np.random.default_rng(1), 3_000, 0.1, 2)
    strata = Strata.over(3_000)
    position = draw(strata, first_allocation(strata, 100), seed=0).position
    one = calibrate_by_reviews(strata, position, wrong[position]).share_wrong()
    again = calibrate_by_reviews(strata, position[::-1], wrong[position[::-1]]).share_wrong()
    assert one == again


def test_the_sampler_finds_the_posterior_that_importance_weights_give() -> None:
    """Against plain weights on very many draws of the prior: slow, without moves and powers, and exact in the limit."""
    place = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.6, 0.8, 0.9])
    wrong = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0, 0], dtype=bool)
    asked = np.array([0.015, 0.15, 0.4, 0.85])
    prior = [fit(np.zeros(0), np.zeros(0, bool), seed=seed).parameters for seed in range(150)]
    draws = np.concatenate(prior)
    chance = curves(draws, place)
    weights = np.where(wrong, chance, 1 - chance).prod(axis=1)
    expected = weights @ curves(draws, asked) / weights.sum()
    found = np.mean([fit(place, wrong, seed=seed).curves(asked).mean(axis=0) for seed in range(8)], axis=0)
    assert len(draws) == 150 * NUM_DRAWS
    assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("position", "wrong", "message"),
    [
        ([1, 1], [True, False], "may come once"),
        ([1, 2], [True], "needs one outcome"),
        ([100], [True], "outside of the ranking"),
        ([-1], [True], "outside of the ranking"),
    ],
)
def test_reviews_that_cannot_be_are_refused(position: list[int], wrong: list[bool], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        calibrate_by_reviews(Strata.over(100), np.array(position), np.array(wrong))


@pytest.mark.parametrize("k", [0, 101])
def test_a_list_longer_than_the_ranking_is_refused(k: int) -> None:
    with pytest.raises(InvalidInput, match="k is"):
        _reviewed(np.zeros(100, dtype=bool), 20).precision(k)
