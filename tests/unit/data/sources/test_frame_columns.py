"""Parquet: what columns are for: labels, keys, splits."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sondage.errors import InvalidInput, InvalidRows, Unsupported
from tests.unit.data.sources.frames import NUM, codes_of, texts, two_classes, write


@pytest.mark.parametrize(
    ("labels", "names", "classes"),
    [
        (["b", "a"] * 4, None, ["a", "b"]),
        (["10", "9"] * 4, None, ["9", "10"]),
        ([5, 3] * 4, None, ["3", "5"]),
        ([1.0, 0.0] * 4, None, ["0", "1"]),
        ([True, False] * 4, None, ["false", "true"]),
        ([1, 0] * 4, ["cat", "dog"], ["cat", "dog"]),
        (["dog", "cat"] * 4, ["cat", "dog"], ["cat", "dog"]),
        (pa.array(["b", "a"] * 4).dictionary_encode(), None, ["a", "b"]),
    ],
)
def test_labels_of_many_types_become_classes(root, register, labels, names, classes):
    write(root, text=texts(), label=labels)
    registration = register("parquet", "a.parquet", class_names=names).registration
    assert registration.class_names == classes
    assert registration.labels.tolist() == [1, 0] * 4


def test_missing_and_unknown_labels_are_told(root, register):
    write(root, text=texts(), label=["cat", "dog", None, "cat", "", "dgo", "cat", "dog"])
    with pytest.raises(InvalidRows, match="nothing was registered") as caught:
        register("parquet", "a.parquet", class_names=["cat", "dog"])
    assert codes_of(caught.value) == [(2, "missing_label"), (4, "missing_label"), (5, "unknown_label")]
    assert "'dgo' is none of the classes (cat, dog)" in caught.value.rows[2].message


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [[0, 1]] * NUM}, "several labels or boxes"),
        ({"label": [0.5] * NUM}, "measurements"),
        ({"label": [1e300, 1.0] * 4}, "measurements"),
        ({"label": pa.array([2**64 - 1, 1] * 4, pa.uint64())}, "measurements"),
        ({"objects": [[{"bbox": [0, 0, 1, 1]}]] * NUM}, "detection"),
    ],
)
def test_other_tasks_are_out_of_scope_and_told_so(root, register, columns, message):
    write(root, text=texts(), **columns)
    with pytest.raises(Unsupported, match=message):
        register("parquet", "a.parquet")


@pytest.mark.parametrize("names", [["a", "a"], ["a", ""], ["a", "b\x00"]])
def test_class_names_have_to_be_names(root, register, names):
    write(root, text=texts(), label=[0, 1] * 4)
    with pytest.raises(InvalidInput, match="class name"):
        register("parquet", "a.parquet", class_names=names)


def test_keys_are_unique_and_there(root, register):
    write(root, text=texts(), label=two_classes(), id=["a", "b", "a", None, "c", "x\x00", "d", "c" * 501])
    with pytest.raises(InvalidRows) as caught:
        register("parquet", "a.parquet", key_column="id")
    assert codes_of(caught.value) == [
        (2, "duplicate_key"),
        (3, "missing_key"),
        (5, "bad_key"),
        (7, "bad_key"),
    ]
    assert "is that of row 0 already" in caught.value.rows[0].message
    assert register("parquet", "a.parquet", key_column="id", skip_invalid=True).registration.keys == [
        "a",
        "b",
        "c",
        "d",
    ]


def test_a_skipped_row_does_not_hold_its_key(root, register):
    labels = two_classes()
    labels[0] = None
    write(root, text=texts(), label=labels, id=["a", "b", "a", "c", "d", "e", "f", "g"])
    done = register("parquet", "a.parquet", key_column="id", skip_invalid=True)
    assert done.registration.keys[:2] == ["b", "a"]


def test_splits_come_from_a_column_in_any_usual_word(root, register):
    words = ["train", "Training", "dev", "val", "validation", "test", "train", "train"]
    write(root, text=texts(), label=two_classes(), fold=words, extra=[1] * NUM)
    done = register("parquet", "a.parquet", split_column="fold", modality="text")
    usual = ["train", "train", "validation", "validation", "validation", "test", "train", "train"]
    assert done.registration.splits == usual
    write(root, a=np.arange(NUM), label=two_classes(), split=words)
    found = register("parquet", "a.parquet")
    assert found.registration.splits == usual
    assert [column.name for column in found.payload.columns] == ["a"]
    with pytest.raises(InvalidRows, match="its split is 'no'"):
        register("parquet", "a.parquet", split_column="label", label_column="split")


def test_columns_that_are_not_there_are_named(root, register):
    write(root, text=texts(), kind=two_classes())
    with pytest.raises(InvalidInput, match="no column 'label' with labels; name one of text, kind"):
        register("parquet", "a.parquet")
    for option in ({"key_column": "id"}, {"split_column": "id"}, {"input_columns": ["id"]}):
        with pytest.raises(InvalidInput, match="no column 'id'"):
            register("parquet", "a.parquet", label_column="kind", **option)
    with pytest.raises(InvalidInput, match="cannot be an input"):
        register("parquet", "a.parquet", label_column="kind", input_columns=["kind"])


def test_only_the_first_hundred_faults_are_listed_and_all_are_counted(root, register):
    write(root, text=texts(300), label=[None, "a", "b"] * 50 + [None] * 150)
    with pytest.raises(InvalidRows) as caught:
        register("parquet", "a.parquet")
    assert len(caught.value.rows) == 100
    assert caught.value.num_rejected == 200


def test_nothing_usable_or_nothing_at_all_is_told(root, register):
    write(root, text=texts(), label=pa.nulls(NUM, pa.string()))
    with pytest.raises(InvalidInput, match=r"No row of the source can be used\. Row 0: it has no label"):
        register("parquet", "a.parquet", skip_invalid=True)
    write(root, text=pa.array([], pa.string()), label=pa.array([], pa.string()))
    with pytest.raises(InvalidInput):
        register("parquet", "a.parquet")
