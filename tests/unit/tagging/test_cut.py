"""From thresholds to tags."""

from __future__ import annotations

import numpy as np
import pytest

from sondage.probes.suite import Category
from sondage.tagging.cut import Cut, cut_at, tags_at

CATEGORIES = (Category("easy", wrong_label=False), Category("noisy", wrong_label=True))


def _estimate(probability: list[float], **more: object) -> dict[str, object]:
    num = len(probability)
    place = [(at + 0.5) / num for at in range(num)]
    curve = {"place": place, "probability": probability, "low": probability, "high": probability}
    return {"curve": curve, **more}


def test_what_is_above_the_threshold_is_cut_off_with_its_expected_precision_and_recall() -> None:
    found = cut_at(_estimate([0.9, 0.7, 0.5, 0.1]), 0.5, 4)
    assert found.ranges == ((0, 2),)
    assert found.precision == pytest.approx(0.8)
    assert found.recall == pytest.approx(1.6 / 2.2)
    assert cut_at(_estimate([0.9, 0.7, 0.5, 0.1]), 0.95, 4) == Cut(0.95, (), 0, recall=0.0)


def test_a_curve_that_rises_again_gives_two_ranges() -> None:
    """Reviews may say that the very top is right: foreign inputs lie there."""
    found = cut_at(_estimate([0.1, 0.9, 0.2, 0.8]), 0.5, 4)
    assert found.ranges == ((1, 2), (3, 4))
    assert found.holds(np.arange(5)).tolist() == [False, True, False, True, False]


def test_probes_that_do_not_fit_give_a_range_and_votes_give_nothing() -> None:
    unfit = cut_at(_estimate([0.6, 0.2], method="probes", is_uniform=False), 0.5, 2)
    assert (unfit.precision, unfit.recall, unfit.precision_low) == (None, None, 0.6)
    assert cut_at(_estimate([0.6, 0.2], method="votes"), 0.5, 2) == Cut(0.5, ((0, 1),), 1)
    fit = cut_at(_estimate([0.6, 0.2], method="probes", is_uniform=True), 0.5, 2)
    assert fit.precision == 0.6


def test_another_category_needs_half_of_the_votes_and_else_nothing_is_sure() -> None:
    nan = np.nan
    votes = np.array([[0.9, 0.1], [0.5, 0.5], [0.4, 0.6], [nan, nan]], dtype=np.float32)
    position, ranked = np.arange(4), np.array([True, True, True, False])
    nobody = Cut(0.5, (), 0)
    assert tags_at(nobody, position, ranked, votes, CATEGORIES).tolist() == [0, 0, -1, -1]
    first = Cut(0.5, ((0, 1), (3, 4)), 2)
    assert tags_at(first, position, ranked, votes, CATEGORIES).tolist() == [1, 0, -1, -1]
    assert tags_at(first, position, ranked, votes, CATEGORIES[:1] * 2).tolist() == [0, 0, 1, -1]
