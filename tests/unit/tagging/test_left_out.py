"""Log odds without the example's own label, against classes that are really fitted without it."""

from __future__ import annotations

import numpy as np
import pytest

from sondage.errors import InvalidInput
from sondage.tagging import gaussian_classes
from sondage.tagging import left_out as module
from sondage.tagging.left_out import PENALTY, left_out_odds, look_epochs


@pytest.fixture
def world() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    features = (rng.normal(size=(120, 5)) + 2 * np.eye(3, 5)[labels]).astype(np.float32)
    eligible = np.arange(120) < 100
    return features, labels, eligible


def slow(
    features: np.ndarray, labels: np.ndarray, eligible: np.ndarray, row: int, without: int | None
) -> float:
    """Means and covariance made anew without one row; scaling, penalty and divisor are those of the whole."""
    values = features.astype(np.float64)
    values = (values - values[eligible].mean(axis=0)) / values[eligible].std(axis=0)
    fitted = np.flatnonzero(eligible)
    keep = fitted[fitted != without]
    width = features.shape[1]
    penalty = PENALTY * width / len(fitted) * np.trace(scatter(values[fitted], labels[fitted])) / width
    covariance = scatter(values[keep], labels[keep]) + penalty * np.eye(width)
    inverse = np.linalg.inv(covariance / (len(fitted) - 3))
    likely = np.empty(3)
    for label in range(3):
        of_class = values[keep[labels[keep] == label]]
        apart = values[row] - of_class.mean(axis=0)
        likely[label] = len(of_class) * np.exp(-apart @ inverse @ apart / 2)
    own = likely[labels[row]]
    return float(np.log(own / (likely.sum() - own)))


def scatter(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    apart = [values[labels == label] - values[labels == label].mean(axis=0) for label in np.unique(labels)]
    return np.asarray(sum(one.T @ one for one in apart))


def test_equals_classes_that_are_fitted_without_the_row(world):
    found = left_out_odds(*world)
    for row in range(0, 120, 7):
        assert found[row] == pytest.approx(slow(*world, row, row), abs=1e-3)


def test_a_made_row_leaves_its_source_out(world):
    features, labels, _ = world
    features[110], source = features[4], np.full(120, -1)
    source[110] = 4
    found = left_out_odds(*world, source=source)
    assert found[110] == pytest.approx(slow(*world, 110, 4), abs=1e-3)
    labels[110] = labels[4]
    same = left_out_odds(*world, source=source)
    assert same[110] == pytest.approx(same[4], abs=1e-5)
    assert left_out_odds(*world)[110] != pytest.approx(same[4], abs=1e-3), "the source would speak for it"


def test_rows_that_are_not_eligible_have_no_part_in_it(world):
    _, labels, _ = world
    before = left_out_odds(*world)
    labels[100:] = (labels[100:] + 1) % 3
    np.testing.assert_allclose(left_out_odds(*world)[:100], before[:100], atol=1e-6)


def test_a_wrong_label_stands_out(world):
    _, labels, _ = world
    row = int(left_out_odds(*world)[:100].argmax())
    labels[row] = (labels[row] + 1) % 3
    assert left_out_odds(*world)[row] < -2


def test_blocks_change_nothing(world, monkeypatch):
    whole = left_out_odds(*world)
    monkeypatch.setattr(gaussian_classes, "_CHUNK_ENTRIES", 13)
    monkeypatch.setattr(gaussian_classes, "_CHUNK_ROWS", 11)
    np.testing.assert_allclose(left_out_odds(*world), whole, atol=1e-4)


def test_only_so_many_are_fitted(world, monkeypatch):
    whole = left_out_odds(*world)
    monkeypatch.setattr(module, "MOST_FITTED", 60)
    found = left_out_odds(*world, seed=1)
    assert np.isfinite(found).all()
    assert (found == left_out_odds(*world, seed=1)).all()
    assert np.corrcoef(found, whole)[0, 1] > 0.8


def test_rows_that_diverged_are_not_looked_at(world):
    features, labels, _ = world
    features[5] = np.nan
    found = left_out_odds(*world)
    assert np.isnan(found[5])
    assert np.isfinite(np.delete(found, 5)).all()
    assert np.isnan(left_out_odds(features, labels, np.zeros(120, bool))).all()


def test_labels_that_nobody_else_has_and_features_that_say_nothing(world):
    _, labels, eligible = world
    labels[3] = 9
    labels[110] = 12
    found = left_out_odds(*world)
    assert np.isnan(found[[3, 110]]).all()
    assert np.isfinite(np.delete(found, [3, 110])).all()
    assert np.isnan(left_out_odds(world[0], np.zeros(120, np.int64), eligible)).all()
    nothing = left_out_odds(np.ones((120, 5), np.float32), labels, eligible)
    assert np.isfinite(np.delete(nothing, [3, 110])).all()


def test_far_from_all_classes_says_no_more_than_so_much(world):
    features, labels, _ = world
    features[110] = 300, -200, 100, 0, 0
    others = []
    for label in range(3):
        labels[110] = label
        others.append(left_out_odds(*world)[110])
    assert sorted(others) == [-module.MOST, -module.MOST, module.MOST]


def test_a_rare_class_needs_more_to_be_believed(world):
    """Between two classes the odds are those of their sizes."""
    labels = np.r_[np.zeros(80, np.int64), np.ones(20, np.int64), [0, 1]]
    features = np.random.default_rng(0).normal(size=(102, 2)).astype(np.float32) + 3 * labels[:, None]
    means = [features[:80].mean(axis=0), features[80:100].mean(axis=0)]
    features[100:] = np.mean(means, axis=0)
    found = left_out_odds(features, labels, np.arange(102) < 100)
    np.testing.assert_allclose(found[100:], [np.log(4), -np.log(4)], atol=0.02)


def test_shapes_that_differ_are_refused(world):
    features, labels, eligible = world
    with pytest.raises(InvalidInput, match="one row each"):
        left_out_odds(features[:119], labels, eligible)


@pytest.mark.parametrize(
    ("num_epochs", "epochs"),
    [(1, (0,)), (2, (0, 1)), (3, (0, 2)), (4, (0, 1, 3)), (12, (1, 3, 11)), (90, (14, 29, 89))],
)
def test_the_looks_are_after_a_sixth_a_third_and_all_of_the_training(num_epochs, epochs):
    assert look_epochs(num_epochs) == epochs
