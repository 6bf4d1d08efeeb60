"""① Inputs that are added later: any order, every key, every label; or a refusal that names the rows."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sondage.errors import InvalidInput, InvalidRows
from sondage.wire import Source
from store.payloads import Payload, PayloadWriter, open_payload
from worker.data.sources import added
from worker.data.sources.added import Known, Matching, read_inputs

NUM = 9
KEYS = [f"k{at}" for at in range(NUM)]
LABELS = np.arange(NUM) % 3
NAMES = ["ant", "bee", "cow"]


def known(names: list[str] | None = None, keys: list[str] | None = None) -> Known:
    return Known(pa.array(keys or KEYS, pa.large_string()), LABELS.astype(np.int64), names or NAMES)


def read(tmp_path: Path, source: dict[str, Any], of: Known | None = None, **how: Any) -> tuple[Payload, str]:
    """The payload that the dataset would get, and the fingerprint of the inputs."""
    with PayloadWriter(tmp_path / "d") as first, PayloadWriter(tmp_path / "d") as second:
        found = read_inputs(
            Source.model_validate(source), of or known(), Matching(**how), first, second, resolve=Path
        )
        place = tmp_path / "d" / f"{len(list((tmp_path / 'd').iterdir()))}"
        found.writer.publish(place)
    assert not list((tmp_path / "d").glob(".*"))
    return open_payload(place), found.fingerprint


def csv(tmp_path: Path, order: Any = None, **columns: Any) -> dict[str, Any]:
    rows = np.arange(NUM) if order is None else np.asarray(order)
    table = {
        "id": [KEYS[row] for row in rows],
        "text": [f"text {row}" for row in rows],
        "label": [NAMES[LABELS[row]] for row in rows],
    }
    pd.DataFrame(table | columns).to_csv(tmp_path / "t.csv", index=False)
    return {"kind": "csv", "path": str(tmp_path / "t.csv"), "key_column": "id"}


def png(value: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (4, 4), value).save(out, "PNG")
    return out.getvalue()


ORDER = [4, 0, 8, 2, 6, 1, 7, 3, 5]


def test_texts_in_another_order(tmp_path: Path) -> None:
    payload, shuffled = read(tmp_path, csv(tmp_path, ORDER))
    assert [payload.text(row) for row in range(NUM)] == [f"text {row}" for row in range(NUM)]
    _, straight = read(tmp_path, csv(tmp_path))
    assert shuffled == straight, "the same inputs, however they lay"


def test_vectors_in_another_order(tmp_path: Path) -> None:
    x = np.arange(NUM * 2, dtype=np.float64).reshape(NUM, 2)
    keys = np.array(KEYS)
    for name, rows in (("a", np.arange(NUM)), ("b", np.array(ORDER))):
        np.savez(tmp_path / f"{name}.npz", x_train=x[rows], y_train=LABELS[rows], keys_train=keys[rows])
    straight, first = read(tmp_path, {"kind": "npz", "path": str(tmp_path / "a.npz")})
    shuffled, second = read(tmp_path, {"kind": "npz", "path": str(tmp_path / "b.npz")})
    np.testing.assert_array_equal(shuffled.array, x.astype(np.float32))
    np.testing.assert_array_equal(straight.array, shuffled.array)
    assert first == second


def test_pictures_from_parquet_and_a_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({
        "id": [KEYS[row] for row in ORDER],
        "image": [{"bytes": png(10 * row), "path": None} for row in ORDER],
        "label": LABELS[ORDER],
    })  # fmt: skip
    frame.to_parquet(tmp_path / "p.parquet")
    payload, _ = read(tmp_path, {"kind": "parquet", "path": str(tmp_path / "p.parquet"), "key_column": "id"})
    assert [payload.picture(row).getpixel((0, 0)) for row in range(NUM)] == [10 * row for row in range(NUM)]
    table = {"id": [KEYS[row] for row in ORDER], "a": ORDER, "b": [f"c{row % 2}" for row in ORDER]}
    pd.DataFrame(table | {"label": LABELS[ORDER]}).to_parquet(tmp_path / "t.parquet")
    payload, _ = read(tmp_path, {"kind": "parquet", "path": str(tmp_path / "t.parquet"), "key_column": "id"})
    assert payload.modality == "table"
    assert [payload.values(row) for row in range(NUM)] == [
        {"a": row, "b": f"c{row % 2}"} for row in range(NUM)
    ]
    assert [column.categories for column in payload.columns] == [(), ("c0", "c1")]


def test_a_folder_of_pictures_by_path(tmp_path: Path) -> None:
    keys = [f"{NAMES[LABELS[row]]}/{row}.png" for row in range(NUM)]
    for row, key in enumerate(keys):
        file = tmp_path / "pictures" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(row))
    payload, _ = read(tmp_path, {"kind": "imagefolder", "path": str(tmp_path / "pictures")}, known(keys=keys))
    assert [payload.picture(row).getpixel((0, 0)) for row in range(NUM)] == list(range(NUM))


def test_in_order_needs_as_many(tmp_path: Path) -> None:
    source = csv(tmp_path, ORDER) | {"input_columns": ["text"]}
    payload, _ = read(tmp_path, source, match="order", labels="ignore")
    assert [payload.text(row) for row in range(NUM)] == [f"text {row}" for row in ORDER]
    with pytest.raises(InvalidRows, match="Row 0: its label is 'bee'; that of example 'k0' is 'ant'"):
        read(tmp_path, source, match="order")
    with pytest.raises(InvalidInput, match="8 rows and the dataset 9 examples"):
        read(tmp_path, csv(tmp_path, ORDER[:8]), match="order")


def test_keys_that_do_not_fit_are_named(tmp_path: Path) -> None:
    source = csv(tmp_path, id=["k0", "k1", "k2", "x", "k4", "y", "k6", "k7", "k8"])
    with pytest.raises(InvalidRows) as refused:
        read(tmp_path, source)
    assert [(row.index, row.code) for row in refused.value.rows] == [
        (3, "unknown_key"),
        (5, "unknown_key"),
        (3, "missing_input"),
        (5, "missing_input"),
    ]
    for words in ("4 rows", "Row 3: the dataset has no example 'x'.", "Example 5 ('k5') has no row"):
        assert words in str(refused.value)
    with pytest.raises(InvalidRows, match="is that of row 0 already"):
        read(tmp_path, csv(tmp_path, id=["k0"] * 2 + KEYS[2:]))
    with pytest.raises(InvalidRows, match="name its ids with key_column"):
        read(tmp_path, {name: value for name, value in csv(tmp_path).items() if name != "key_column"})


def test_rows_that_are_no_examples_may_be_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["x", *reversed(KEYS), "y"], "text": ["?", *map(str, range(NUM)), "!"]})
    frame["label"] = ["strange", *(NAMES[label] for label in LABELS[::-1]), None]
    frame.to_csv(tmp_path / "more.csv", index=False)
    source = {"kind": "csv", "path": str(tmp_path / "more.csv"), "key_column": "id", "modality": "text"}
    with pytest.raises(InvalidRows, match="no example 'x'"):
        read(tmp_path, source)
    payload, fingerprint = read(tmp_path, source, skip_unknown=True)
    assert [payload.text(row) for row in range(NUM)] == [str(NUM - 1 - row) for row in range(NUM)]
    frame.iloc[1:-1].to_csv(tmp_path / "more.csv", index=False)
    assert read(tmp_path, source)[1] == fingerprint


def test_labels_that_differ_are_named_or_ignored(tmp_path: Path) -> None:
    words = [NAMES[label] for label in LABELS]
    source = csv(tmp_path, label=["cow", *words[1:]])
    with pytest.raises(
        InvalidRows, match="Row 0: its label is 'cow'; that of example 'k0' is 'ant'"
    ) as refused:
        read(tmp_path, source)
    assert "labels=ignore" in str(refused.value)
    assert [(row.index, row.code) for row in refused.value.rows] == [(0, "label_differs")]
    assert read(tmp_path, source, labels="ignore")[0].num_rows == NUM
    with pytest.raises(InvalidRows, match="none of the classes"):
        read(tmp_path, csv(tmp_path, label=["dog", *words[1:]]))


def test_labels_by_number_and_by_name(tmp_path: Path) -> None:
    """Classes that have numbers alone on the server are compared with the source's classes in their order."""
    plain = known(["0", "1", "2"])
    assert read(tmp_path, csv(tmp_path), plain)[0].num_rows == NUM
    assert read(tmp_path, csv(tmp_path, label=LABELS), plain)[0].num_rows == NUM
    assert read(tmp_path, csv(tmp_path, label=LABELS), known())[0].num_rows == NUM
    other_order = csv(tmp_path) | {"class_names": ["bee", "ant", "cow"]}
    assert read(tmp_path, other_order, known())[0].num_rows == NUM, (
        "by name, in whatever order they are named"
    )
    with pytest.raises(InvalidRows, match="its label is"):
        read(tmp_path, other_order, plain)
    named = csv(tmp_path, label=[f"{NAMES[label]}s" for label in LABELS])
    with pytest.raises(InvalidInput, match="class 'ants'"):
        read(tmp_path, named | {"class_names": ["ants", "bees", "cows"]})


