"""Margins without the example's own label, against regressions that are really fitted without it."""

from __future__ import annotations

import numpy as np
import pytest

from sondage.errors import InvalidInput
from sondage.tagging import left_out as module
from sondage.tagging.left_out import PENALTY, Regressions, left_out_margins, look_epochs


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
    """Both regressions solved anew without one row; scaling, waves and penalty are those of the whole."""
    fitted = np.flatnonzero(eligible)
    whole = Regressions(features[fitted], labels[fitted])
    keep = fitted[fitted != without]
    predicted = np.zeros(3)
    for part in whole._parts:
        of_all = part.columns(features[fitted]).astype(np.float64)
        penalty = PENALTY * np.square(of_all).sum(axis=0)[1:].mean()
        columns = part.columns(features[keep]).astype(np.float64)
        held = np.diag([0.0, *[penalty] * (columns.shape[1] - 1)])
        weights = np.linalg.solve(columns.T @ columns + held, columns.T @ np.eye(3)[labels[keep]])
        predicted += (part.columns(features[row : row + 1]) @ weights)[0] / 2
    own = predicted[labels[row]]
    return float(own - np.delete(predicted, labels[row]).max())


def test_equals_regressions_that_are_fitted_without_the_row(world):
    found = left_out_margins(*world)
    for row in range(0, 120, 7):
        assert found[row] == pytest.approx(slow(*world, row, row), abs=2e-3)


def test_a_made_row_leaves_its_source_out(world):
    features, labels, _ = world
    features[110], source = features[4], np.full(120, -1)
    source[110] = 4
    found = left_out_margins(*world, source=source)
    assert found[110] == pytest.approx(slow(*world, 110, 4), abs=2e-3)
    labels[110] = labels[4]
    same = left_out_margins(*world, source=source)
    assert same[110] == pytest.approx(same[4], abs=1e-5)
    assert left_out_margins(*world)[110] != pytest.approx(same[4], abs=1e-3), "the source would speak for it"


def test_rows_that_are_not_eligible_have_no_part_in_it(world):
    _, labels, _ = world
    before = left_out_margins(*world)
    labels[100:] = (labels[100:] + 1) % 3
    np.testing.assert_allclose(left_out_margins(*world)[:100], before[:100], atol=1e-6)


def test_a_wrong_label_stands_out(world):
    _, labels, _ = world
    row = int(left_out_margins(*world)[:100].argmax())
    labels[row] = (labels[row] + 1) % 3
    assert left_out_margins(*world)[row] < -0.3


def test_blocks_change_nothing(world, monkeypatch):
    whole = left_out_margins(*world)
    monkeypatch.setattr(module, "_CHUNK_ROWS", 13)
    np.testing.assert_allclose(left_out_margins(*world), whole, atol=1e-4)


def test_only_so_many_are_fitted(world, monkeypatch):
    whole = left_out_margins(*world)
    monkeypatch.setattr(module, "MOST_FITTED", 60)
    found = left_out_margins(*world, seed=1)
    assert np.isfinite(found).all()
    assert (found == left_out_margins(*world, seed=1)).all()
    assert np.corrcoef(found, whole)[0, 1] > 0.8


def test_rows_that_diverged_are_not_looked_at(world):
    features, labels, _ = world
    features[5] = np.nan
    found = left_out_margins(*world)
    assert np.isnan(found[5])
    assert np.isfinite(np.delete(found, 5)).all()
    assert np.isnan(left_out_margins(features, labels, np.zeros(120, bool))).all()


def test_labels_that_nobody_else_has_and_features_that_say_nothing(world):
    _, labels, eligible = world
    labels[3] = 9
    labels[110] = 12
    found = left_out_margins(*world)
    assert found[3] < 0
    assert found[110] < 0
    assert np.isnan(left_out_margins(world[0], np.zeros(120, np.int64), eligible)).all()
    nothing = left_out_margins(np.ones((120, 5), np.float32), labels, eligible)
    assert np.isfinite(nothing).all()


def test_shapes_that_differ_are_refused(world):
    features, labels, eligible = world
    with pytest.raises(InvalidInput, match="one row each"):
        left_out_margins(features[:119], labels, eligible)


@pytest.mark.parametrize(
    ("num_epochs", "epochs"),
    [(1, (0,)), (2, (0, 1)), (3, (0, 2)), (4, (0, 1, 3)), (12, (1, 3, 11)), (90, (14, 29, 89))],
)
def test_the_looks_are_after_a_sixth_a_third_and_all_of_the_training(num_epochs, epochs):
    assert look_epochs(num_epochs) == epochs
