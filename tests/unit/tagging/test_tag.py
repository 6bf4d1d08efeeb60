"""⑤ Tagging of made-up runs whose truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from sondage.curves import Curves
from sondage.errors import InvalidInput
from sondage.probes.plan import Probes, assign_roles
from sondage.probes.suite import CATEGORIES, Category, Generator, SuiteDefinition, default_suite
from sondage.scores.ranking import precision_at, recall_at
from sondage.tagging.tag import NO_TAG, RunCurves, suspicion_of, suspicious_order, tag_runs, tags_of

SUITE = default_suite()


def test_wrong_labels_stand_on_top_and_tags_are_right(world, runs):
    result = tag_runs(runs, SUITE, 800)
    planted = int(world.wrong.sum())
    assert precision_at(result.order, world.wrong, planted) > 0.97
    assert recall_at(result.order, world.wrong, 2 * planted) == 1.0
    tags = np.array(result.tag_names())
    assert (tags[world.wrong] == "noisy").mean() > 0.9
    assert (tags[world.kinds == "hard"] == "atypical").mean() > 0.8
    assert np.isin(tags[world.kinds == "easy"], ["prototypical", "corrupted"]).mean() > 0.95


def test_the_list_and_its_suspicion_follow_the_evidence(runs):
    result = tag_runs(runs, SUITE, 800)
    assert (np.diff(result.suspicion[result.order]) <= 0).all()
    assert len(np.unique(result.suspicion)) >= 3
    assert result.report.to_dict()["tagger"] == "evidence"


def test_the_reference_tagger_orders_and_tags_by_its_votes(runs):
    reference = tag_runs(runs, SUITE, 800, tagger="reference")
    np.testing.assert_array_equal(reference.tag, tags_of(reference.probabilities))
    votes = suspicion_of(reference.probabilities, reference.categories)
    np.testing.assert_array_equal(reference.suspicion, votes)
    np.testing.assert_array_equal(reference.order, suspicious_order(votes, reference.mean_loss))
    report = reference.report.to_dict()
    assert (report["tagger"], report["calibration"], report["wrong_labels"]) == ("reference", "none", None)


def test_a_look_that_speaks_against_an_example_moves_it_up(world, runs):
    before = tag_runs(runs, SUITE, 800).position
    row = int(np.flatnonzero(world.kinds == "hard")[0])
    looks = []
    for run in runs:
        margins = np.full(run.curves.num_rows, 0.9, np.float32)
        margins[run.probes.row[run.probes.category == "noisy"]] = -0.5  # not learned by heart
        margins[row] = -0.9
        looks.append(replace(run, looks={2: margins}))
    assert tag_runs(looks, SUITE, 800).position[row] < before[row]


def test_every_example_is_tagged_by_the_runs_that_trained_it(runs):
    result = tag_runs(runs, SUITE, 800)
    assert not np.isnan(result.suspicion).any()
    assert not result.displaced.any()
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, rtol=1e-5)
    only_second = runs[0].displaced
    alone = result.probabilities[only_second] * result.report.runs[1].k
    np.testing.assert_allclose(alone, alone.round(), atol=1e-4)


def test_a_tag_is_the_mean_of_scikit_learns_votes(runs):
    """Each run by itself, fit probes of the result in hand; example by example, left out where it is a probe."""
    result = tag_runs(runs, SUITE, 800)
    names = [category.name for category in result.categories]
    votes = []
    for run, probes in zip(runs, result.probes, strict=True):
        loss = run.curves["loss"].astype(np.float64)
        fit = probes.take(probes.role == "fit")
        k = min(20, np.unique(fit.category, return_counts=True)[1].min() // 4)
        own = np.full((800, len(names)), np.nan)
        for row in range(0, 800, 7):
            if np.isnan(loss[row]).any():
                continue
            others = fit.take(fit.row != row)
            knn = KNeighborsClassifier(k, algorithm="brute").fit(loss[others.row], others.category)
            own[row] = knn.predict_proba(loss[[row]])[0][[knn.classes_.tolist().index(n) for n in names]]
        votes.append(own)
    expected = np.nanmean(np.stack(votes)[:, ::7], axis=0)
    np.testing.assert_allclose(result.probabilities[::7], expected, atol=1e-5)


def test_the_same_seed_gives_the_same_tags(runs):
    one, two = tag_runs(runs, SUITE, 800, seed=3), tag_runs(runs, SUITE, 800, seed=3)
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    np.testing.assert_array_equal(one.order, two.order)
    other = tag_runs(runs, SUITE, 800, seed=4).probes[0]
    assert sorted(zip(other.row, other.role, strict=True)) != sorted(
        zip(one.probes[0].row, one.probes[0].role, strict=True)
    )


def test_chosen_probes_come_from_the_other_run(runs):
    """Shuffle the second run's curves: the first run is given other probes, the second the same."""
    before = tag_runs(runs, SUITE, 800).probes
    seen = np.flatnonzero(runs[1].curves.ever_seen()[:800])
    loss = runs[1].curves["loss"].copy()
    loss[seen] = loss[np.random.default_rng(0).permutation(seen)]
    curves = Curves(dict(runs[1].curves.channels) | {"loss": loss})
    shuffled = RunCurves(curves, runs[1].labels, runs[1].probes, runs[1].displaced, "shuffled")
    after = tag_runs([runs[0], shuffled], SUITE, 800).probes
    chosen = [
        [set(of.row[np.isin(of.category, ["prototypical", "atypical"])].tolist()) for of in when]
        for when in (before, after)
    ]
    assert chosen[1][1] == chosen[0][1]
    assert chosen[1][0] != chosen[0][0]


