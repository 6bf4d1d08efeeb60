"""In how many of the runs that trained an example its tag is the same."""

from __future__ import annotations

import numpy as np

from sondage.tagging.consensus import consensus
from sondage.tagging.tag import tags_of

NAN = [np.nan, np.nan]


def test_runs_that_trained_the_example_are_asked_and_no_others() -> None:
    votes = [
        np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], NAN, [0.9, 0.1]]),
        np.array([[0.6, 0.4], [0.4, 0.6], [0.1, 0.9], [0.1, 0.9], NAN]),
    ]
    # Example 2 was only scored by the second run, example 3 displaced in the first, 4 in both.
    trained = [
        np.array([True, True, True, False, False]),
        np.array([True, True, False, True, False]),
    ]
    tag = np.array([0, 0, 1, 1, -1])
    found = consensus(votes, trained, tag, tags_of)
    assert found.trained.tolist() == [2, 2, 1, 1, 0]
    assert found.agreeing.tolist() == [2, 1, 1, 1, 0]
    assert found.in_all.tolist() == [True, False, False, False, False]
