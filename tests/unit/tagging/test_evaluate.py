"""⑤ The report against counting and scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix as sklearns_confusion_matrix
from sklearn.metrics import precision_score, recall_score

from sondage.curves import Curves
from sondage.probes.plan import Probes
from sondage.probes.suite import CATEGORIES
from sondage.tagging.evaluate import confusion_matrix, evaluate, first_learned, stays_learned
from sondage.tagging.prepare import Prepared

NAMES = [category.name for category in CATEGORIES]


def prepared(category, role, right):
    """A run of probes alone; `right` says where the given label, 1, is predicted."""
    n = len(category)
    curves = Curves({"loss": np.ones((n, right.shape[1])), "predicted": right.astype(int)})
    rows = np.arange(n)
    return Prepared("r", curves, np.ones(n, int), Probes(rows, category, role, rows), np.ones(n, bool))


def example(n=200, seed=0):
    rng = np.random.default_rng(seed)
    category = np.array(NAMES)[rng.integers(5, size=n)]
    role = np.array(["fit", "held_out"])[rng.integers(2, size=n)]
    votes = rng.dirichlet(np.ones(5), n).astype(np.float32)
    return prepared(category, role, rng.random((n, 8)) < 0.5), votes


def report_of(run, votes, **more):
    return evaluate([(run, votes, 20)], CATEGORIES, protocol="p", warnings=[], **more).to_dict()


def test_confusion_precision_and_recall_are_scikit_learns():
    run, votes = example()
    held = run.probes.role == "held_out"
    actual, tagged = run.probes.category[held], np.array(NAMES)[votes[held].argmax(axis=1)]
    overall = report_of(run, votes)["overall"]
    counts = sklearns_confusion_matrix(actual, tagged, labels=NAMES)
    assert overall["confusion"]["counts"] == counts.tolist()
    np.testing.assert_allclose(overall["confusion"]["shares"], counts / counts.sum(axis=1, keepdims=True))
    for name, function in (("precision", precision_score), ("recall", recall_score)):
        expected = function(actual, tagged, labels=NAMES, average=None)
        np.testing.assert_allclose([overall[name][category] for category in NAMES], expected)
    assert overall["accuracy"] == pytest.approx((actual == tagged).mean())
    assert overall["num_held_out"] == held.sum()


def test_runs_are_pooled():
    first, second = example(seed=1), example(seed=2)
    both = evaluate([(*first, 20), (*second, 11)], CATEGORIES, protocol="", warnings=[]).to_dict()
    counts = [np.array(report_of(*one)["overall"]["confusion"]["counts"]) for one in (first, second)]
    assert both["overall"]["confusion"]["counts"] == (counts[0] + counts[1]).tolist()
    assert [run["k"] for run in both["runs"]] == [20, 11]


def test_equal_votes_go_to_the_first_category():
    counts = confusion_matrix(np.array(["noisy"]), np.array([[0.0, 0.5, 0.5, 0, 0]], np.float32), NAMES)
    assert counts[NAMES.index("noisy"), NAMES.index("atypical")] == 1


def slow_first(row):
    return next((float(epoch) for epoch, right in enumerate(row) if right), np.nan)


def slow_stays(row):
    return next((float(epoch) for epoch in range(len(row)) if all(row[epoch:])), np.nan)


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8)))
def test_epochs_of_learning_are_as_defined(right):
    np.testing.assert_array_equal(first_learned(right), [slow_first(row) for row in right])
    np.testing.assert_array_equal(stays_learned(right), [slow_stays(row) for row in right])


def test_epochs_of_learning_per_category():
    right = np.array([[0, 1, 1, 1], [1, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], bool)
    run = prepared(np.array(["atypical", "atypical", "noisy", "noisy"]), np.array(["held_out"] * 4), right)
    learned = report_of(run, np.eye(5, dtype=np.float32)[[1, 1, 2, 2]])["runs"][0]["learned"]
    assert set(learned) == {"atypical", "noisy"}
    assert learned["atypical"]["first"] == {"q25": 0.25, "median": 0.5, "q75": 0.75, "share_never": 0.0}
    assert learned["atypical"]["stays"]["median"] == 1.5
    assert learned["noisy"]["first"]["median"] == 3.0
    assert learned["noisy"]["first"]["share_never"] == 0.5


def test_what_was_never_learned_or_never_tagged_has_no_number():
    run = prepared(np.array(["noisy"]), np.array(["held_out"]), np.zeros((1, 6), bool))
    report = report_of(run, np.eye(5, dtype=np.float32)[[3]])
    assert report["runs"][0]["learned"]["noisy"]["first"]["median"] is None
    assert report["overall"]["precision"]["noisy"] is None
    assert report["overall"]["recall"]["ood"] is None
    assert report["overall"]["confusion"]["shares"][0] == [None] * 5


def test_margins_tell_what_was_learned_where_no_prediction_was_recorded():
    run, votes = example()
    margin = np.where(run.curves["predicted"] == 1, 0.5, -0.5)
    other = Prepared(
        "r", Curves({"loss": np.ones_like(margin), "margin": margin}), run.labels, run.probes, run.trained
    )
    assert report_of(other, votes)["runs"][0]["learned"] == report_of(run, votes)["runs"][0]["learned"]
    bare = Prepared("r", Curves({"loss": np.ones_like(margin)}), run.labels, run.probes, run.trained)
    assert report_of(bare, votes)["runs"][0]["learned"] == {}


def test_one_seed_warns_and_two_do_not():
    run, votes = example()
    assert any("One seed" in text for text in report_of(run, votes)["warnings"])
    two = evaluate([(run, votes, 20), (run, votes, 20)], CATEGORIES, protocol="p", warnings=[]).to_dict()
    assert two["warnings"] == []


def with_untrained(num, tested=True):
    """The example, with `num` held-out known examples that it only scored; without others, if not `tested`."""
    run, votes = example()
    rows = np.arange(num)
    category = np.array(NAMES)[rows % 5]
    apart = Probes(rows, category, np.full(num, "held_out"), rows)
    if not tested:
        fit = run.probes.role == "fit"
        run, votes = replace(run, probes=run.probes.take(fit)), votes[fit]
    return replace(run, untrained=apart), votes, np.eye(5, dtype=np.float32)[np.minimum(rows % 5, 3)]


def test_probes_that_were_not_trained_on_are_told_apart():
    run, votes, of_untrained = with_untrained(50)
    told = report_of(run, votes, untrained=[of_untrained])
    assert told["held_out_trained_on"] is True
    assert told["overall"] == report_of(run, votes)["overall"]
    assert told["not_trained_on"]["num_held_out"] == 50
    assert told["not_trained_on"]["accuracy"] == pytest.approx(0.8)
    assert told["not_trained_on"]["recall"]["corrupted"] == 0.0
    assert report_of(run, votes)["not_trained_on"] is None


def test_where_all_held_out_probes_were_only_scored_the_report_says_so():
    run, votes, of_untrained = with_untrained(50, tested=False)
    told = report_of(run, votes, untrained=[of_untrained])
    assert told["held_out_trained_on"] is False
    assert told["not_trained_on"] is None
    assert told["overall"]["num_held_out"] == 50