def test_chosen_probes_are_right_trained_and_balanced(world, runs):
    result = tag_runs(runs, SUITE, 800)
    for run, probes in zip(runs, result.probes, strict=True):
        counts = dict(zip(*np.unique(probes.category, return_counts=True), strict=True))
        assert len(set(counts.values())) == 1
        rows = probes.row[np.isin(probes.category, ["prototypical", "atypical"])]
        assert not np.isin(rows, run.displaced).any()
        assert world.wrong[rows].mean() < 0.03
        hard = probes.row[probes.category == "atypical"]
        assert (world.kinds[hard] == "hard").mean() > 0.9


def test_one_run_draws_prototypical_at_random_and_says_so(world):
    run = world.run(0, 1)
    result = tag_runs([run], SUITE, 800)
    assert [category.name for category in result.categories] == ["prototypical", "noisy", "ood", "corrupted"]
    assert any("One run only" in text for text in result.report.warnings)
    assert any("One seed" in text for text in result.report.warnings)
    np.testing.assert_array_equal(np.flatnonzero(result.displaced), np.sort(run.displaced))
    assert np.isnan(result.suspicion[run.displaced]).all()
    assert (result.tag[run.displaced] == NO_TAG).all()
    assert set(result.order[-len(run.displaced) :].tolist()) == set(run.displaced.tolist())
    assert result.tag_names()[run.displaced[0]] == "unsure"
    trained = np.setdiff1d(np.arange(800), run.displaced)
    top = result.order[: int(world.wrong[trained].sum())]
    assert world.wrong[top].mean() > 0.95


def test_examples_of_other_splits_are_neither_tagged_nor_displaced(world):
    runs = [world.run(slot) for slot in (0, 1)]
    untrained = np.setdiff1d(np.arange(60), np.concatenate([run.displaced for run in runs]))
    for run in runs:
        for name in run.curves.channels:
            run.curves[name][untrained] = -1 if name == "predicted" else np.nan
    result = tag_runs(runs, SUITE, 800)
    assert np.isnan(result.suspicion).sum() == len(untrained)
    assert np.isnan(result.suspicion[untrained]).all()
    assert not result.displaced.any()
    assert (result.suggested_label[untrained] == -1).all()


def uploaded(world, name="prototypical"):
    """Twelve known examples of each kind, as a user would send them."""
    rows = np.concatenate([np.flatnonzero(world.kinds == kind)[:12] for kind in ("noisy", "hard", "easy")])
    categories = np.repeat(["noisy", "atypical", name], 12)
    roles = assign_roles(categories, 0.5, np.random.default_rng(0))
    members = tuple((str(row), category) for row, category in zip(rows, categories.tolist(), strict=True))
    own = () if name == "prototypical" else (Category(name, None),)
    return SuiteDefinition("mine", members=members, categories=own), Probes(rows, categories, roles, rows)


def bare_run(world, probes):
    """A run in which nothing was planted."""
    planted = world.run(0, 1)
    from_planted = planted.curves.take(slice(800)).fill()
    loss = from_planted["loss"].copy()
    loss[np.isnan(loss)] = 3.0
    return RunCurves(Curves({"loss": loss}), world.labels, probes, np.zeros(0, np.int64), "bare")


