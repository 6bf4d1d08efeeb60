"""What `init` is told of the examples, checked at once."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from sondage.errors import InvalidInput
from sondage.recorder.dataset import Examples


@pytest.mark.parametrize(
    "labels", [[0, 2, 1], np.array([0, 2, 1], np.uint8), torch.tensor([0, 2, 1]), pd.Series([0, 2, 1])]
)
def test_labels_from_whatever_holds_them(labels):
    examples = Examples(labels=labels)
    assert examples.labels.tolist() == [0, 2, 1]
    assert (examples.num_examples, examples.num_classes) == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "field", "match"),
    [
        ({"labels": [0.0, float("nan"), 1.0]}, "labels", r"labels\[1\] is NaN"),
        ({"labels": [0.5, 1.0]}, "labels", "integers"),
        ({"labels": ["cat", "dog"]}, "labels", "integers"),
        ({"labels": [0, -1]}, "labels", r"labels\[1\] is -1"),
        ({"labels": [[0, 1]]}, "labels", "shape"),
        ({"labels": [True, False]}, "labels", "integers"),
        ({"labels": []}, "labels", "at least one"),
        ({"labels": [0, 1], "ids": ["a"]}, "labels", "labels 2, ids 1"),
        ({"labels": [0, 1], "num_examples": 3}, "labels", "num_examples 3"),
        ({"labels": [0, 1], "ids": ["a", "a"]}, "ids", "'a' comes twice"),
        ({"labels": [0, 1], "ids": ["a", None]}, "ids", r"ids\[1\] is empty"),
        ({"labels": [0, 1], "ids": [1.0, float("nan")]}, "ids", r"ids\[1\] is empty"),
        ({"labels": [0, 1], "ids": "ab"}, "ids", "one text"),
        ({"labels": [0, 3], "class_names": ["a", "b"]}, "class_names", "go up to 3"),
        ({"labels": [0, 1], "class_names": ["a", "a"]}, "class_names", "different"),
        ({"labels": [0, 1], "splits": ["train", "dev"]}, "splits", "'dev'"),
        # What the server would refuse when all is recorded.
        ({"ids": ["a", "b\nc"]}, "ids", r"ids\[1\] is 'b\\nc'.*control"),
        ({"ids": ["a" * 501]}, "ids", "of 501 signs"),
        ({"ids": ["\ud800"]}, "ids", r"ids\[0\]"),
        ({"class_names": ["", "b"]}, "class_names", r"class_names\[0\] is ''"),
        ({"class_names": ["a\0", "b"]}, "class_names", "no NUL"),
        ({"class_names": ["a", "b" * 1001]}, "class_names", "1,000"),
        ({"class_names": ["a"]}, "class_names", "needs two"),
        ({"labels": [0, 0]}, "labels", "needs two"),
        ({"labels": [0, 1_000_000]}, "labels", r"labels\[1\] is 1000000.*below 1,000,000"),
        ({"labels": np.array([0, 2**63], np.uint64)}, "labels", "below 1,000,000"),
        ({"labels": [0, 1], "splits": ["test", "test"]}, "splits", "no example of train"),
        ({"num_examples": -3}, "num_examples", "whole number"),
        ({"num_examples": 5.0}, "num_examples", "whole number"),
        ({"num_examples": True}, "num_examples", "whole number"),
        ({"num_examples": 50_000_001}, "num_examples", "50,000,000"),
    ],
)
def test_what_is_wrong_is_said_at_once(arguments, field, match):
    with pytest.raises(InvalidInput, match=match) as caught:
        Examples(**arguments)
    assert caught.value.field == field


def test_rows_of_keys():
    examples = Examples(labels=[0, 1, 1], ids=[10, "b", 30])
    assert examples.rows_of([30, "10"]).tolist() == [2, 0]
    assert examples.rows_of(np.array(["b"])).tolist() == [1]
    assert examples.rows_of(torch.tensor([30])).tolist() == [2]
    with pytest.raises(InvalidInput, match="'c'"):
        examples.rows_of(["c"])
    with pytest.raises(InvalidInput, match=r"init\(ids=.*datasets\.keys"):
        Examples(labels=[0, 1]).rows_of(["a"])


def test_what_is_sent_are_ids_labels_splits_and_names():
    examples = Examples(labels=[1, 0], ids=["a", "b"], splits=["train", "test"], class_names=["x", "y"])
    table = pa.ipc.open_stream(examples.to_arrow()).read_all()
    assert table.to_pydict() == {"label": [1, 0], "key": ["a", "b"], "split": ["train", "test"]}
    assert table.schema.metadata == {b"class_names": b'["x", "y"]'}
    assert examples.num_train == 1
    assert Examples(num_examples=3).to_arrow() is None


def test_what_the_server_takes_is_taken():
    ids, names = ["a" * 500, "ü b"], ["a\nb", "c" * 1000]
    assert Examples(ids=ids, class_names=names, labels=np.array([0, 1], np.uint8)).num_examples == 2
    assert Examples(num_examples=np.int64(5)).num_examples == 5
    assert Examples(labels=[0, 999_999]).num_classes == 1_000_000
