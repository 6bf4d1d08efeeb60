"""⑤ Suggested labels against counting."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sondage.curves import Curves
from sondage.tagging.suggest import suggest_labels

SAID = hnp.arrays(np.int16, (5, 6), elements=st.integers(-1, 3))


def slowly(said, given_label):
    counts = Counter(value for value in said if value >= 0)
    if not counts or max(counts.values()) == counts[given_label]:
        return -1
    return min(value for value, number in counts.items() if number == max(counts.values()))


@given(SAID, SAID, st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_the_most_frequent_class_of_the_later_half_of_all_runs(one, two, labels):
    runs = [Curves({"predicted": one}), Curves({"predicted": two})]
    expected = [slowly([*one[row, 3:].tolist(), *two[row, 3:].tolist()], labels[row]) for row in range(5)]
    assert suggest_labels(runs, np.array(labels), 5).tolist() == expected


def test_chunks_make_no_difference(monkeypatch):
    said = np.random.default_rng(0).integers(0, 3, (50, 4))
    labels = np.zeros(50, int)
    whole = suggest_labels([Curves({"predicted": said})], labels, 50)
    monkeypatch.setattr("sondage.tagging.suggest._CHUNK_ROWS", 7)
    np.testing.assert_array_equal(suggest_labels([Curves({"predicted": said})], labels, 50), whole)


def test_runs_that_recorded_no_prediction_suggest_nothing():
    assert suggest_labels([Curves({"loss": np.ones((3, 2))})], np.zeros(3, int), 3).tolist() == [-1] * 3
