"""Digits of scikit-learn through the whole bench: labels, trainings, folds, detectors, tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.truth_parts.cells import Cell, cell_path, folds_path, load_cell, save_arrays, save_cell
from benchmarks.truth_parts.detectors import DETECTORS
from benchmarks.truth_parts.evaluate import evaluate_cell
from benchmarks.truth_parts.folds import out_of_sample
from benchmarks.truth_parts.rows import DataRow
from benchmarks.truth_parts.summary import bars
from benchmarks.truth_parts.table import row_table, summary_table
from benchmarks.truth_parts.training import NUM_RUNS, probe_inputs, train_cell
from sondage.probes.plan import plan_probes
from sondage.probes.suite import default_suite


@pytest.fixture(scope="module")
def cell(digits: DataRow) -> Cell:
    return train_cell(digits, "uniform20", 0)


def test_a_cell_holds_what_was_trained(cell: Cell, digits: DataRow) -> None:
    assert cell.wrong.sum() == 180
    assert cell.meta["true_rate"] == pytest.approx(0.2)
    assert cell.meta["training_seeds"] == [0, 1]
    displaced = [set(run.curves.displaced.tolist()) for run in cell.runs]
    assert len(displaced[0]) == 135
    assert not displaced[0] & displaced[1]
    for run in cell.runs:
        rows = 900 + 135
        assert run.curves.curves["loss"].shape == (rows, 3)
        assert run.logits.shape == (rows, 10)
        assert run.features.shape == (rows, 128)
        seen = run.curves.curves.ever_seen()
        assert set(np.flatnonzero(~seen).tolist()) == set(run.curves.displaced.tolist())
        assert np.array_equal(run.curves.labels[:900], cell.given)
        assert len(run.validation_accuracy) == 3
        assert run.validation_accuracy[-1] > 0.5


def test_what_the_bench_adds_agrees_with_what_the_recorder_says(cell: Cell) -> None:
    run = cell.runs[0]
    curves, seen = run.curves.curves, run.curves.curves.ever_seen()
    predicted, labels = curves["predicted"][seen], run.curves.labels[seen][:, None]
    runner_up = run.extra["runner_up"][seen]
    assert (runner_up != labels).all()
    # Where another class was predicted, it is the likeliest but the given one.
    assert np.array_equal(runner_up[predicted != labels], predicted[predicted != labels])
    # ‖p − onehot(y)‖ lies between 1 − p_y, all of it on one axis, and √2 times that.
    missing = 1 - np.exp(-curves["loss"][seen])
    assert (run.extra["el2n"][seen] >= missing - 1e-3).all()
    assert (run.extra["el2n"][seen] <= np.sqrt(2) * missing + 1e-3).all()


def test_the_end_of_a_run_is_that_of_its_last_epoch(cell: Cell) -> None:
    """Features times the last layer are the logits: one linear map explains all rows, displaced and planted ones."""
    run = cell.runs[0]
    wide = np.concatenate([run.features, np.ones((len(run.features), 1))], axis=1)
    weights = np.linalg.lstsq(wide, run.logits, rcond=None)[0]
    assert np.abs(wide @ weights - run.logits).max() < 1e-3


def test_the_same_cell_again_is_the_same(cell: Cell, digits: DataRow) -> None:
    again = train_cell(digits, "uniform20", 0)
    for one, other in zip(cell.runs, again.runs, strict=True):
        np.testing.assert_array_equal(one.curves.curves["loss"], other.curves.curves["loss"])
        np.testing.assert_array_equal(one.logits, other.logits)


def test_flipped_probes_keep_their_source_and_the_others_do_not(digits: DataRow) -> None:
    definition = default_suite(seed=0)
    plan = plan_probes(definition, digits.labels, np.arange(900), 10, seed=0, num_slots=NUM_RUNS)
    made = probe_inputs(digits, plan, 0, 0)
    kept = (made == digits.inputs[plan.source_row]).all(axis=(1, 2, 3))
    assert kept[plan.category == "noisy"].all()
    assert not kept[plan.category == "ood"].any()
    assert (plan.label != digits.labels[plan.source_row])[plan.category == "noisy"].all()


def test_folds_are_out_of_sample(digits: DataRow) -> None:
    """Labels at random can be learned by heart and not guessed."""
    small = replace(digits, inputs=digits.inputs[:300], labels=digits.labels[:300], num_epochs=4)
    given = np.random.default_rng(0).integers(10, size=300)
    found = out_of_sample(small, given, "3x1", 0)
    assert found.shape == (300, 10)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (found.argmax(axis=1) == given).mean() < 0.25


def test_every_detector_is_asked_and_finds_planted_errors(
    cell: Cell, digits: DataRow, tmp_path: Path
) -> None:
    pytest.importorskip("cleanlab")
    path = cell_path(tmp_path, cell.row, cell.noise, cell.seed)
    save_cell(path, cell)
    save_arrays(folds_path(path, "3x1"), {"probabilities": out_of_sample(digits, cell.given, "3x1", 0)}, {})
    found = evaluate_cell(path, list(DETECTORS))
    figures = {one.detector: one.figures for one in found}
    assert set(figures) == {name for name, one in DETECTORS.items() if one.scheme != "6x2"}
    assert figures["mean_loss"]["average_precision"] > 0.8
    assert figures["reference"]["average_precision"] > 0.7
    assert figures["cleanlab_self"]["average_precision"] > 0.6
    assert len(summary_table(found)) == len(figures) + 1
    assert row_table(found, list(DETECTORS))[1][:3] == ["digits", "uniform20", "1"]
    assert len(bars(found, "reference")) == 7
    kept = sorted(file.name for file in (path.parent / "suspicion").iterdir())
    assert "aum-v1-seed0.npy" in kept
    assert not any(name.startswith("reference") for name in kept)
    assert evaluate_cell(path, list(DETECTORS)) == found
    assert load_cell(path).out_of_sample["3x1"].shape == (900, 10)


def test_clean_labels_have_no_figures_but_tags(digits: DataRow, tmp_path: Path) -> None:
    path = cell_path(tmp_path, "digits", "clean", 1)
    save_cell(path, train_cell(replace(digits, num_epochs=2), "clean", 1))
    (outcome,) = evaluate_cell(path, ["reference"])
    assert outcome.figures == {}
    assert outcome.share_noisy is not None
    assert 0 <= outcome.share_noisy <= 0.3
