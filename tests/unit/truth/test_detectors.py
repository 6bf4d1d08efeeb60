"""Detectors against slow loops; the clustering one on curves whose clusters are plain."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.truth_parts.cells import Cell, CellRun
from benchmarks.truth_parts.confident import frozen_probabilities, suspicion
from benchmarks.truth_parts.ctrl import ctrl_votes, smooth
from benchmarks.truth_parts.detectors import DETECTORS, broken_by, share_tagged_noisy
from sondage.tagging.tag import tag_runs

MakeCell = Callable[..., Cell]


def slowly(cell: Cell, of_row: Callable[[CellRun, int], float]) -> list[float]:
    """Mean over the runs that have the example, one example at a time."""
    out = []
    for row in range(cell.num_examples):
        values = [of_row(run, row) for run in cell.runs if not math.isnan(run.curves.curves["loss"][row, 0])]
        out.append(sum(values) / len(values))
    return out


def last_margins(count: int) -> Callable[[CellRun, int], float]:
    return lambda run, row: -sum(run.curves.curves["margin"][row].tolist()[-count:]) / count


def wrong_share(run: CellRun, row: int) -> float:
    said, given = run.curves.curves["predicted"][row].tolist(), run.curves.labels[row]
    return sum(one != given for one in said) / len(said)


def forgotten(run: CellRun, row: int) -> float:
    right = [one == run.curves.labels[row] for one in run.curves.curves["predicted"][row].tolist()]
    if not any(right):
        return len(right)
    return sum(before and not after for before, after in pairwise(right))


SLOW: dict[str, Callable[[CellRun, int], float]] = {
    "mean_loss": lambda run, row: sum(run.curves.curves["loss"][row].tolist()) / 8,
    "last_loss": lambda run, row: float(run.curves.curves["loss"][row, 7]),
    "aum": last_margins(8),
    "margin_last3": last_margins(3),
    "margin_last5": last_margins(5),
    "margin_half": last_margins(4),
    "confidence": lambda run, row: (
        -sum(math.exp(-one) for one in run.curves.curves["loss"][row].tolist()) / 8
    ),
    "cumulative_wrong": wrong_share,
    "forgetting": forgotten,
    "el2n": lambda run, row: float(run.extra["el2n"][row, 1]),
}


@pytest.mark.parametrize("name", list(SLOW))
def test_curve_detectors_equal_slow_loops(make_cell: MakeCell, name: str) -> None:
    cell = make_cell()
    displaced = np.concatenate([run.curves.displaced for run in cell.runs])
    assert len(displaced) > 50
    found = DETECTORS[name].suspicion(cell)
    assert found == pytest.approx(slowly(cell, SLOW[name]), abs=1e-5)


def test_an_example_that_was_never_right_is_worse_than_any_that_was_forgotten(make_cell: MakeCell) -> None:
    cell = make_cell(num_epochs=8)
    found = DETECTORS["forgetting"].suspicion(cell)
    assert found.max() <= 8
    assert (found == 8).any()


def test_the_reference_ranks_as_its_tagging_does(make_cell: MakeCell) -> None:
    cell = make_cell()
    result = tag_runs(cell.run_curves, cell.definition, cell.num_examples, tagger="reference")
    found = DETECTORS["reference"].suspicion(cell)
    assert np.array_equal(np.argsort(-found), result.order)
    share = DETECTORS["reference"].share_noisy
    assert share is not None
    assert (
        share(cell)
        == share_tagged_noisy(result)
        == pytest.approx(np.mean([name == "noisy" for name in result.tag_names()]))
    )


def test_every_detector_of_the_same_trainings_gives_every_example_a_number(make_cell: MakeCell) -> None:
    cell = make_cell()
    for name, detector in DETECTORS.items():
        if detector.scheme is None:
            found = detector.suspicion(cell)
            assert found.shape == (200,), name
            assert np.isfinite(found).all(), name


def test_equal_votes_are_ranked_by_the_second_number() -> None:
    first = np.array([0.5, 1.0, 0.5, 0.0], dtype=np.float32)
    second = np.array([2.0, 0.0, 3.0, 9.0], dtype=np.float32)
    assert broken_by(first, second).tolist() == [1, 3, 2, 0]


def test_smoothing_equals_a_slow_mean() -> None:
    curves = np.random.default_rng(0).random((3, 7))
    for row in range(3):
        for epoch in range(7):
            around = curves[row, max(0, epoch - 2) : epoch + 3]
            assert smooth(curves, 5)[row, epoch] == pytest.approx(around.mean())


def test_clusters_of_high_loss_get_the_votes_class_by_class() -> None:
    """Class 1 is harder throughout: its right labels have a higher loss than the wrong ones of class 0."""
    rng = np.random.default_rng(0)
    levels = {(0, False): 0.1, (0, True): 0.8, (1, False): 1.2, (1, True): 2.5}
    labels = np.repeat([0, 1], 60)
    wrong = np.arange(120) % 6 == 0
    level = np.array([levels[label, bad] for label, bad in zip(labels.tolist(), wrong.tolist(), strict=True)])
    loss = level[:, None] + rng.normal(0, 0.02, (120, 12))
    votes = ctrl_votes(loss, labels, 10)
    assert votes[wrong].min() > 0.6
    assert votes[~wrong].max() == 0.0


def test_equal_curves_are_no_error() -> None:
    assert ctrl_votes(np.ones((10, 6)), np.zeros(10, np.int64), 2).tolist() == [0.0] * 10


def test_scores_of_the_package_are_what_its_guide_says(make_cell: MakeCell) -> None:
    pytest.importorskip("cleanlab")
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), size=30)
    labels = rng.integers(4, size=30)
    own = probabilities[np.arange(30), labels]
    others = [max(np.delete(row, label)) for row, label in zip(probabilities, labels, strict=True)]
    assert suspicion(labels, probabilities, "self_confidence") == pytest.approx(1 - own)
    assert suspicion(labels, probabilities, "normalized_margin") == pytest.approx(1 - (own - others + 1) / 2)
    cell = make_cell(num=200, num_classes=4)
    cell.out_of_sample["3x1"] = rng.dirichlet(np.ones(4), size=200)
    expected = 1 - cell.out_of_sample["3x1"][np.arange(200), cell.given]
    assert DETECTORS["cleanlab_self"].suspicion(cell) == pytest.approx(expected)


def test_frozen_probabilities_are_out_of_sample() -> None:
    """Labels without any relation to the features: in sample they would be learned, out of sample they cannot be."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(120, 100)), rng.integers(2, size=120)
    found = frozen_probabilities(features, labels, 3, seed=0)
    assert found.shape == (120, 3)
    assert (found[:, 2] == 0).all()
    assert found.sum(axis=1) == pytest.approx(1)
    assert (found.argmax(axis=1) == labels).mean() < 0.65
