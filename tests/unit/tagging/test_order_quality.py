"""How good the order is: areas against scikit-learn, intervals against what they claim, lists against a loop."""

from __future__ import annotations

import json
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from sondage.curves import Curves
from sondage.probes.plan import Probes
from sondage.probes.suite import Category
from sondage.tagging.evidence import RunEvidence
from sondage.tagging.order_quality import order_quality, roc_area, top_list
from sondage.tagging.prepare import Prepared

WRONG, RIGHT, NEITHER = Category("noisy", True), Category("atypical", False), Category("ood", None)
N = 300


def test_the_area_is_that_of_scikit_learn_with_ties_too():
    rng = np.random.default_rng(0)
    for steps in (3, 1000):
        wrong, others = rng.integers(0, steps, 40) + steps // 3, rng.integers(0, steps, 90)
        found = roc_area(wrong.astype(float), others.astype(float))
        assert found is not None
        area = roc_auc_score([1] * 40 + [0] * 90, [*wrong, *others])
        assert found["auroc"] == pytest.approx(area, abs=1e-5)
        assert found["low"] < found["auroc"] < found["high"]
        assert found["num"] == 90


def test_the_interval_is_delongs_on_the_scale_of_the_logit():
    rng = np.random.default_rng(1)
    wrong, others = rng.normal(1, 1, 30), rng.normal(0, 1, 50)
    won = np.array([[float(one > other) for other in others] for one in wrong])
    error = np.sqrt(won.mean(axis=1).var(ddof=1) / 30 + won.mean(axis=0).var(ddof=1) / 50)
    area = won.mean()
    wide = 1.645 * error / (area * (1 - area))
    expected = [1 / (1 + np.exp(-(np.log(area / (1 - area)) + side * wide))) for side in (-1, 1)]
    found = roc_area(wrong, others)
    assert found is not None
    assert [found["low"], found["high"]] == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("shift", [0.5, 1.5, 2.5])
def test_it_covers_the_truth_nine_times_in_ten(shift):
    truth, rng = NormalDist().cdf(shift / 2**0.5), np.random.default_rng(2)
    found = [roc_area(rng.normal(shift, 1, 60), rng.normal(0, 1, 200)) for _ in range(600)]
    covered = np.mean([one["low"] <= truth <= one["high"] for one in found if one is not None])
    assert 0.86 < covered < 0.94


def test_a_perfect_order_of_few_is_not_sure():
    found = roc_area(np.arange(10.0) + 100, np.arange(20.0))
    assert found == {"num": 20, "auroc": 1.0, "low": pytest.approx(0.05**0.1, abs=1e-5), "high": 1.0}
    turned = roc_area(-np.arange(10.0) - 100, np.arange(20.0))
    assert turned is not None
    assert (turned["auroc"], turned["high"]) == (0.0, pytest.approx(1 - 0.05**0.1, abs=1e-5))
    assert roc_area(np.zeros(4), np.zeros(20)) is None
    assert roc_area(np.zeros(20), np.zeros(4)) is None


def made(values: np.ndarray, *, trained: np.ndarray, probes: Probes, untrained: Probes | None = None):
    """A run whose order is that of these values, of which the rows from N on are planted."""
    margin = -np.repeat(values[:, None], 3, axis=1)
    run = Prepared(
        name="one",
        curves=Curves({"margin": margin}),
        labels=np.zeros(len(values), np.int64),
        probes=probes,
        trained=trained,
        untrained=Probes.of() if untrained is None else untrained,
    )
    return RunEvidence.of(run)


def planted(category: str, role: str, first: int, num: int) -> Probes:
    rows = np.arange(first, first + num)
    return Probes(rows, np.full(num, category), np.full(num, role), np.full(num, -1))


