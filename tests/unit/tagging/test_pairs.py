"""Pairs that go one way: counted as a slow loop counts, listed with their directions, and bounded in number."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sondage.tagging import pairs
from sondage.tagging.pairs import LEAST_LOG_RATIO, OneWayPairs, goes_one_way, one_way_pairs


def habit(num_classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """3,000 rows, of which each class but the last is taken for the next one, among the worst of all."""
    rng = np.random.default_rng(seed)
    given = rng.integers(num_classes, size=3_000)
    other = np.where(rng.random(3_000) < 0.5, (given + rng.integers(1, num_classes, 3_000)) % num_classes, -1)
    suspicion = rng.normal(size=3_000)
    wrong = (rng.random(3_000) < 0.1) & (given < num_classes - 1)
    other[wrong] = given[wrong] + 1
    suspicion[wrong] += 5
    return given, other, (suspicion - suspicion.mean()) / suspicion.std()


def test_numbers_are_sums_over_suspects():
    given, other, suspicion = habit()
    found = OneWayPairs.of(given, other, suspicion)
    counted = other >= 0
    border = np.quantile(suspicion[counted], 0.9)
    weight = 1 / (1 + np.exp(-4 * (suspicion - border)))
    for place, (one, another) in enumerate(zip(found.given, found.other, strict=True)):
        for number, forth, back in ((found.num, one, another), (found.num_reverse, another, one)):
            expected = weight[counted & (given == forth) & (other == back)].sum()
            assert number[place] == pytest.approx(expected)
    assert (found.place[~counted] == -1).all()
    for row in np.flatnonzero(counted)[:50]:
        assert (found.given[found.place[row]], found.other[found.place[row]]) == (given[row], other[row])
    assert (found.of_examples == one_way_pairs(given, other, suspicion)).all()


def test_those_that_go_one_way_are_listed_in_their_direction():
    found = OneWayPairs.of(*habit())
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert {(one["given"], one["other"]) for one in told["listed"]} == {(0, 1), (1, 2)}
    numbers = [one["num"] for one in told["listed"]]
    assert numbers == sorted(numbers, reverse=True)
    for one in told["listed"]:
        expected = np.log((one["num"] + 2) / (one["num_reverse"] + 2)) - LEAST_LOG_RATIO
        assert one["value"] == pytest.approx(expected, abs=0.05), "numbers are rounded to tenths"
    assert (told["num"], told["num_left_out"]) == (2, 0)
    nothing = OneWayPairs.of(np.array([0]), np.array([-1]), np.array([0.0]))
    assert nothing.to_dict() == {"num": 0, "num_left_out": 0, "listed": []}


def test_of_many_the_most_frequent_are_kept_and_the_others_counted(monkeypatch):
    found = OneWayPairs.of(*habit(num_classes=6))
    whole = found.to_dict()["listed"]
    assert len(whole) == 5
    monkeypatch.setattr(pairs, "MOST_LISTED", 2)
    told = found.to_dict()
    assert (told["num"], told["num_left_out"], told["listed"]) == (5, 3, whole[:2])


@pytest.mark.parametrize(
    ("num", "num_reverse", "expected"),
    [(41, 2, True), (2, 41, False), (12, 11, False), (9, 1, False), (5, 0, False), (10, 0, True)],
)
def test_of_counts_too(num, num_reverse, expected):
    """9 against 1 is not 4.5 times as frequent with 2 of each added, 5 against none is within chance."""
    assert goes_one_way(num, num_reverse) is expected
