"""Against a slow search over all subsets of the columns."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from sondage.tagging.least_squares import not_negative


def _slowly(columns: np.ndarray, wanted: np.ndarray) -> float:
    least = float(np.square(wanted).sum())
    num = columns.shape[1]
    for chosen in (subset for size in range(1, num + 1) for subset in combinations(range(num), size)):
        found = np.linalg.lstsq(columns[:, chosen], wanted, rcond=None)[0]
        if (found >= 0).all():
            least = min(least, float(np.square(columns[:, chosen] @ found - wanted).sum()))
    return least


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_no_subset_of_the_columns_is_nearer(scale: float) -> None:
    rng = np.random.default_rng(0)
    for number in range(40):
        columns = rng.standard_normal((12, 5)) + number % 3
        columns[:, 2] *= scale
        wanted = rng.standard_normal(12) + 0.5
        found = not_negative(columns, wanted)
        assert (found >= 0).all()
        assert float(np.square(columns @ found - wanted).sum()) == pytest.approx(
            _slowly(columns, wanted), rel=1e-7
        )


def test_columns_that_say_nothing_get_nothing() -> None:
    assert not_negative(np.zeros((3, 2)), np.ones(3)).tolist() == [0, 0]
    assert not_negative(-np.ones((3, 1)), np.ones(3)).tolist() == [0]
