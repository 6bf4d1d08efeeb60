"""The bench of the calibration from probes: its figures and its bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.probe_calibration import figures_of, missed_by, tables
from benchmarks.truth_parts.cells import Cell
from sondage.tagging import wrong_labels


def test_figures_hold_the_estimate_against_the_truth(make_cell: Callable[..., Cell]) -> None:
    cell = make_cell(num=600)
    found = figures_of(cell)
    assert found.cell == cell.name
    assert found.share == pytest.approx(cell.wrong.mean(), abs=0.03)
    assert found.low <= found.high
    assert found.precision[0] >= found.precision[1] - 0.2
    clean = replace(cell, truth=cell.given, noise="clean")
    assert figures_of(clean).tag_recall is None


def test_a_cell_with_too_few_flips_is_told_by_votes_and_missed(
    make_cell: Callable[..., Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrong_labels, "FEWEST_PROBES", 10_000)
    found = figures_of(make_cell(num=600))
    assert (found.method, found.estimated, found.low, found.high) == ("votes", None, 0, 1)
    assert found.missed == ["votes"]
    assert "votes" in tables([found])


def test_each_bar_is_missed_by_what_misses_it(make_cell: Callable[..., Cell]) -> None:
    good = replace(
        figures_of(make_cell(num=600)),
        share=0.2, estimated=0.19, low=0.1, high=0.3, is_uniform=True, ece=0.02, tagged=0.01,
        precision=(0.9, 0.8), estimated_precision=(0.91, 0.81),
    )  # fmt: skip
    assert missed_by("uniform20", good) == []
    assert missed_by("uniform20", replace(good, estimated=None)) == ["warning"]
    assert missed_by("uniform20", replace(good, ece=0.04)) == ["ece"]
    assert missed_by("uniform20", replace(good, estimated=0.23)) == ["share"]
    assert missed_by("uniform20", replace(good, estimated_precision=(0.91, 0.7))) == ["precision"]
    assert missed_by("pairs20", replace(good, is_uniform=False)) == []
    assert missed_by("pairs20", replace(good, share=0.4)) == ["no warning", "range"]
    assert missed_by("clean", good) == []
    assert missed_by("clean", replace(good, share=0.0)) == ["range"]
    assert missed_by("clean", replace(good, tagged=0.03)) == ["tagged"]
    assert missed_by("pairs20", replace(good, is_uniform=False, method="votes")) == ["votes"]
    page = tables([good, replace(good, cell="made/pairs20/seed0")])
    rows = [line for line in page.splitlines() if line.startswith("| made/")]
    assert [row.count("|") for row in rows] == [11, 10]
    assert not np.isnan(good.ece)
