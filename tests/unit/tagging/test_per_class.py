"""⑤ Rates per class against counting."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sondage.tagging.per_class import BEST, WORST, per_class

NAMES = ("prototypical", "noisy")
CLASSES = ("cat", "dog", "eel")


def example(num=600, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=num)
    tag = rng.integers(-1, 2, num)
    suspicion = rng.random(num).astype(np.float32)
    suspicion[rng.random(num) < 0.1] = np.nan
    suggested = np.where(rng.random(num) < 0.3, -1, (labels + rng.integers(1, 3, num)) % 3)
    return labels, tag, suspicion, suggested


def test_rates_are_counts():
    labels, tag, suspicion, suggested = example()
    found = per_class(labels, tag, suspicion, suggested, NAMES, CLASSES)
    there = ~np.isnan(suspicion)
    assert found["num_examples"] == there.sum()
    assert found["num_suspects"] == (suspicion[there] > 0.5).sum()
    for one in found["classes"]:
        mine = there & (labels == one["label"])
        assert one["name"] == CLASSES[one["label"]]
        assert one["num_examples"] == mine.sum()
        assert one["num_suspects"] == (suspicion[mine] > 0.5).sum()
        for code, name in ((0, "prototypical"), (1, "noisy"), (-1, "unsure")):
            assert one["tags"][name] == pytest.approx((tag[mine] == code).mean(), abs=1e-5)
    suspects = there & (np.nan_to_num(suspicion) > 0.5)
    assert found["num_without_suggestion"] == (suggested[suspects] == -1).sum()
    assert sum(pair["num"] for pair in found["pairs"]) == (suggested[suspects] >= 0).sum()
    for pair in found["pairs"]:
        number = [
            (suspects & (labels == CLASSES.index(a)) & (suggested == CLASSES.index(b))).sum()
            for a, b in (
                (pair["given_name"], pair["suggested_name"]),
                (pair["suggested_name"], pair["given_name"]),
            )
        ]
        assert [pair["num"], pair["num_reverse"]] == number
    numbers = [pair["num"] for pair in found["pairs"]]
    assert numbers == sorted(numbers, reverse=True)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def of_classes(sizes, suspects):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    within = np.concatenate([np.arange(size) for size in sizes])
    suspicion = np.where(within < np.repeat(suspects, sizes), 0.9, 0.1).astype(np.float32)
    nothing = np.full(len(labels), -1)
    return per_class(labels, np.zeros(len(labels), int), suspicion, nothing, NAMES)


def test_bad_classes_come_first_and_tiny_ones_do_not_pass_them():
    found = of_classes([300, 2, 300, 300], [90, 1, 3, 30])
    assert [one["label"] for one in found["classes"]] == [0, 1, 3, 2]
    assert found["classes"][1]["share_suspects"] == 0.5
    assert found["classes"][0]["name"] == "0"


def test_a_class_of_two_does_not_come_before_a_bad_one_of_two_hundred():
    found = of_classes([2, 200], [1, 60])
    assert [one["label"] for one in found["classes"]] == [1, 0]


def test_of_ten_thousand_classes_the_extremes_are_kept():
    rng = np.random.default_rng(0)
    sizes = np.full(10_000, 20)
    found = of_classes(sizes, rng.integers(0, 20, 10_000))
    assert found["num_classes"] == 10_000
    assert len(found["classes"]) == WORST + BEST == 10_000 - found["num_left_out"]
    assert found["num_worst"] == WORST
    shares = [one["share_suspects"] for one in found["classes"]]
    assert min(shares[:WORST]) > max(shares[WORST:])
    assert shares == sorted(shares, reverse=True)
    assert len(json.dumps(found)) < 30_000


def test_without_suspects_there_are_no_pairs():
    found = per_class(
        np.array([0, 1]), np.array([0, 0]), np.float32([0.1, np.nan]), np.array([1, 0]), NAMES, CLASSES
    )
    assert (found["pairs"], found["num_suspects"], found["num_examples"]) == ([], 0, 1)
    nobody = per_class(np.array([0]), np.array([-1]), np.float32([np.nan]), np.array([-1]), NAMES)
    assert (nobody["classes"], nobody["num_classes"]) == ([], 0)


def test_a_pair_that_goes_one_way_is_marked():
    """Forty eels among the cats and one cat among the eels; dogs and cats as often the one as the other."""
    pairs = [(0, 2)] * 40 + [(2, 0)] + [(0, 1)] * 12 + [(1, 0)] * 10 + [(1, 2)] * 3
    given, suggested = (np.array(part) for part in zip(*pairs, strict=True))
    found = per_class(given, np.ones(len(given), int), np.full(len(given), 0.9), suggested, NAMES, CLASSES)
    marked = {(pair["given_name"], pair["suggested_name"]): pair["one_way"] for pair in found["pairs"]}
    assert [names for names, one_way in marked.items() if one_way] == [("cat", "eel")]
    assert len(marked) == 5
