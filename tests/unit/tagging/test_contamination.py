"""⑤ Sources that looked wrong before: counted by hand, and warned of where there are many."""

from __future__ import annotations

import numpy as np
import pytest

from sondage.curves import Curves
from sondage.probes.plan import Probes
from sondage.probes.suite import CATEGORIES, Generator, SuiteDefinition
from sondage.tagging.contamination import Contamination, contamination
from sondage.tagging.prepare import Prepared
from sondage.tagging.tag import RunCurves, tag_runs
from tests.unit.tagging.conftest import World, curves_of

NAMES = [category.name for category in CATEGORIES]


def test_counts():
    """Six examples; rows 6, 7, 8 are flips of 0, 1, 2, row 9 is a corruption of 3, row 10 the user's own."""
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 1])
    probes = Probes(
        np.array([6, 7, 8, 9, 10, 5]),
        np.array(["noisy"] * 3 + ["corrupted", "noisy", "prototypical"]),
        np.array(["held_out", "held_out", "fit", "held_out", "held_out", "held_out"]),
        np.array([0, 1, 2, 3, -1, 5]),
    )
    run = Prepared("r", Curves({"loss": np.ones((11, 3))}), labels, probes, np.ones(6, bool))
    votes = np.eye(5, dtype=np.float32)[
        [NAMES.index(n) for n in ("prototypical", "noisy", "noisy", "noisy", "prototypical", "noisy")]
    ]
    suspicion = np.float32([0.9, 0.9, 0.9, 0.8, 0.1, np.nan])
    suggested = np.array([1, 2, 2, -1, -1, -1])
    displaced = np.array([False, False, False, False, False, True])
    found = contamination([run], [votes], CATEGORIES, suspicion, suggested, displaced)
    assert found == Contamination(num_sources=4, num_suspects=4, num_agreed=2, num_flips=2, num_look_right=1)
    nobody = contamination([run], [votes], CATEGORIES, suspicion, suggested, np.ones(6, bool))
    assert (nobody.num_sources, nobody.to_dict()["share_suspect"]) == (0, None)


def test_warnings_want_more_than_a_few():
    clean = Contamination(num_sources=200, num_suspects=16, num_agreed=0, num_flips=50, num_look_right=3)
    assert clean.warnings == []
    sources = Contamination(200, 60, 7, 50, 3).warnings
    assert len(sources) == 1
    assert "30% of the examples that probes were made of looked wrong before" in sources[0]
    assert "7 flips hit the label" in sources[0]
    flips = Contamination(200, 16, 0, 50, 15).warnings
    assert len(flips) == 1
    assert "30% of the held-out flips look like right labels" in flips[0]
    assert all("Review the top of the list" in text for text in sources + flips)
    # Three of ten are too few to say so.
    assert Contamination(10, 2, 0, 10, 2).warnings == []


@pytest.mark.parametrize(("share", "fires"), [(0.05, False), (0.3, True)])
def test_a_tagging_of_many_wrong_labels_warns(suite, share, fires):
    rng = np.random.default_rng(0)
    kinds = rng.choice(["noisy", "hard", "easy"], 1_500, p=[share, 0.12, 0.88 - share])
    world = World(kinds, rng.integers(4, size=1_500))
    result = tag_runs([world.run(slot) for slot in (0, 1)], suite, 1_500)
    told = [text for text in result.report.warnings if "looked wrong before" in text]
    assert bool(told) is fires
    found = result.report.to_dict()["suite_fit"]["contamination"]
    sources = np.concatenate([world.run(slot).displaced for slot in (0, 1)])
    assert found["share_suspect"] == pytest.approx(world.wrong[sources].mean(), abs=0.05)


@pytest.mark.parametrize(("share", "fires"), [(0.03, False), (0.4, True)])
def test_with_two_classes_flips_of_wrong_labels_are_right(share, fires):
    """One run, which knows nothing of its sources but what became of the flips: those of wrong ones fall at once."""
    suite = SuiteDefinition("two", (Generator("flip"), Generator("prototypical")))
    rng = np.random.default_rng(0)
    kinds = rng.choice(["noisy", "easy"], 1_500, p=[share, 1 - share])
    world = World(kinds, np.zeros(1_500, np.int64))
    run = world.run(0, 1, suite)
    became = np.where(world.wrong[run.probes.source_row], "easy", "noisy")
    curves = {name: values.copy() for name, values in run.curves.channels.items()}
    for name, values in curves_of(became, run.labels[1_500:], seed=3).items():
        curves[name][1_500:] = values
    run = RunCurves(Curves(curves), run.labels, run.probes, run.displaced, "one")
    told = [
        text for text in tag_runs([run], suite, 1_500).report.warnings if "look like right labels" in text
    ]
    assert bool(told) is fires