def test_an_uploaded_suite_works_on_a_run_already_recorded(world):
    definition, probes = uploaded(world)
    result = tag_runs([bare_run(world, probes)], definition, 800)
    assert [category.name for category in result.categories] == ["prototypical", "atypical", "noisy"]
    assert result.report.runs[0].k == 1
    assert any("k = 1" in text for text in result.report.warnings)
    np.testing.assert_array_equal(result.probes[0].row, probes.row)
    head = result.order[:40]
    # Displaced rows of the made-up run were given flat losses, as wrong labels have.
    assert (world.wrong | (result.mean_loss > 2.5))[head].mean() > 0.9


def test_known_examples_without_a_curve_are_left_out_with_a_warning(world):
    definition, probes = uploaded(world)
    run = bare_run(world, probes)
    run.curves["loss"][probes.row[:3]] = np.nan
    result = tag_runs([run], definition, 800)
    assert len(result.probes[0]) == len(probes) - 3
    assert any("3 of 36 probes have no curve" in text for text in result.report.warnings)


def test_a_category_of_the_users_own_that_is_not_applicable_counts_half(world):
    definition, probes = uploaded(world, "twin")
    result = tag_runs([bare_run(world, probes)], definition, 800, tagger="reference")
    assert [category.name for category in result.categories] == ["atypical", "noisy", "twin"]
    easy = world.kinds == "easy"
    assert np.median(result.suspicion[easy]) == 0.5


def test_probes_of_one_category_alone_are_refused(world):
    definition, probes = uploaded(world)
    run = bare_run(world, probes)
    run.curves["loss"][probes.row[probes.category != "noisy"]] = np.nan
    with pytest.raises(InvalidInput, match="two at least are needed"):
        tag_runs([run], definition, 800)


def test_a_run_that_never_fits_anything_says_that_probes_are_missing(world):
    runs = [world.run(slot) for slot in (0, 1)]
    for run in runs:
        run.curves["predicted"][:800] = np.where(
            run.curves["predicted"][:800] < 0, -1, (run.labels[:800, None] + 1) % 4
        )
    result = tag_runs(runs, SUITE, 800)
    assert "atypical" not in [category.name for category in result.categories]
    assert any("Only 0 of" in text and "atypical" in text for text in result.report.warnings)


def test_what_is_no_run_of_this_dataset_is_refused(runs):
    with pytest.raises(InvalidInput, match="at least one run"):
        tag_runs([], SUITE, 800)
    with pytest.raises(InvalidInput, match="another dataset version"):
        tag_runs(runs, SUITE, 5000)
    no_loss = RunCurves(
        Curves({"margin": runs[0].curves["margin"]}), runs[0].labels, runs[0].probes, runs[0].displaced
    )
    with pytest.raises(InvalidInput, match="no loss curves"):
        tag_runs([no_loss], SUITE, 800)


def test_k_can_be_chosen_and_is_bounded_by_the_probes(runs):
    assert {run.k for run in tag_runs(runs, SUITE, 800, k=3).report.runs} == {3}
    largest = tag_runs(runs, SUITE, 800, k=10_000).report.runs[0]
    assert largest.k == sum(of["fit"] for of in largest.num_probes.values())


def test_progress_ends_at_one(runs):
    said = []
    tag_runs(runs, SUITE, 800, on_progress=said.append)
    assert said == sorted(said)
    assert said[-1] == 1.0


def test_suspicion_of_mixed_votes():
    names = [category.name for category in CATEGORIES]
    votes = np.zeros((5, 5), np.float32)
    votes[0, names.index("noisy")] = 1
    votes[1, names.index("ood")] = 1
    votes[2, [names.index("noisy"), names.index("ood")]] = 0.5
    votes[3, [names.index("atypical"), names.index("corrupted")]] = 0.5
    votes[4] = np.nan
    np.testing.assert_array_equal(suspicion_of(votes, CATEGORIES), np.float32([1, 0.5, 0.75, 0, np.nan]))


def test_equal_votes_are_equal_suspicion():
    """0.1 + 0.2 is not 0.3 in floats: the mean loss must decide, not rounding."""
    votes = np.array([[0.7, 0, 0.3, 0, 0], [0.1, 0.6, 0.1 + 0.2, 0, 0], [0.4, 0.2, 0.2, 0.2, 0]], np.float32)
    assert len(set(suspicion_of(votes, CATEGORIES).tolist())) == 1


