"""Metrics against slow loops, with ties."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from benchmarks.truth_parts.metrics import figures, precision_at, recall_at_precision


def thresholds(suspicion: np.ndarray, wrong: np.ndarray):
    for cut in sorted(set(suspicion.tolist()), reverse=True):
        chosen = suspicion >= cut
        yield wrong[chosen].mean(), wrong[chosen].sum() / wrong.sum()


@pytest.mark.parametrize("steps", [4, 1_000])
@pytest.mark.parametrize("seed", range(4))
def test_figures_equal_slow_loops(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    wrong = rng.random(120) < 0.3
    suspicion = np.round((rng.random(120) + 0.4 * wrong) * steps)
    found = figures(suspicion, wrong)

    before, area = 0.0, 0.0
    for precision, recall in thresholds(suspicion, wrong):
        area += precision * (recall - before)
        before = recall
    assert found.average_precision == pytest.approx(area)

    wins = [(one > other) + 0.5 * (one == other) for one in suspicion[wrong] for other in suspicion[~wrong]]
    assert found.auroc == pytest.approx(np.mean(wins))

    good = [recall for precision, recall in thresholds(suspicion, wrong) if precision >= 0.9]
    assert found.recall_at_90 == pytest.approx(max(good, default=0.0))


def test_precision_at_a_cut_through_ties_is_the_mean_over_their_orders() -> None:
    suspicion = np.array([3.0, 2.0, 2.0, 2.0, 1.0])
    wrong = np.array([True, False, True, True, True])
    orders = [[0, *middle, 4] for middle in permutations([1, 2, 3])]
    for num in range(1, 6):
        expected = np.mean([wrong[order[:num]].mean() for order in orders])
        assert precision_at(suspicion, wrong, num) == pytest.approx(expected)


def test_no_list_is_good_enough() -> None:
    assert recall_at_precision(np.array([2.0, 1.0, 0.0]), np.array([False, True, False]), 0.9) == 0.0


def test_an_infinite_suspicion_is_the_highest() -> None:
    found = figures(np.array([np.inf, 1.0, -np.inf]), np.array([True, False, False]))
    assert found.average_precision == 1.0


def test_a_missing_suspicion_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 of 2 examples have no suspicion"):
        figures(np.array([np.nan, 1.0]), np.array([True, False]))
