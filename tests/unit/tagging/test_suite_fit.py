"""⑤ Warnings that the suite does not fit: each where it must be given, and where it must not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from sondage.tagging.shares import interval, least_difference
from sondage.tagging.suite_fit import mixed, separability, too_few, too_short
from sondage.tagging.tag import tag_runs
from tests.unit.tagging.conftest import World, curves_of

NAMES = ("prototypical", "atypical", "noisy")


def warned(result, *words):
    return [text for text in result.report.warnings if all(word in text for word in words)]


# ---- categories that are not told apart


def test_a_category_that_is_not_told_apart_is_named_with_what_it_is_taken_for():
    confusion = np.array([[90, 8, 2], [10, 85, 5], [8, 82, 10]])
    told = [one.warning for one in separability(confusion, NAMES)]
    assert told[0] is None
    assert told[1] == (
        "Category atypical is hardly told apart: 85% of its 100 held-out probes get its tag, and 82% of the noisy "
        "probes do. It is confused most with noisy, for which 5% of its probes are taken: read these two tags as one. "
        "More probes, more epochs or probes that differ more may part them."
    )
    assert "Category noisy is hardly told apart: 10% of its 100" in told[2]
    assert "confused most with atypical, for which 82%" in told[2]


def test_the_margin_accounts_for_counts():
    """Half of them right against a quarter of the others: told apart by 400 probes, not by 12."""
    many = np.array([[200, 100, 100], [100, 200, 100], [100, 100, 200]])
    assert [one.warning for one in separability(many, NAMES)] == [None] * 3
    assert all(one.warning for one in separability(many * 3 // 100, NAMES))
    of_four = np.array([[1, 0, 3], [0, 50, 0], [0, 0, 50]])
    assert separability(of_four, NAMES)[0].warning is None  # too few to say so: that is another warning


def test_the_category_most_like_it_is_the_one_compared_with():
    found = separability(np.array([[60, 10, 30], [2, 98, 0], [45, 5, 50]]), NAMES)
    assert [(one.recall, one.like, one.chance) for one in found] == [
        (0.6, "noisy", 0.45),
        (0.98, "prototypical", 0.1),
        (0.5, "prototypical", 0.3),
    ]
    assert (found[0].confused_with, found[0].share_taken) == ("noisy", 0.3)


def test_categories_without_held_out_probes_are_left_out():
    found = separability(np.array([[9, 1, 0], [0, 0, 0], [0, 2, 8]]), NAMES)
    assert [one.category for one in found] == ["prototypical", "noisy"]
    assert separability(np.array([[9, 1, 0], [0, 0, 0], [0, 0, 0]]), NAMES) == []


def test_probes_that_look_alike_are_warned_of_in_a_tagging(suite):
    """Damaged inputs whose losses stay as high as those of wrong labels."""
    world = World.make(2_000)
    runs = [world.run(slot) for slot in (0, 1)]
    assert not warned(tag_runs(runs, suite, 2_000), "hardly told apart")
    for run in runs:
        damaged = run.probes.row[run.probes.category == "corrupted"]
        curves = curves_of(np.full(len(damaged), "noisy"), run.labels[damaged], seed=9)
        run.curves["loss"][damaged] = curves["loss"]
    told = warned(tag_runs(runs, suite, 2_000), "hardly told apart")
    assert [text.split()[1] for text in told] == ["noisy", "corrupted"]
    assert "of the noisy probes do" in told[1]


# ---- few probes, short curves


def test_few_probes():
    assert too_few({"noisy": 20, "ood": 100}) == []
    (told,) = too_few({"noisy": 19, "ood": 100})
    assert "The smallest category, noisy, has 19 held-out probes" in told
    assert "more train examples" in told


def settled(after, shares=(0.5, 0.9, 1.0)):
    return {
        "settled_after": after,
        "share_equal": list(shares),
        "epochs": [1, 11, 12],
        "num_epochs": 12,
    }


def test_short_curves():
    assert too_short(12, settled(6)) == []
    (told,) = too_short(12, settled(None))
    assert "had not settled after 12 epochs: between 11 epochs and the last, 10% of them changed" in told
    assert "Train longer" in told
    (told,) = too_short(4, settled(None))
    assert "Fewer than 5 epochs" in told
    assert too_short(12, settled(None, (1.0,))) == []


def test_cut_curves_are_warned_of_in_a_tagging(world, suite):
    runs = [world.run(slot) for slot in (0, 1)]
    result = tag_runs(runs, suite, 800)
    assert not warned(result, "epochs", "Train longer")
    short = [replace(run, curves=run.curves.epochs(slice(4))) for run in runs]
    assert warned(tag_runs(short, suite, 800), "Fewer than 5 epochs", "Train longer")


# ---- runs that were not made alike


def test_runs_that_were_made_alike_are_not_warned_of():
    one = {"pass": "training", "augment": "none", "model": "convnet"}
    assert mixed([("a", one), ("b", dict(one))]) == []
    assert mixed([("a", one)]) == []
    assert mixed([("a", one), ("b", {})]) == []
    assert mixed([("", {}), ("", {})]) == []
    assert mixed([("a", one | {"seed": 0}), ("b", one | {"seed": 1})]) == []


def test_what_differs_is_named_with_its_runs():
    one = {"pass": "training", "augment": "none"}
    (told,) = mixed([("a", one), ("b", one | {"pass": "evaluation"}), ("c", one)])
    assert "pass is training (a, c), evaluation (b)" in told
    assert "augment" not in told
    assert "Tag them one by one" in told
    (told,) = mixed([("a", {"x": 1}), ("b", {"x": 1, "lr": 0.1})])
    assert "lr is not said (a), 0.1 (b)" in told
    other = {f"field{number}": number for number in range(9)}
    (told,) = mixed([("a", other), ("b", dict.fromkeys(other, -1))])
    assert "and 5 fields more" in told


def test_two_runs_of_one_name_are_still_two():
    assert mixed([("run", {"pass": "training"}), ("run", {"pass": "evaluation"})])


def test_mixed_runs_are_warned_of_in_a_tagging(world, suite):
    runs = [replace(world.run(slot), setup={"pass": "training", "lr": 0.1}) for slot in (0, 1)]
    assert not warned(tag_runs(runs, suite, 800), "not made alike")
    runs[1] = replace(runs[1], setup={"pass": "evaluation", "lr": 0.1})
    assert warned(tag_runs(runs, suite, 800), "not made alike", "evaluation (run-1)")


# ---- the arithmetic


@pytest.mark.parametrize(("part", "whole"), [(0, 10), (3, 10), (10, 10), (55, 1000)])
def test_the_interval_is_scipys(part, whole):
    expected = binomtest(part, whole).proportion_ci(0.9, method="wilson")
    low, high = interval(np.array([part]), np.array([whole]))
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=2e-4)
    assert [bound.tolist() for bound in interval(np.array([0]), np.array([0]))] == [[0.0], [1.0]]


def test_the_least_difference_is_newcombes():
    """Square and add of scipy's Wilson intervals."""
    one, other = (binomtest(*counts).proportion_ci(0.9, method="wilson") for counts in ((56, 70), (48, 80)))
    expected = 0.2 - np.hypot(0.8 - one.low, other.high - 0.6)
    assert least_difference(56, 70, 48, 80) == pytest.approx(expected, abs=1e-3)
    assert least_difference(5, 10, 5, 10) < 0
