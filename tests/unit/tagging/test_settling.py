"""⑤ Tags of curves that are cut, against tagging the cut curves anew."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sondage.tagging.prepare import prepare
from sondage.tagging.settling import SHARE_SETTLED, cuts, settling
from sondage.tagging.stability import draw_sample
from sondage.tagging.tag import tags_of
from tests.unit.tagging.conftest import NUM_EPOCHS


def test_the_grid_is_geometric_and_small():
    assert cuts(1) == [1]
    assert cuts(2) == [1, 2]
    assert cuts(12) == [1, 2, 3, 5, 6, 9, 12]
    assert len(cuts(90)) == 13
    assert len(cuts(1000)) <= 22
    for num in range(1, 200):
        grid = cuts(num)
        assert grid == sorted(set(grid))
        assert (grid[0], grid[-1]) == (1, num)
        assert all(later <= 2 * sooner for sooner, later in pairwise(grid))


def prepared(runs, suite):
    found = prepare(runs, suite, 800, 0)
    return found, tuple(dict.fromkeys(found[0].probes.category.tolist()))


def test_settled_when_the_slowest_category_has_fallen(runs, suite):
    """Of the made-up curves the last to fall is `ood`, about epoch 10 of 12; the hard ones fall about epoch 7."""
    ready, names = prepared(runs, suite)
    found = settling(ready, [5, 5], names, draw_sample(ready, 0), tags_of)
    assert found["epochs"] == sorted(found["epochs"])
    assert (found["epochs"][-1], found["share_equal"][-1]) == (NUM_EPOCHS, 1.0)
    by_epochs = dict(zip(found["epochs"], found["share_equal"], strict=True))
    settled = found["settled_after"]
    assert 3 <= settled < NUM_EPOCHS
    assert by_epochs[settled] >= SHARE_SETTLED > by_epochs[settled - 1]
    assert all(share >= SHARE_SETTLED for epochs, share in by_epochs.items() if epochs >= settled)


def test_the_share_is_that_of_tagging_the_cut_curves(runs, suite):
    from sondage.scores.base import mean_where_trained
    from sondage.tagging.reference import ReferenceTagger

    ready, names = prepared(runs, suite)
    sample = draw_sample(ready, 0)
    found = settling(ready, [5, 5], names, sample, tags_of)
    tags = []
    for epochs in (2, NUM_EPOCHS):
        votes = []
        for run in ready:
            loss = run.curves["loss"][:, :epochs]
            fit = run.probes.take(run.probes.role == "fit")
            votes.append(
                ReferenceTagger(5, names).fit(loss[fit.row], fit.category).predict_proba(loss[sample])
            )
        tags.append(tags_of(mean_where_trained(votes, [run.trained[sample] for run in ready])))
    share = dict(zip(found["epochs"], found["share_equal"], strict=True))[2]
    assert share == pytest.approx((tags[0] == tags[1]).mean(), abs=1e-4)


def test_tags_that_turn_in_the_last_epoch_have_not_settled(runs, suite):
    """What came before is noise, the same for all categories: only the last epoch tells."""
    rng = np.random.default_rng(0)
    for run in runs:
        loss = run.curves["loss"]
        last = 100 * loss.max(axis=1)
        loss[:] = np.where(np.isnan(loss), np.nan, rng.random(loss.shape))
        loss[:, -1] = last
    ready, names = prepared(runs, suite)
    found = settling(ready, [5, 5], names, draw_sample(ready, 0), tags_of)
    assert found["settled_after"] is None
    assert found["share_equal"][-2] < 0.8


def test_nothing_to_sample_says_nothing(runs, suite):
    ready, names = prepared(runs, suite)
    found = settling(ready, [5, 5], names, np.zeros(0, np.int64), tags_of)
    assert (found["settled_after"], found["epochs"], found["num_sampled"]) == (None, [], 0)
