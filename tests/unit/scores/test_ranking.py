"""⑤ Figures of a ranking against counting and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from sondage.errors import InvalidInput
from sondage.scores.ranking import average_precision, precision_at, recall_at, worst_first

TRUTH = np.array([True, False, True, False, False])
ORDER = np.array([2, 1, 0, 3, 4])


def test_precision_and_recall_count_the_head():
    assert precision_at(ORDER, TRUTH, 1) == 1.0
    assert precision_at(ORDER, TRUTH, 2) == 0.5
    assert recall_at(ORDER, TRUTH, 2) == 0.5
    assert recall_at(ORDER, TRUTH, 3) == 1.0


@given(st.lists(st.booleans(), min_size=2, max_size=40), st.integers(0, 1000))
def test_average_precision_is_scikit_learns(truth, seed):
    truth = np.array(truth)
    truth[0] = True
    values = np.random.default_rng(seed).permutation(len(truth)).astype(float)
    got = average_precision(worst_first(values, "high"), truth)
    assert got == pytest.approx(average_precision_score(truth, values))


def test_ties_go_by_index_and_nan_goes_last():
    values = np.array([1.0, np.nan, 2.0, 1.0])
    assert worst_first(values, "high").tolist() == [2, 0, 3, 1]
    assert worst_first(values, "low").tolist() == [0, 3, 2, 1]


def test_nothing_to_find_is_an_error():
    with pytest.raises(InvalidInput, match="holds for no row"):
        recall_at(ORDER, np.zeros(5, bool), 2)
    with pytest.raises(InvalidInput, match="one row at least"):
        precision_at(ORDER, TRUTH, 0)
