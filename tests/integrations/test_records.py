"""Files of records, written as others write them, read back and recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sondage.errors import InvalidInput, InvalidRows
from sondage.records import read_records

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

LONG = {
    "key": ["b", "a", "b", "a", "c"],
    "epoch": [1, 1, 2, 2, 2],
    "loss": [0.5, 1.0, 0.25, 0.75, 2.0],
    "predicted": [0, 1, 0, 1, 1],
    "label": ["yes", "no", "yes", "no", "no"],
    "text": ["secret"] * 5,
}
LOSS = np.array([[0.5, 0.25], [1.0, 0.75], [np.nan, 2.0]], np.float32)


def write(path: Path, columns: dict[str, Any]) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.table(columns), path)
    else:
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        path.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["long.parquet", "long.csv"])
def test_a_table_of_keys_and_epochs(tmp_path, name) -> None:
    records = read_records(write(tmp_path / name, LONG))
    assert records.keys == ["b", "a", "c"]
    assert records.epochs == (1, 2)
    np.testing.assert_array_equal(records.channels["loss"], LOSS)
    np.testing.assert_array_equal(records.channels["predicted"], [[0, 0], [1, 1], [-1, 1]])
    assert records.class_names == ["no", "yes"]
    assert records.labels is not None
    assert records.labels.tolist() == [1, 0, 0]
    assert "text" not in records.channels


def test_keys_of_a_csv_stay_texts(tmp_path) -> None:
    columns = {"key": ["007", "7"], "epoch": [0, 0], "loss": [1.0, 2.0]}
    assert read_records(write(tmp_path / "spy.csv", columns)).keys == ["007", "7"]


def test_rows_and_channels_of_the_users_own(tmp_path) -> None:
    columns = {"row": [4, 0], "epoch": [0, 0], "grad_norm": [1.5, 2.5]}
    records = read_records(write(tmp_path / "own.parquet", columns), channels=["grad_norm"])
    assert records.keys is None
    assert records.num_rows == 5
    np.testing.assert_array_equal(records.channels["grad_norm"][:, 0], [2.5, np.nan, np.nan, np.nan, 1.5])


def test_a_loss_that_is_missing_or_infinite(tmp_path) -> None:
    columns = {"key": ["a", "b"], "epoch": [0, 0], "loss": [None, float("inf")]}
    records = read_records(write(tmp_path / "odd.parquet", columns))
    np.testing.assert_array_equal(records.channels["loss"][:, 0], [np.nan, np.inf])


@pytest.mark.parametrize(
    ("change", "code", "index"),
    [
        ({"epoch": [1, 1, 2, 2, None]}, "missing", 4),
        ({"epoch": [1, 1, 1, 2, 2]}, "repeated", 2),
        ({"label": ["yes", "no", "no", "no", "no"]}, "label_changes", None),
    ],
)
def test_records_that_cannot_be_used_are_named(tmp_path, change, code, index) -> None:
    path = write(tmp_path / "bad.parquet", {**LONG, **change})
    with pytest.raises(InvalidRows) as refused:
        read_records(path)
    assert refused.value.rows[0].code == code
    assert index is None or refused.value.rows[0].index == index


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"key": ["a"], "loss": [1.0]}, "epoch"),
        ({"key": ["a"], "row": [0], "epoch": [0], "loss": [1.0]}, "one of them"),
        ({"key": ["a"], "epoch": [0.5], "loss": [1.0]}, "whole"),
        ({"key": ["a"], "epoch": [0], "loss": ["high"]}, "numbers"),
        ({"row": [-1], "epoch": [0], "loss": [1.0]}, "count from 0"),
    ],
)
@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_tables_that_cannot_be_read_say_why(tmp_path, columns, message, ending) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_records(write(tmp_path / f"bad{ending}", columns))


def test_a_matrix(tmp_path) -> None:
    np.save(tmp_path / "losses.npy", LOSS.astype(np.float64))
    records = read_records(tmp_path / "losses.npy")
    np.testing.assert_array_equal(records.channels["loss"], LOSS)
    np.testing.assert_array_equal(records.seen, ~np.isnan(LOSS))
    assert records.dtypes == {"loss": "float32"}


def test_matrices_by_name(tmp_path) -> None:
    predicted = np.array([[0, 0], [1, 1], [-1, 1]])
    labels, keys = np.array(["yes", "no", "no"]), np.array([10, 20, 30])
    np.savez(tmp_path / "all.npz", loss=LOSS, predicted=predicted, labels=labels, keys=keys)
    records = read_records(tmp_path / "all.npz")
    assert records.keys == ["10", "20", "30"]
    assert records.class_names == ["no", "yes"]
    assert records.dtypes == {"loss": "float32", "predicted": "int32"}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"loss": np.zeros(4)}, "shape"),
        ({"loss": np.zeros((2, 2)), "margin": np.zeros((3, 2))}, "alike"),
        ({"loss": np.zeros((2, 2)), "labels": np.zeros(3, int)}, "labels"),
        ({"losses": np.zeros((2, 2))}, "loss"),
    ],
)
def test_matrices_that_do_not_fit(tmp_path, arrays, message) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InvalidInput, match=message):
        read_records(tmp_path / "bad.npz")


def test_a_pickle_is_not_opened(tmp_path) -> None:
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidInput, match="NumPy"):
        read_records(tmp_path / "evil.npy")


def dynamics(folder: Path, logits: dict[str, list[list[float]]], gold: dict[str, int]) -> Path:
    """A folder as Dataset Cartography writes it: one file per epoch."""
    folder.mkdir()
    for epoch in range(len(next(iter(logits.values())))):
        lines = [
            json.dumps({"guid": key, f"logits_epoch_{epoch}": of_key[epoch], "gold": gold[key]})
            for key, of_key in logits.items()
        ]
        (folder / f"dynamics_epoch_{epoch}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_training_dynamics_of_dataset_cartography(tmp_path) -> None:
    logits = {"x": [[2.0, 0.0], [3.0, 0.0]], "y": [[0.0, 1.0], [0.0, -1.0]]}
    records = read_records(dynamics(tmp_path / "training_dynamics", logits, {"x": 0, "y": 1}))
    assert records.keys == ["x", "y"]
    np.testing.assert_array_equal(records.channels["margin"], [[2, 3], [1, -1]])
    np.testing.assert_array_equal(records.channels["predicted"], [[0, 0], [1, 0]])
    given = np.array([[2, 3], [1, -1]])
    np.testing.assert_allclose(records.channels["loss"], np.log1p(np.exp(-given)), rtol=1e-5)


def test_lines_that_are_no_dynamics_are_named(tmp_path) -> None:
    lines = ['{"guid": 1, "logits_epoch_0": [1, 2], "gold": 0}', "{", '{"guid": 2, "gold": 0}']
    lines += [lines[0], '{"guid": 1, "logits_epoch_1": [1, 2], "gold": 1}']
    (tmp_path / "bad.jsonl").write_text("\n".join(lines))
    with pytest.raises(InvalidRows) as refused:
        read_records(tmp_path / "bad.jsonl")
    assert [(row.index, row.code) for row in refused.value.rows] == [
        (1, "malformed"),
        (2, "malformed"),
        (3, "repeated"),
        (4, "label_changes"),
    ]


def test_what_is_read_can_be_recorded(recorded, tmp_path) -> None:
    records = read_records(write(tmp_path / "long.parquet", LONG))
    run = recorded.init(labels=records.labels, ids=records.keys, channels=records.dtypes)
    records.record(run)
    run.finish()
    np.testing.assert_array_equal(recorded.curves(), LOSS)
    assert [parcel.counts["loss"] for parcel in recorded.parcels()] == [2, 3]


def test_a_file_that_is_not_there_or_unknown(tmp_path) -> None:
    with pytest.raises(InvalidInput, match="no file"):
        read_records(tmp_path / "no.csv")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(InvalidInput, match="format"):
        read_records(tmp_path / "notes.txt")
