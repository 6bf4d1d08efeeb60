"""The cache: a cell comes back as it was, is whole or not there, and is not trained again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.truth_parts import jobs
from benchmarks.truth_parts.cells import Cell, cell_path, find_cells, load_cell, save_arrays, save_cell
from benchmarks.truth_parts.jobs import Job, do, do_all
from benchmarks.truth_parts.rows import DataRow

MakeCell = Callable[..., Cell]


def test_a_cell_comes_back_as_it_was(make_cell: MakeCell, tmp_path: Path) -> None:
    cell = make_cell()
    path = cell_path(tmp_path, "made", "uniform20", 0)
    save_cell(path, cell)
    back = load_cell(path)
    assert (back.name, back.num_classes, back.definition) == (cell.name, cell.num_classes, cell.definition)
    assert np.array_equal(back.given, cell.given)
    assert np.array_equal(back.wrong, cell.wrong)
    for one, other in zip(back.runs, cell.runs, strict=True):
        for name in ("loss", "margin", "predicted"):
            np.testing.assert_array_equal(one.curves.curves[name], other.curves.curves[name])
        for name in ("el2n", "runner_up"):
            np.testing.assert_array_equal(one.extra[name], other.extra[name])
        for name in ("row", "category", "role", "source_row"):
            assert np.array_equal(getattr(one.curves.probes, name), getattr(other.curves.probes, name))
        for name in ("logits", "features", "validation_accuracy"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert np.array_equal(one.curves.labels, other.curves.labels)
        assert np.array_equal(one.curves.displaced, other.curves.displaced)


def test_a_write_that_breaks_off_leaves_nothing_new(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cell_path(tmp_path, "made", "uniform20", 0)
    save_cell(path, make_cell())
    before = path.read_bytes()

    def breaks(file, **arrays) -> None:
        file.write(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", breaks)
    for target in (path, path.with_name("seed1.npz")):
        with pytest.raises(OSError, match="disk full"):
            save_cell(target, make_cell(seed=1))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["seed0.npz"]


def test_another_format_is_refused(make_cell: MakeCell, tmp_path: Path) -> None:
    path = tmp_path / "seed0.npz"
    save_arrays(path, {}, {"format": 0})
    with pytest.raises(ValueError, match="delete it"):
        load_cell(path)


def test_folds_are_found_with_their_cell_and_are_no_cells(make_cell: MakeCell, tmp_path: Path) -> None:
    job = Job("made", "uniform20", 0)
    save_cell(job.path(tmp_path), make_cell())
    probabilities = np.full((200, 4), 0.25, dtype=np.float32)
    save_arrays(Job("made", "uniform20", 0, "3x1").path(tmp_path), {"probabilities": probabilities}, {})
    (path,) = find_cells(tmp_path)
    assert np.array_equal(load_cell(path).out_of_sample["3x1"], probabilities)


def test_what_is_there_is_not_trained_again(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: DataRow
) -> None:
    trained = []

    def train_cell(row: DataRow, noise: str, seed: int) -> Cell:
        trained.append((row.name, noise, seed, len(row)))
        return make_cell()

    monkeypatch.setattr(jobs, "train_cell", train_cell)
    monkeypatch.setattr(jobs, "load_row", lambda name, data: digits)
    for _ in range(2):
        do(Job("digits", "uniform20", 0), tmp_path, tmp_path, quick=False)
    do(Job("digits", "uniform20", 1), tmp_path, tmp_path, quick=True)
    assert trained == [("digits", "uniform20", 0, 900), ("digits", "uniform20", 1, 900)]


def test_a_fault_is_told_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = do_all([Job("trec", "clean", 0)], tmp_path, tmp_path, quick=True, processes=1)
    assert len(faults) == 1
    assert "trec.parquet" in faults[0]
    assert "FAILED trec/clean/seed0 curves" in capsys.readouterr().out