def test_a_source_without_labels(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": KEYS[::-1], "text": [f"text {row}" for row in range(NUM)]})
    frame.to_csv(tmp_path / "bare.csv", index=False)
    source = {"kind": "csv", "path": str(tmp_path / "bare.csv"), "key_column": "id"}
    with pytest.raises(InvalidInput, match="no column 'label'"):
        read(tmp_path, source)
    assert read(tmp_path, source, labels="ignore")[0].text(0) == "text 8"
    np.savez(tmp_path / "bare.npz", x_train=np.eye(NUM, dtype=np.float32), keys_train=np.array(KEYS))
    source = {"kind": "npz", "path": str(tmp_path / "bare.npz")}
    with pytest.raises(InvalidInput, match="no labels"):
        read(tmp_path, source)
    np.testing.assert_array_equal(read(tmp_path, source, labels="ignore")[0].array, np.eye(NUM))


def test_an_input_that_cannot_be_used_refuses_all(tmp_path: Path) -> None:
    frame = pd.DataFrame({
        "id": KEYS,
        "image": [{"bytes": png(1) if row != 4 else b"no picture", "path": None} for row in range(NUM)],
        "label": LABELS,
    })  # fmt: skip
    frame.to_parquet(tmp_path / "p.parquet")
    with pytest.raises(InvalidRows, match="Row 4"):
        read(tmp_path, {"kind": "parquet", "path": str(tmp_path / "p.parquet"), "key_column": "id"})


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(13)), st.lists(st.integers(1, 12), max_size=4), st.integers(1, 60))
def test_rows_of_many_batches_in_any_order(order: list[int], cuts: list[int], chunk: int) -> None:
    table = pa.table({"text": pa.array([f"t{row}" * (row % 3) for row in range(13)], pa.large_string())})
    places = sorted({0, 13, *cuts})
    batches = [
        pa.record_batch([table["text"].slice(start, end - start).combine_chunks()], schema=table.schema)
        for start, end in itertools.pairwise(places)
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(added, "_CHUNK_BYTES", chunk)
        found = [
            text for batch in added._taken(batches, np.array(order)) for text in batch["text"].to_pylist()
        ]
    assert found == [table["text"][row].as_py() for row in order]
