"""Distances to the nearest class without the example, against means and covariances that are really made anew."""

from __future__ import annotations

import numpy as np
import pytest

from sondage.errors import InvalidInput
from sondage.tagging import class_distance as module
from sondage.tagging import gaussian_classes, left_out
from sondage.tagging.class_distance import PENALTY, ClassDistances, class_distances

World = tuple[np.ndarray, np.ndarray, np.ndarray]
FITTED, WIDTH = 100, 5


@pytest.fixture
def world() -> World:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    features = (rng.normal(size=(120, WIDTH)) @ rng.normal(size=(WIDTH, WIDTH))).astype(np.float32)
    features += 2 * np.eye(3, WIDTH, dtype=np.float32)[labels]
    labels[:3], labels[3:5] = 9, 7  # rare classes, of which one lies apart
    features[3:5] -= 6
    return features, labels, np.arange(120) < FITTED


def slow(world: World, row: int, without: int | None) -> float:
    """Means and scatter made anew without one row; scaling, penalty and divisor are those of the whole."""
    features, labels, eligible = world
    values = features.astype(np.float64)
    values = (values - values[eligible].mean(axis=0)) / values[eligible].std(axis=0)
    fitted = np.flatnonzero(eligible)
    whole, _ = scatter(values[fitted], labels[fitted])
    freedom = len(fitted) - len(np.unique(labels[fitted]))
    keep = fitted[fitted != without]
    covariance, means = scatter(values[keep], labels[keep])
    covariance += PENALTY * np.trace(whole) / WIDTH * np.eye(WIDTH)
    apart = values[row] - np.stack(means)
    return float(np.sqrt(np.diag(apart @ np.linalg.inv(covariance / freedom) @ apart.T).min()))


