"""⑤ Shares of votes against how often they are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sondage.curves import Curves
from sondage.probes.plan import Probes
from sondage.tagging.prepare import Prepared
from sondage.tagging.reliability import EDGES, reliability

NAMES = ("prototypical", "noisy")


def run(category, role):
    rows = np.arange(len(category))
    curves = Curves({"loss": np.ones((len(rows), 2))})
    return Prepared(
        "r", curves, np.ones(len(rows), int), Probes(rows, category, role, rows), np.ones(len(rows), bool)
    )


def voted(share, num=4_000, seed=0, right=None):
    """Held-out probes whose tag has this share of the votes and is right as often as `right` says."""
    rng = np.random.default_rng(seed)
    share = np.broadcast_to(share, num).astype(np.float32)
    is_right = rng.random(num) < (share if right is None else right)
    code = np.where(is_right, 0, 1)
    category = np.array(NAMES)[code]
    votes = np.stack([share, 1 - share], axis=1)
    return run(category, np.full(num, "held_out")), votes


def test_votes_that_are_probabilities_have_no_error():
    made, votes = voted(np.random.default_rng(1).uniform(0.51, 1, 4_000))
    found = reliability([made], [votes], NAMES)
    assert found["error"] < 0.03
    assert [one["low"] for one in found["bins"]] == [0.4, 0.6, 0.8]
    assert sum(one["num"] for one in found["bins"]) == 4_000


def test_votes_that_promise_too_much_have_one():
    made, votes = voted(0.9, right=0.6)
    found = reliability([made], [votes], NAMES)
    assert found["error"] == pytest.approx(0.3, abs=0.03)
    (only,) = found["bins"]
    assert (only["low"], only["high"], only["num"]) == (0.8, 1.0, 4_000)
    assert only["mean_share"] == pytest.approx(0.9, abs=1e-4)
    assert only["share_right"] == pytest.approx(0.6, abs=0.03)


def test_a_share_on_an_edge_is_in_the_bin_below_it():
    made, votes = voted(0.8, num=10)
    (only,) = reliability([made], [votes], NAMES)["bins"]
    assert only["high"] == pytest.approx(0.8)
    assert EDGES[0] == 0.0


def test_only_held_out_probes_count_and_runs_are_pooled():
    one, votes = voted(0.9, num=100, right=1.0)
    probes = replace(one.probes, role=np.full(100, "fit"))
    fit = replace(one, probes=probes)
    both = reliability([one, fit], [votes, 1 - votes], NAMES)
    assert both == reliability([one], [votes], NAMES)
    twice = reliability([one, one], [votes, votes], NAMES)
    assert (twice["error"], twice["bins"][0]["num"]) == (both["error"], 200)
    assert reliability([fit], [votes], NAMES) == {"error": None, "bins": []}