def test_ties_in_suspicion_go_by_loss_then_index_and_nan_last():
    suspicion = np.array([0.5, np.nan, 1.0, 0.5, 0.5], np.float32)
    loss = np.array([1.0, np.nan, 0.1, 2.0, 1.0], np.float32)
    assert suspicious_order(suspicion, loss).tolist() == [2, 3, 0, 4, 1]


def test_position_is_the_place_in_the_order(runs):
    result = tag_runs(runs, SUITE, 800)
    np.testing.assert_array_equal(result.order[result.position], np.arange(800))


def test_the_first_of_equally_probable_categories_wins():
    assert tags_of(np.array([[0.4, 0.4, 0.2], [0, 0.5, 0.5], [np.nan] * 3], np.float32)).tolist() == [
        0,
        1,
        -1,
    ]


def test_the_report_goes_through_json(runs):
    report = tag_runs(runs, SUITE, 800, protocol="training pass, shifts").report.to_dict()
    again = json.loads(json.dumps(report, allow_nan=False))
    assert again == report
    assert again["protocol"] == "training pass, shifts"
    assert again["overall"]["accuracy"] > 0.8
    assert len(again["runs"]) == 2


def test_a_suite_without_generators_that_select_needs_no_second_run(world):
    suite = SuiteDefinition("two", (Generator("flip"), Generator("corrupt")))
    result = tag_runs([world.run(0, 1, suite)], suite, 800)
    assert [category.name for category in result.categories] == ["noisy", "corrupted"]
    assert not any("One run only" in text for text in result.report.warnings)


def test_a_suite_without_wrong_labels_says_that_suspicion_is_empty(world):
    suite = SuiteDefinition("two", (Generator("scramble"), Generator("corrupt")))
    result = tag_runs([world.run(0, 1, suite)], suite, 800)
    assert any("add noisy probes" in text for text in result.report.warnings)
    assert np.nanmax(result.suspicion) <= 0.5


def scored_out_of_sample(run):
    """The same run, with curves of its displaced examples: high and flat, as of wrong labels."""
    loss = run.curves["loss"].copy()
    loss[run.displaced] = 3.1
    curves = Curves(dict(run.curves.channels) | {"loss": loss})
    return RunCurves(curves, run.labels, run.probes, run.displaced, run.name)


def test_a_displaced_example_is_scored_out_of_sample_where_nothing_else_is_known(world):
    run = scored_out_of_sample(world.run(0, 1))
    result = tag_runs([run], SUITE, 800)
    assert (result.suspicion[run.displaced] > 0.5).all()
    np.testing.assert_array_equal(np.flatnonzero(result.displaced), np.sort(run.displaced))
    assert not np.isin(run.displaced, result.probes[0].row).any()


def test_a_run_that_trained_the_example_outweighs_one_that_only_scored_it(runs):
    plain = tag_runs(runs, SUITE, 800)
    scored = tag_runs([scored_out_of_sample(run) for run in runs], SUITE, 800)
    np.testing.assert_array_equal(scored.probabilities, plain.probabilities)
    np.testing.assert_array_equal(scored.order, plain.order)
    assert not scored.displaced.any()


# ---- what the report says of the runs together


def test_the_report_counts_examples(world, runs):
    for run in runs:  # the first three are of another split
        for name, values in run.curves.channels.items():
            values[:3] = -1 if name == "predicted" else np.nan
    both = tag_runs(runs, SUITE, 800)
    displaced = int(both.displaced.sum())
    assert sum(both.report.to_dict()["num_examples"].values()) == 800 + displaced
    assert both.report.num_examples["tagged"] == 797
    assert both.report.num_examples["not_trained"] == 3 - displaced
    alone = world.run(0, 1)
    of_one = tag_runs([alone], SUITE, 800).report.num_examples
    num = len(alone.displaced)
    assert of_one == {"tagged": 800 - num, "without_suspicion": num, "displaced": num, "not_trained": 0}
    scored = tag_runs([scored_out_of_sample(alone)], SUITE, 800).report.num_examples
    assert scored == {"tagged": 800, "without_suspicion": 0, "displaced": num, "not_trained": 0}


def test_runs_started_one_by_one_are_told_that_they_displace_the_same(world, runs):
    result = tag_runs([world.run(0, 1), world.run(0, 1)], SUITE, 800)
    num = int(result.displaced.sum())
    assert num
    (said,) = [text for text in result.report.warnings if "more than one run" in text]
    assert said.startswith(f"{num} examples")
    assert "all seeds together" in said
    assert not any("more than one run" in text for text in tag_runs(runs, SUITE, 800).report.warnings)


