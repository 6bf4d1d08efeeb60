"""⑤ Flips between runs against a loop over pairs, and the floor against other draws of probes."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from sondage.tagging.prepare import prepare
from sondage.tagging.reference import ReferenceTagger
from sondage.tagging.stability import MOST_SAMPLED, draw_sample, flips, floor_from_probes
from sondage.tagging.tag import tags_of
from tests.unit.tagging.conftest import World

NAMES = ("prototypical", "noisy", "ood")


def slow(tags, trained):
    """Over all ordered pairs of runs: how many differ, and per category of the first."""
    pairs = [
        (int(tags[one][i]), int(tags[other][i]))
        for one, other in permutations(range(len(tags)), 2)
        for i in range(len(tags[0]))
        if trained[one][i] and trained[other][i]
    ]
    rate = np.mean([a != b for a, b in pairs])
    own = {c: np.mean([a != b for a, b in pairs if a == c]) for c in {a for a, _ in pairs}}
    return rate, own


@pytest.mark.parametrize("num_runs", [2, 3, 5])
def test_rates_are_those_of_a_loop_over_pairs(num_runs):
    rng = np.random.default_rng(num_runs)
    tags = [rng.integers(-1, 3, 200) for _ in range(num_runs)]
    trained = [rng.random(200) < 0.7 for _ in range(num_runs)]
    found = flips(tags, trained, NAMES)
    rate, own = slow(tags, trained)
    assert found["flip_rate"] == pytest.approx(rate)
    assert found["by_category"] == pytest.approx({[*NAMES, "unsure"][code]: own[code] for code in own})
    assert found["num_examples"] == (np.sum(trained, axis=0) >= 2).sum()
    # Tags that know nothing of each other differ as often as chance says.
    assert found["flip_rate"] == pytest.approx(found["by_chance"], abs=0.1)


def test_only_what_both_trained_counts():
    tags = [np.array([0, 1, 2, 0]), np.array([0, 0, 2, 1])]
    trained = [np.array([True, True, True, False]), np.array([True, True, False, True])]
    found = flips(tags, trained, NAMES)
    assert found["flip_rate"] == 0.5
    assert found["exchanges"] == [{"categories": ["prototypical", "noisy"], "share": 1.0}]


def test_the_most_frequent_exchange_comes_first():
    tags = [np.array([0, 0, 0, 1, 0]), np.array([2, 2, 2, 0, 0])]
    found = flips(tags, [np.ones(5, bool)] * 2, NAMES)["exchanges"]
    assert [one["categories"] for one in found] == [["prototypical", "ood"], ["prototypical", "noisy"]]
    assert sum(one["share"] for one in found) == pytest.approx(1)


def test_one_run_has_no_rate():
    found = flips([np.array([0, 1])], [np.ones(2, bool)], NAMES)
    assert (found["flip_rate"], found["by_chance"], found["by_category"]) == (None, None, {})


def prepared(world: World, suite, overlap: float = 0.0):
    """With votes of their fit probes, as a tagging has them."""
    runs = [world.run(slot) for slot in (0, 1)]
    rng = np.random.default_rng(1)
    for run in runs:
        run.curves["loss"][:] += rng.normal(0, overlap, run.curves["loss"].shape).astype(np.float32)
    ready = prepare(runs, suite, len(world.labels), 0)
    names = tuple(dict.fromkeys(ready[0].probes.category.tolist()))
    return ready, names, [by(run, "fit", names).predict_proba(run.curves["loss"][:800]) for run in ready]


def by(run, role, names):
    chosen = run.probes.take(run.probes.role == role)
    return ReferenceTagger(3, names).fit(run.curves["loss"][chosen.row], chosen.category)


def test_the_floor_is_the_rate_between_fit_and_held_out_probes(world, suite):
    ready, names, votes = prepared(world, suite, overlap=1.0)
    sample = draw_sample(ready, 0)
    floor = floor_from_probes(ready, votes, [3, 3], names, sample, tags_of)
    rates = []
    for run, of_run in zip(ready, votes, strict=True):
        rows = sample[run.trained[sample]]
        other = by(run, "held_out", names).predict_proba(run.curves["loss"][rows])
        rates.append((of_run[rows].argmax(axis=1) != other.argmax(axis=1)).mean())
    assert floor == pytest.approx(np.mean(rates))
    assert floor > 0.1


def test_categories_that_are_far_apart_have_hardly_a_floor(world, suite):
    ready, names, votes = prepared(world, suite)
    floor = floor_from_probes(ready, votes, [3, 3], names, draw_sample(ready, 0), tags_of)
    assert floor is not None
    assert floor < 0.06


def test_without_held_out_probes_of_a_category_there_is_no_floor(world, suite):
    ready, names, votes = prepared(world, suite)
    bare = [
        replace(run, probes=run.probes.take((run.probes.role == "fit") | (run.probes.category != "noisy")))
        for run in ready
    ]
    assert floor_from_probes(bare, votes, [3, 3], names, draw_sample(bare, 0), tags_of) is None


def test_the_sample_is_bounded_trained_and_free_of_probes(world, suite):
    runs, _, _ = prepared(world, suite)
    sample = draw_sample(runs, 0)
    assert (np.diff(sample) > 0).all()
    assert not np.isin(sample, np.concatenate([run.probes.row for run in runs])).any()
    np.testing.assert_array_equal(sample, draw_sample(runs, 0))
    many = type(runs[0])("r", runs[0].curves, runs[0].labels, runs[0].probes, np.ones(20_000, bool))
    assert len(draw_sample([many], 0)) == MOST_SAMPLED
