"""What a tagging says of wrong labels before any review."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from sondage.curves import Curves
from sondage.tagging import probe_calibration, wrong_labels
from sondage.tagging.cut import cut_at
from sondage.tagging.error_families import flip_rows, likely_flips
from sondage.tagging.evidence import RunEvidence
from sondage.tagging.falling import falling
from sondage.tagging.habits import chance_by_habit
from sondage.tagging.prepare import prepare
from sondage.tagging.tag import RunCurves, tag_runs

NUM = 2_000


def _told(runs, suite):
    result = tag_runs(runs, suite, NUM)
    return result, result.report.to_dict()["wrong_labels"]


@pytest.fixture(scope="module")
def many():
    from tests.unit.tagging.conftest import World

    world = World.make(NUM)
    return world, [world.run(slot) for slot in (0, 1)]


def test_errors_like_flips_are_counted_and_the_tags_follow(many, suite):
    world, runs = many
    result, told = _told(runs, suite)
    assert result.report.to_dict()["calibration"] == "probes"
    share = told["share_wrong"]
    assert share["value"] == pytest.approx(world.wrong.mean(), abs=0.02)
    assert share["low"] < share["value"] < share["high"]
    curve = told["curve"]
    assert (np.diff(curve["place"]) > 0).all()
    for name in ("probability", "low", "high"):
        assert (np.diff(curve[name]) <= 1e-9).all()
    first = next(one for one in told["top_lists"] if one["k"] == 100)
    assert first["value"] == pytest.approx(world.wrong[result.order[:100]].mean(), abs=0.15)
    cut = cut_at(told, told["threshold"], NUM)
    noisy = np.array(result.tag_names()) == "noisy"
    np.testing.assert_array_equal(noisy, cut.holds(result.position))
    assert cut.precision == pytest.approx(world.wrong[noisy].mean(), abs=0.2)
    assert cut.recall > 0.8
    json.dumps(told, allow_nan=False)


def _with_hard_ones(world, suite) -> list[RunCurves]:
    """Nothing is wrong, and the hard examples are learned so late that nearly all votes are for flips."""
    kinds = np.where(world.wrong, "hard", world.kinds)
    runs = []
    for slot in (0, 1):
        run = replace(world, kinds=kinds).run(slot)
        channels = {name: values.copy() for name, values in run.curves.channels.items()}
        hard = np.flatnonzero(kinds == "hard")
        channels["loss"][hard] += np.linspace(0, 0.6, len(hard))[:, None]
        channels["margin"] = 1.4 - channels["loss"]
        seen = channels["predicted"] >= 0
        other = (run.labels + np.arange(len(run.labels)) % 2 * 2 + 1)[:, None] % 4
        channels["predicted"] = np.where(
            seen, np.where(channels["loss"] < 1.4, run.labels[:, None], other), -1
        )
        runs.append(replace(run, curves=Curves(channels)))
    return runs


def test_hard_examples_are_not_tagged_wrong_and_the_share_is_a_range(many, suite):
    world, _ = many
    result, told = _told(_with_hard_ones(world, suite), suite)
    report = result.report.to_dict()
    assert report["calibration"] == "none"
    assert told["warning"] == report["warnings"][0]
    assert "review a sample of 100" in told["warning"].lower()
    assert told["share_wrong"]["value"] is None
    assert told["share_wrong"]["low"] <= 0.01
    assert told["share_wrong"]["high"] > 0.1
    assert {family["name"] for family in told["families"]} >= {"uniform", "ceiling"}
    assert all(family["assumption"] for family in told["families"])
    assert (np.array(result.tag_names()) == "noisy").mean() <= 0.02
    assert cut_at(told, 0.3, NUM).num > 50


def _confused_both_ways(runs) -> list[RunCurves]:
    """No pair of classes goes one way: what is predicted otherwise is the class before or after the given one."""
    out = []
    for run in runs:
        predicted = run.curves["predicted"]
        given = run.labels[:, None]
        step = np.random.default_rng(0).choice([1, 3], len(given))[:, None]
        predicted = np.where((predicted >= 0) & (predicted != given), (given + step) % 4, predicted)
        out.append(replace(run, curves=Curves({**run.curves.channels, "predicted": predicted})))
    return out


def test_with_two_classes_flips_tag_nothing_and_the_range_starts_at_nothing(many, suite, monkeypatch) -> None:
    """Runs whose flips tell with four classes."""
    runs = _confused_both_ways(many[1])
    assert "noisy" in _told(runs, suite)[0].tag_names()
    monkeypatch.setattr(probe_calibration, "FEWEST_CLASSES", 5)
    result, told = _told(runs, suite)
    assert told["share_wrong"]["value"] is None
    assert told["share_wrong"]["low"] == 0
    assert told["share_wrong"]["high"] > many[0].wrong.mean()
    assert set(told["curve"]["low"]) == {0.0}
    assert "By these assumptions 0.0% to" in told["warning"]
    low = cut_at(told, 0.3, NUM)
    assert (low.num > 50, low.precision_low, low.precision) == (True, 0, None)
    assert "noisy" not in result.tag_names()
    assert max(told["curve"]["probability"]) <= 0.5
    assert "only what looks like a habit is tagged" in told["warning"]


def test_with_the_warning_and_no_prediction_anything_may_be_wrong(many, suite) -> None:
    runs = []
    for run in _with_hard_ones(many[0], suite):
        channels = {name: values for name, values in run.curves.channels.items() if name != "predicted"}
        runs.append(replace(run, curves=Curves(channels)))
    result, told = _told(runs, suite)
    assert told["warning"]
    assert told["share_wrong"] == {"value": None, "low": 0, "high": 1}
    family = next(one for one in told["families"] if one["name"] == "ceiling")
    assert family["share"] == 1
    assert "no prediction was recorded" in family["assumption"]
    assert "noisy" not in result.tag_names()
    assert set(told["curve"]["high"]) == {1.0}


def test_where_right_labels_look_like_flips_the_assumption_says_so(many, suite, monkeypatch) -> None:
    _, told = _told(many[1], suite)
    assert told["overlap"] < probe_calibration.MOST_OVERLAP
    assert wrong_labels.TOO_HIGH not in told["assumption"]
    monkeypatch.setattr(wrong_labels, "MOST_OVERLAP", told["overlap"] - 1e-3)
    assert _told(many[1], suite)[1]["assumption"].endswith(wrong_labels.TOO_HIGH)


def test_flips_are_those_in_the_place_of_an_example(many, suite):
    _, runs = many
    prepared = prepare(runs, suite, NUM, 0)
    flips = [flip_rows(run, suite) for run in prepared]
    for run, mask in zip(prepared, flips, strict=True):
        assert set(run.probes.category[mask].tolist()) == {"noisy"}
        assert (run.probes.row[mask] >= NUM).all()
    for run, mask, all_of_them in zip(prepared, likely_flips(prepared, flips), flips, strict=True):
        assert not (mask & ~all_of_them).any()
        rows, source = run.probes.row[mask], run.probes.source_row[mask]
        # In this world the other class that is predicted is always the next one.
        np.testing.assert_array_equal(run.labels[rows], (run.labels[source] + 1) % 4)
    assert not likely_flips(prepared[:1], flips[:1])[0].any()


def test_without_flips_tags_go_by_votes_and_nothing_is_estimated(world, suite):
    without = replace(suite, generators=tuple(one for one in suite.generators if one.name != "flip"))
    runs = [world.run(slot, definition=without) for slot in (0, 1)]
    told = tag_runs(runs, without, 800).report.to_dict()["wrong_labels"]
    assert (told["method"], told["share_wrong"], told["top_lists"]) == ("votes", None, [])


def test_long_rankings_are_fitted_by_means_of_neighbours() -> None:
    """Against the whole: the same within what a neighbour changes, the same mean, NaN left out."""
    rng = np.random.default_rng(0)
    values = np.clip(1 - np.arange(45_000) / 20_000, 0, 1) * rng.random(45_000)
    values[::7] = np.nan
    found = falling(values)
    assert (np.diff(found) <= 0).all()
    place, known = np.arange(len(values)), np.isfinite(values)
    whole = IsotonicRegression(increasing=False).fit_transform(place[known], values[known])
    assert found[known].mean() == pytest.approx(whole.mean(), abs=1e-4)
    assert np.abs(found[known] - whole).mean() < 1e-3
    assert (falling(np.full(3, np.nan)) == 0).all()


def _with_a_habit(world) -> tuple[list[RunCurves], np.ndarray]:
    """150 examples of class 0 are labelled 1 by habit, and learned like hard ones, which are confused both ways."""
    rng = np.random.default_rng(1)
    chosen = rng.choice(np.flatnonzero((world.labels == 1) & (world.kinds == "easy")), 150, replace=False)
    kinds = np.full(NUM, "easy")
    kinds[rng.permutation(NUM)[:60]] = "hard"
    kinds[chosen] = "hard"
    runs = []
    for slot in (0, 1):
        run = replace(world, kinds=kinds).run(slot)
        predicted = run.curves["predicted"].copy()
        wrong_ones = (predicted >= 0) & (predicted != run.labels[:, None])
        predicted = np.where(wrong_ones, (run.labels[:, None] + 2) % 4, predicted)
        predicted[chosen] = np.where(wrong_ones[chosen], 0, predicted[chosen])
        runs.append(
            replace(run, curves=Curves({**run.curves.channels, "predicted": predicted.astype(np.int64)}))
        )
    return runs, chosen


def test_a_pair_that_goes_one_way_is_tagged_though_it_does_not_look_like_flips(many, suite):
    world, _ = many
    runs, chosen = _with_a_habit(world)
    prepared = prepare(runs, suite, NUM, 0)
    chance = chance_by_habit([RunEvidence.of(run) for run in prepared])
    against = np.flatnonzero(chance)
    assert len(against) > 30
    assert np.isin(against, chosen).mean() > 0.9
    assert chance[against].min() > 0.7
    result, told = _told(runs, suite)
    assert told["warning"]
    assert "habit" in {family["name"] for family in told["families"]}
    noisy = np.flatnonzero(np.array(result.tag_names()) == "noisy")
    assert np.isin(noisy, chosen).mean() > 0.7
    assert len(noisy) > 20
