"""What flips say: true where errors are like flips, and a warning where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from sondage.errors import InvalidInput
from sondage.tagging.probe_calibration import (
    MOST_OVERLAP,
    ProbeCalibration,
    RunScores,
    calibrate_by_probes,
    combine,
)

NUM_CLASSES = 10


def _world(
    share: float, shift: float, seed: int = 0, num: int = 8_000, flips: int = 500
) -> tuple[np.ndarray, ...]:
    """Scores and truth of examples whose errors lie at `shift`, and scores of flips at 3: some flips are right."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(num) < share
    right_again = rng.random(flips) < share / (NUM_CLASSES - 1)
    return (
        rng.standard_normal(num) + shift * wrong,
        wrong,
        rng.standard_normal(flips) + 3 * ~right_again,
    )


def _of_one_run(score: np.ndarray, flips: np.ndarray, num_classes: int = NUM_CLASSES) -> ProbeCalibration:
    return calibrate_by_probes([RunScores(score, flips)], num_classes=num_classes)


@pytest.mark.parametrize(("share", "tolerance"), [(0.05, 0.1), (0.2, 0.05), (0.4, 0.05)])
def test_errors_like_flips_are_counted_and_calibrated(share: float, tolerance: float) -> None:
    """Of few errors the precision of the top is rough: 500 flips can hardly tell where right labels come in."""
    estimates, precisions = [], []
    for seed in range(5):
        score, wrong, probes = _world(share, 3, seed)
        found = _of_one_run(score, probes)
        assert found.is_uniform
        chance = found.probability_wrong([score])
        number = np.minimum((chance * 15).astype(int), 14)
        assert np.abs(np.bincount(number, chance - wrong, 15)).sum() / len(wrong) < 0.05
        top = np.argsort(-score)[: int(share * len(score))]
        precisions.append(chance[top].mean() - wrong[top].mean())
        estimates.append(found.share_wrong)
    assert np.mean(estimates) == pytest.approx(share, abs=0.02)
    assert np.mean(precisions) == pytest.approx(0, abs=tolerance)


def test_nine_of_ten_intervals_hold() -> None:
    held = []
    for seed in range(60):
        score, wrong, probes = _world(0.2, 3, seed, num=4_000, flips=200)
        low, high = _of_one_run(score, probes).share_interval
        held.append(low <= wrong.mean() <= high)
    assert 0.75 < np.mean(held) <= 1


@pytest.mark.parametrize("shift", [0.5, 1.2])
def test_errors_that_lie_lower_than_flips_are_noticed(shift: float) -> None:
    score, _, probes = _world(0.2, shift)
    assert not _of_one_run(score, probes).is_uniform


def test_clean_data_have_no_share_to_speak_of() -> None:
    score, _, probes = _world(0, 3)
    assert _of_one_run(score, probes).share_wrong < 0.01


def test_where_nothing_lies_high_nothing_is_like_flips() -> None:
    found = _of_one_run(np.zeros(1_000), np.linspace(5, 6, 50))
    assert found.like_flips == 0
    assert not found.is_uniform
    assert found.probability_wrong([np.zeros(3)]).max() < 1e-6


def test_flips_of_wrong_sources_are_allowed_for() -> None:
    """With two classes a flip of a wrong label is right: 0.2 of the flips score like right ones."""
    rng = np.random.default_rng(0)
    wrong, right_again = rng.random(8_000) < 0.2, rng.random(2_000) < 0.2
    score, probes = rng.standard_normal(8_000) + 4 * wrong, rng.standard_normal(2_000) + 4 * ~right_again
    found = _of_one_run(score, probes, num_classes=2)
    assert found.like_flips == pytest.approx(0.25, abs=0.02)
    assert found.share_wrong == pytest.approx(0.2, abs=0.02)


