"""The bench of the categories: its measures on data whose answer is known, and second-split forgetting for real."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import categories
from benchmarks.category_parts import foreign, hard
from benchmarks.category_parts.rows import FOREIGN, kinds
from benchmarks.category_parts.second_split import SecondSplit, _forgotten, second_split
from benchmarks.category_parts.typical import agreement
from benchmarks.truth_parts.rows import DataRow, take
from worker.data.noise import plant_noise


def test_the_c_score_agrees_with_itself_and_not_with_its_reverse() -> None:
    c_score = np.random.default_rng(0).random(1000)
    same, reverse = agreement("same", c_score, c_score), agreement("reverse", -c_score, c_score)
    assert (same.spearman, same.easiest, same.hardest) == (pytest.approx(1), 1, 1)
    assert (reverse.spearman, reverse.easiest, reverse.hardest) == (pytest.approx(-1), 0, 0)
    # Of a measure that tells nothing the extremes are those of chance, not those of the file's order.
    coarse = agreement("coarse", np.repeat([0.0, 1.0, 0.0], 10_000), np.arange(30_000.0))
    assert (coarse.easiest, coarse.hardest) == (0, pytest.approx(0.15, abs=0.02))


def test_examples_are_right_wrong_or_foreign() -> None:
    found = kinds(np.array([1, 1, 3]), np.array([1, 2, FOREIGN]))
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "right": [True, False, False],
        "wrong": [False, True, False],
        "foreign": [False, False, True],
    }


def test_an_outlier_in_the_features_is_far_from_its_neighbours(make_cell) -> None:
    cell = make_cell()
    for run in cell.runs:
        run.features[:, :] = 0.1 * run.features
        run.features[::2, 0] += 3
        run.features[1::2, 0] -= 3
        run.features[7] = [0, 0, 0, 0, 5]
    assert foreign.feature_distance(cell).argmax() == 7


def test_what_belongs_to_no_class_is_far_from_all_of_them(make_cell) -> None:
    cell = make_cell()
    rng = np.random.default_rng(0)
    displaced = cell.runs[0].curves.displaced[0]
    stranger = next(row for row in range(200) if not any(row in run.curves.displaced for run in cell.runs))
    for run in cell.runs:
        run.features[:] = rng.normal(size=run.features.shape) + 5 * np.eye(5)[run.curves.labels]
        run.features[stranger] = 4
    cell.runs[0].features[displaced] = 5  # further off, in the run that did not train it
    for measure in (foreign.distance, foreign.plain_distance):
        assert np.isfinite(measure(cell)).all()
        assert measure(cell).argmax() == stranger


def test_the_hard_ones_are_the_worst_fifth_by_mean_loss(make_cell) -> None:
    cell = make_cell()
    chosen = hard.hard_examples(cell)
    assert chosen.sum() == 40
    loss = np.nanmean([run["loss"].mean(axis=1) for run in cell.examples], axis=0)
    assert loss[chosen].min() >= loss[~chosen].max()
    split = SecondSplit(np.where(cell.wrong, 1, 5), np.where(cell.wrong, -1.0, 1.0))
    found = hard.measure(cell, split)
    assert found["second-split margin"].auroc == found["second-split forgetting"].auroc == 1
    assert all(0 <= one.auroc <= 1 for one in found.values())


def test_forgotten_is_the_epoch_from_which_it_was_wrong_to_the_end() -> None:
    right = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    assert _forgotten(right).tolist() == [4, 2, 3, 1]


def test_mislabelled_digits_are_forgotten_first(digits: DataRow, tmp_path) -> None:
    rows = np.arange(600)
    row = replace(digits, inputs=take(digits.inputs, rows), labels=digits.labels[rows], num_epochs=8)
    given = plant_noise(row.labels, np.ones(600, bool), 10, 0.15, 1)[0]
    found = second_split(tmp_path / "split.npz", row, given, 0)
    wrong = given != row.labels
    assert found.margin[wrong].mean() < found.margin[~wrong].mean()
    assert found.forgotten[wrong].mean() < found.forgotten[~wrong].mean()
    assert found.forgotten.max() <= 5  # four epochs, and one more for what was kept
    again = second_split(tmp_path / "split.npz", row, given, 0)
    np.testing.assert_array_equal(again.margin, found.margin)


def test_what_is_not_in_the_data_folder_is_left_out(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["categories", str(tmp_path), "--cache", str(tmp_path / "cache")])
    threads = torch.get_num_threads()
    try:
        assert categories.main() == 1
    finally:
        torch.set_num_threads(threads)
    said = capsys.readouterr().out
    for name in ("cifar10_train.parquet", "mnist.npz", "trec.parquet"):
        assert f"{tmp_path / name} is not there" in said
    assert json.loads(said.splitlines()[-1]) == {"benchmark": "categories", "seed": 0, "quick": False}
    assert not (tmp_path / "cache").exists()