def test_a_category_that_one_run_lacks_is_left_out_in_all(world):
    """Runs whose fit probes are of fewer categories give the missing one's votes to others."""
    runs = [world.run(slot) for slot in (0, 1)]
    last = runs[1]
    kept = last.probes.take(last.probes.category != "corrupted")
    runs[1] = RunCurves(last.curves, last.labels, kept, last.displaced, last.name)
    result = tag_runs(runs, SUITE, 800)
    names = [category.name for category in result.categories]
    assert names == ["prototypical", "atypical", "noisy", "ood"]
    assert all("corrupted" not in run.num_probes for run in result.report.runs)
    assert all("corrupted" not in probes.category for probes in result.probes)
    (said,) = [text for text in result.report.warnings if "is left out" in text]
    assert "corrupted" in said
    assert "run-1" in said
    totals = result.probabilities.sum(axis=1)
    np.testing.assert_allclose(totals, 1, atol=1e-5)


def test_a_loss_that_diverged_is_no_small_loss(world, runs):
    """Finite, then NaN though the model was asked: not the small loss that was there before."""
    broken = np.flatnonzero(world.kinds == "easy")[:5]
    broken = broken[~np.isin(broken, np.concatenate([run.displaced for run in runs]))]
    for run in runs:
        run.curves["loss"][broken, 3:] = np.nan
        run.curves["margin"][broken, 3:] = np.nan
    result = tag_runs(runs, SUITE, 800)
    assert (result.suspicion[broken] >= 0.5).all()


def test_examples_of_other_splits_that_were_scored_tell_how_it_does_out_of_sample(world):
    """Every second held-out example is of another split; the run scored it all the same."""
    definition, probes = uploaded(world)
    run = bare_run(world, probes)
    others = np.sort(probes.row[probes.role == "held_out"])[::2]
    told = tag_runs([replace(run, other_splits=others)], definition, 800)
    report = told.report.to_dict()
    assert report["held_out_trained_on"] is True
    assert report["not_trained_on"]["num_held_out"] == len(others) == 9
    assert report["overall"]["num_held_out"] == 9
    assert not np.isin(told.probes[0].row, others).any()
    assert report["per_class"]["num_examples"] == 791
    alone = tag_runs([run], definition, 800).report.to_dict()
    assert alone["not_trained_on"] is None
    assert alone["overall"]["num_held_out"] == (probes.role == "held_out").sum()


def test_a_displaced_known_example_that_was_scored_is_told_apart(world):
    definition, probes = uploaded(world)
    run = bare_run(world, probes)
    displaced = probes.row[probes.role == "held_out"][:5]
    report = tag_runs([replace(run, displaced=displaced)], definition, 800).report.to_dict()
    assert report["not_trained_on"]["num_held_out"] == 5
    assert not any("no curve" in text for text in report["warnings"])


def test_the_report_has_its_parts(world, runs):
    report = tag_runs(runs, SUITE, 800, class_names=["ant", "bee", "cat", "dog"]).report.to_dict()
    assert 0 < report["stability"]["flip_rate"] < report["stability"]["by_chance"]
    assert report["stability"]["from_probes"] < 0.1
    assert report["settling"]["settled_after"] in range(1, 12)
    assert {one["name"] for one in report["per_class"]["classes"]} == {"ant", "bee", "cat", "dog"}
    assert sum(one["num_examples"] for one in report["per_class"]["classes"]) == 800
    for one in report["order_quality"]["runs"]:
        told = one["trained_on"]["against_right"]
        assert 0.5 < told["low"] <= told["auroc"] <= told["high"] <= 1
        assert one["not_trained_on"] is None
    top = report["order_quality"]["top_list"]
    assert top["flip_rate"] < top["by_chance"]
    assert tag_runs(runs, SUITE, 800, tagger="reference").report.to_dict()["order_quality"] is None
    apart = [one["category"] for one in report["suite_fit"]["separability"]]
    assert apart == [category["name"] for category in report["categories"]]


def test_examples_of_other_splits_are_not_listed(runs):
    """Though they were scored: their place would shift those of the train split."""
    others = np.arange(700, 800)
    result = tag_runs([replace(run, other_splits=others) for run in runs], SUITE, 800)
    assert np.isnan(result.suspicion[others]).all()
    assert np.isfinite(result.suspicion[:700]).all()
    assert (result.position[others] >= 700).all()
    assert result.report.to_dict()["num_examples"]["tagged"] == 700