def scatter(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    means, total = [], np.zeros((WIDTH, WIDTH))
    for label in np.unique(labels):
        of_class = values[labels == label]
        means.append(of_class.mean(axis=0))
        for one in of_class:
            total += np.outer(one - means[-1], one - means[-1])
    return total, means


@pytest.mark.parametrize("penalty", [PENALTY, 1e-3])
def test_equals_means_and_a_covariance_without_the_row(world, penalty, monkeypatch):
    monkeypatch.setattr(module, "PENALTY", penalty)
    monkeypatch.setitem(globals(), "PENALTY", penalty)
    found = class_distances(*world)
    assert found.dtype == np.float32
    expected = [slow(world, row, row if row < FITTED else None) for row in range(120)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    kept = [slow(world, row, None) for row in range(FITTED)]
    assert np.max(np.array(expected[:FITTED]) / kept) > 1.2, "otherwise nothing would be tested"


def test_a_made_row_leaves_its_source_out_whatever_its_own_label(world):
    features, labels, _ = world
    features[110], source = features[4] + 0.3, np.full(120, -1)
    source[110] = 4  # one of two of its class
    found = class_distances(*world, source=source)
    assert found[110] == pytest.approx(slow(world, 110, 4), rel=1e-4)
    assert class_distances(*world)[110] == pytest.approx(slow(world, 110, None), rel=1e-4)
    assert found[110] > 1.05 * slow(world, 110, None), "the source would speak for it"
    labels[110] = 9
    assert class_distances(*world, source=source)[110] == found[110]


def test_a_source_that_was_not_fitted_leaves_nothing_out(world):
    source = np.full(120, -1)
    source[110] = 105
    assert class_distances(*world, source=source)[110] == class_distances(*world)[110]


def test_rows_that_are_not_eligible_have_no_part_in_it(world):
    features, labels, eligible = world
    before = class_distances(*world)
    features[100:] += 50
    labels[100:] = 2
    np.testing.assert_array_equal(class_distances(features, labels, eligible)[:100], before[:100])


def test_what_is_foreign_is_far_with_whatever_label(world):
    features, labels, _ = world
    features[50] = 8
    for label in (0, 1, 2):
        labels[50] = label
        assert class_distances(*world).argmax() == 50


def test_one_with_a_wrong_label_is_near_its_true_class(world):
    _, labels, _ = world
    before = class_distances(*world)
    labels[60] = (labels[60] + 1) % 3
    assert class_distances(*world)[60] == pytest.approx(before[60], rel=0.3)


def test_one_alone_in_its_class_is_as_far_as_from_the_others(world):
    features, labels, _ = world
    features[50], labels[50] = 8, 30
    found = class_distances(*world)
    assert found[50] == pytest.approx(slow(world, 50, 50), rel=1e-4)
    assert found.argmax() == 50
    features[110] = 8
    assert class_distances(*world)[110] == pytest.approx(0, abs=1e-3), "to another row it is a class"


def test_one_class_alone(world):
    features, _, eligible = world
    labels = np.zeros(120, np.int64)
    found = class_distances(features, labels, eligible)
    assert found[7] == pytest.approx(slow((features, labels, eligible), 7, 7), rel=1e-4)
    of_one_row = class_distances(features, labels, np.arange(120) == 7)
    assert np.isnan(of_one_row[7])
    assert np.isfinite(np.delete(of_one_row, 7)).all()
    assert np.isnan(class_distances(features, labels, np.zeros(120, bool))).all()


def test_rows_that_diverged_are_not_looked_at(world):
    features, labels, eligible = world
    features[5], features[115] = np.nan, np.inf
    found = class_distances(*world)
    assert np.flatnonzero(np.isnan(found)).tolist() == [5, 115]
    without = np.delete(np.arange(120), [5, 115])
    expected = class_distances(features[without], labels[without], eligible[without])
    np.testing.assert_allclose(found[without], expected, rtol=1e-5)


def test_columns_that_do_not_vary_change_nothing_and_neither_do_units(world):
    features, labels, eligible = world
    expected = class_distances(*world)
    more = np.concatenate([features * 1e-20, np.full((120, 1), 1e6), np.zeros((120, 1))], axis=1)
    scale = np.sqrt((WIDTH + 2) / WIDTH)  # the penalty is of the mean variance of all columns
    found = class_distances(more.astype(np.float32), labels, eligible)
    np.testing.assert_allclose(found, expected, rtol=0.5 * (scale - 1) + 0.2)
    assert np.corrcoef(found, expected)[0, 1] > 0.98
    np.testing.assert_allclose(class_distances(features * 1e20, labels, eligible), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "features", [np.ones((120, 5)), np.eye(4, 5).repeat(30, axis=0)], ids=["equal", "collapsed"]
)
def test_where_no_class_varies_all_are_near_but_what_does_not_belong(features, world):
    labels, eligible = np.arange(120) // 30, world[2]
    values = features.astype(np.float32)
    values[7] += 1
    found = class_distances(values, labels, eligible)
    assert np.isfinite(found).all()
    assert found.argmax() == 7
    assert np.isfinite(class_distances(features.astype(np.float32), labels, eligible)).all()


def test_numbers_of_any_size_are_far_and_no_more(world):
    features, _, _ = world
    features[110] = 3e38
    found = class_distances(*world)
    assert np.isfinite(found).all()
    assert found.argmax() == 110


def test_blocks_change_nothing(world, monkeypatch):
    whole = class_distances(*world)
    monkeypatch.setattr(gaussian_classes, "_CHUNK_ENTRIES", 13)
    monkeypatch.setattr(gaussian_classes, "_CHUNK_ROWS", 11)
    np.testing.assert_allclose(class_distances(*world), whole, rtol=1e-4)


def test_only_so_many_are_fitted(world, monkeypatch):
    whole = class_distances(*world)
    monkeypatch.setattr(left_out, "MOST_FITTED", 60)
    found = class_distances(*world, seed=1)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, class_distances(*world, seed=1))
    assert np.corrcoef(found, whole)[0, 1] > 0.7


def test_many_classes_of_which_each_has_few():
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 300
    middle = rng.normal(size=(300, 8)) * 10
    features = (middle[labels] + rng.normal(size=(600, 8))).astype(np.float32)
    distances = ClassDistances(features, labels)
    left, held = (
        distances.distances(features, np.arange(600)),
        distances.distances(features, np.full(600, -1)),
    )
    fresh = distances.distances(
        (middle[labels] + rng.normal(size=(600, 8))).astype(np.float32), np.full(600, -1)
    )
    assert np.median(left) > 0.9 * np.median(fresh) > 1.2 * np.median(held)


def test_shapes_that_differ_are_refused(world):
    features, labels, eligible = world
    with pytest.raises(InvalidInput, match="one row each"):
        class_distances(features[:119], labels, eligible)