def test_held_out_probes_alone_are_judged_by_what_stands_beside_them():
    """Fit probes lie where they would turn every area; foreign ones are neither wrong nor right."""
    rng = np.random.default_rng(3)
    parts = [
        planted("noisy", "held_out", N, 30),
        planted("noisy", "fit", N + 30, 30),
        planted("atypical", "held_out", N + 60, 20),
        planted("ood", "held_out", N + 80, 20),
        planted("atypical", "held_out", 0, 10),
    ]
    values = rng.normal(0, 1, N + 100)
    values[N : N + 30] += 2
    values[N + 30 : N + 60] -= 50
    values[N + 80 :] += 50
    trained, ranked = np.ones(N, bool), np.ones(N, bool)
    ranked[290:] = False
    values[290:N] += 50
    one = made(values, trained=trained, probes=Probes.of(*parts))
    found = order_quality([one], [WRONG, RIGHT, NEITHER], np.zeros(N, bool), ranked)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    (of_run,) = found["runs"]
    assert (of_run["run"], of_run["not_trained_on"], found["top_list"]) == ("one", None, None)
    told = of_run["trained_on"]
    right = np.r_[0:10, N + 60 : N + 80]
    for part, others in (("against_right", right), ("against_examples", np.arange(10, 290))):
        area = roc_auc_score([1] * 30 + [0] * len(others), [*values[N : N + 30], *values[others]])
        assert told[part]["auroc"] == pytest.approx(area, abs=1e-4)
        assert told[part]["num"] == len(others)
    assert told["num_wrong"] == 30


def test_probes_that_were_not_trained_on_are_held_against_examples_that_were_not_either():
    """What a model never saw is harder on it: the first hundred examples, which it only scored."""
    values = np.random.default_rng(4).normal(0, 1, N + 30)
    values[:100] += 3
    values[:20] += 2
    trained = np.arange(N) >= 100
    unseen = Probes.of(planted("noisy", "held_out", 0, 20), planted("atypical", "held_out", 20, 20))
    seen = planted("noisy", "held_out", N, 30)
    one = made(values, trained=trained, probes=seen, untrained=unseen)
    found = order_quality([one], [WRONG, RIGHT], np.zeros(N, bool), np.ones(N, bool))["runs"][0]
    told = found["not_trained_on"]
    assert told["num_wrong"] == 20
    for part, others in (("against_right", np.arange(20, 40)), ("against_examples", np.arange(40, 100))):
        area = roc_auc_score([1] * 20 + [0] * len(others), [*values[:20], *values[others]])
        assert told[part]["auroc"] == pytest.approx(area, abs=1e-4)
        assert told[part]["num"] == len(others)
    assert found["trained_on"]["against_right"] is None, "no probe with a right label was trained"
    assert found["trained_on"]["against_examples"]["num"] == 200


def test_the_top_of_the_lists_is_compared_as_a_loop_would():
    rng = np.random.default_rng(5)
    strengths = [rng.normal(size=N) for _ in range(3)]
    strengths[1] = strengths[0] + 0.5 * strengths[1]
    strengths[2][7] = np.nan
    trained = [rng.random(N) < 0.8 for _ in range(3)]
    tagged = strengths[0] > 1
    lengths, shared, chance = [], 0, 0.0
    for first, second in ((0, 1), (0, 2), (1, 2)):
        both = [i for i in range(N) if trained[first][i] and trained[second][i]]
        both = [i for i in both if not np.isnan(strengths[first][i] + strengths[second][i])]
        length = sum(bool(tagged[i]) for i in both)
        tops = [set(sorted(both, key=lambda i: -strengths[run][i])[:length]) for run in (first, second)]
        lengths.append(length)
        shared += len(tops[0] & tops[1])
        chance += length * length / len(both)
    found = top_list(strengths, trained, tagged)
    assert found is not None
    assert found["flip_rate"] == pytest.approx(1 - shared / sum(lengths), abs=1e-5)
    assert found["by_chance"] == pytest.approx(1 - chance / sum(lengths), abs=1e-5)
    assert found["length"] == round(np.mean(lengths))
    assert found["num_examples"] == (np.sum(trained, axis=0) >= 2).sum()
    assert found["by_tags"]


def test_where_nothing_is_tagged_it_is_a_twentieth_and_with_one_run_nothing():
    strength = np.random.default_rng(6).normal(size=N)
    everything, nothing = np.ones(N, bool), np.zeros(N, bool)
    found = top_list([strength, strength], [everything] * 2, nothing)
    assert found == {"num_examples": N, "by_tags": False, "length": 15, "flip_rate": 0.0, "by_chance": 0.95}
    assert top_list([strength], [everything], nothing) is None
    assert top_list([strength, strength], [everything, nothing], nothing) is None


def test_lists_that_know_nothing_of_each_other_differ_by_chance():
    rng = np.random.default_rng(7)
    strengths = [rng.normal(size=4000) for _ in range(2)]
    found = top_list(strengths, [np.ones(4000, bool)] * 2, np.arange(4000) < 1000)
    assert found is not None
    assert found["flip_rate"] == pytest.approx(found["by_chance"], abs=0.05)
    assert found["by_chance"] == 0.75