def test_flips_far_above_everything_but_those_that_are_right_again_leave_right_labels_alone() -> None:
    """Between the two kinds of flips R is not fitted; right labels there once had a chance of 1."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        wrong, right_again = rng.random(4_000) < 0.2, rng.random(200) < 0.2 / 9
        score, probes = (
            rng.standard_normal(4_000) + 8 * wrong,
            rng.standard_normal(200) + 8 * ~right_again,
        )
        chance = _of_one_run(score, probes).probability_wrong([score])
        assert chance[wrong].mean() > 0.85
        assert chance[~wrong].mean() < 0.01


def test_right_examples_that_score_worse_than_flips_are_noticed() -> None:
    """The worst three of a hundred are right: the top of the list is not what flips say it is."""
    rng = np.random.default_rng(0)
    score, _, probes = _world(0.05, 3)
    score[rng.permutation(len(score))[:240]] = 5 + rng.random(240)
    found = _of_one_run(score, probes)
    assert found.tail_ratio > 1.35
    assert found.explained > 0.67
    assert not found.is_uniform
    assert not found.tells_of_the_worst


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_the_share_lies_within_its_interval_and_both_within_the_whole(num_classes: int) -> None:
    """Everything scores worse than the flips: π is more than 1."""
    rng = np.random.default_rng(0)
    found = _of_one_run(rng.random(2_000) + 2, rng.standard_normal(200) + 2, num_classes=num_classes)
    assert found.like_flips > 1
    low, high = found.share_interval
    assert 0 <= low <= found.share_wrong <= high <= 1


def test_with_two_classes_nothing_is_sure() -> None:
    score, _, probes = _world(0.2, 3)
    assert _of_one_run(score, probes).is_uniform
    assert not _of_one_run(score, probes, num_classes=2).is_uniform


def test_two_runs_have_one_share_and_are_surer_together() -> None:
    first, wrong, probes = _world(0.2, 2)
    second = np.random.default_rng(9).standard_normal(len(wrong)) + 2 * wrong
    runs = [RunScores(first, probes - 1), RunScores(second, _world(0.2, 2, seed=5)[2] - 1)]
    found = calibrate_by_probes(runs, num_classes=NUM_CLASSES)
    assert found.deviation < calibrate_by_probes(runs[:1], num_classes=NUM_CLASSES).deviation
    both = found.probability_wrong([first, second])
    assert both.mean() == pytest.approx(found.share_wrong, abs=1e-6)
    alone = [_of_one_run(run.examples, run.flips).probability_wrong([run.examples]) for run in runs]
    assert np.square(both - wrong).mean() < min(np.square(chance - wrong).mean() for chance in alone)


def test_a_run_without_flips_is_not_asked() -> None:
    score, _, probes = _world(0.2, 3)
    other = RunScores(score[::-1].copy(), np.zeros(0))
    found = calibrate_by_probes([RunScores(score, probes), other], num_classes=NUM_CLASSES)
    assert found.like_flips == _of_one_run(score, probes).like_flips
    np.testing.assert_allclose(
        found.probability_wrong([score, other.examples]),
        _of_one_run(score, probes).probability_wrong([score]),
    )


def test_an_example_that_one_run_displaced_has_the_other_runs_chance_and_none_has_none() -> None:
    nan = np.nan
    found = combine([np.array([0.9, nan, nan, 0.1]), np.array([0.9, 0.1, nan, 0.1])], 0.3)
    assert np.isnan(found[2])
    assert found[0] > found[1] == found[3]


def test_chances_fall_with_the_score_and_are_missing_where_it_is() -> None:
    score, _, probes = _world(0.2, 3)
    found = _of_one_run(score, probes)
    chance = found.probability_wrong([np.linspace(6, -3, 50)])
    assert (np.diff(chance) <= 1e-12).all()
    assert np.isnan(found.probability_wrong([np.array([np.nan, 0.0])])[0])


@pytest.mark.parametrize(("flips", "classes"), [(19, 10), (50, 1)])
def test_too_little_is_refused(flips: int, classes: int) -> None:
    with pytest.raises(InvalidInput, match="at least 20 flips"):
        _of_one_run(np.zeros(10), np.zeros(flips), num_classes=classes)


def test_right_labels_that_look_like_flips_are_noticed_and_make_the_share_too_high() -> None:
    rng = np.random.default_rng(0)
    wrong = rng.random(8_000) < 0.2
    found = {}
    for apart in (3.0, 1.5):
        score = rng.standard_normal(8_000) + apart * wrong
        found[apart] = _of_one_run(score, rng.standard_normal(500) + apart)
        assert found[apart].is_uniform
    assert found[3.0].overlap == pytest.approx((rng.standard_normal(100_000) > 3 - 0.84).mean(), abs=0.02)
    assert found[3.0].overlap < MOST_OVERLAP < found[1.5].overlap
    assert found[1.5].share_wrong > found[3.0].share_wrong
