"""Rows of a table of the user's own, planted in datasets whose inputs are rows."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

from sondage.errors import InvalidInput, Unsupported
from sondage.probes.own import OwnExamples, OwnSuite, TableRow
from sondage.probes.suite import Generator
from sondage.torch.planting import plant

N, OWN = 60, 12
ROW = {"age": 30, "pay": np.float32(2.5), "job": "cook", "member": True, "height": torch.tensor(1.5)}


def suite(**changes: Any) -> OwnSuite:
    """As the server sends it: whole numbers, floats and words, with a column that is not in the train set."""
    row = {"age": 7, "pay": 4.25, "job": "pilot", "member": "false", "height": 2, "unused": "x", **changes}
    row = {name: value for name, value in row.items() if value != "left out"}
    mine = OwnExamples([TableRow(row)] * OWN, labels=np.arange(OWN) % 3, categories=["ood"] * OWN)
    return mine.suite("rows", generators=[Generator("flip", count=6)])


def check(planted: Any, inputs: list[dict[str, Any]]) -> None:
    assert len(inputs) == N + OWN
    for row in inputs[N:]:
        assert (row["age"], row["pay"], row["job"], row["member"], row["height"]) == (
            7,
            4.25,
            "pilot",
            False,
            2,
        )
        assert [type(row[name]) for name in ROW] == [int, np.float32, str, bool, torch.Tensor]
    assert all(row["age"] == 30 for row in inputs[:N])
    labels = [probe.label for probe in planted.probes[6:]]
    assert labels == [place % 3 for place in range(OWN)]


def test_inputs_that_are_mappings() -> None:
    plain = [(ROW, label % 3) for label in range(N)]
    planted = plant(plain, suite())
    check(planted, [planted[place][0] for place in range(len(planted))])
    again = pickle.loads(pickle.dumps(planted))  # noqa: S301  # our own, as a loader's worker gets it
    assert again[N + OWN - 1][0]["job"] == "pilot"


@pytest.mark.parametrize("inner", [False, True])
def test_examples_that_are_mappings(inner: bool) -> None:
    """Columns beside the label, one of which is the only text; or in a mapping of their own."""
    plain = [{"x": ROW, "label": n % 3} if inner else {**ROW, "label": n % 3} for n in range(N)]
    planted = plant(plain, suite())
    examples = [planted[place] for place in range(len(planted))]
    check(planted, [example["x"] if inner else example for example in examples])
    assert [example["label"] for example in examples[-3:]] == [0, 1, 2]


def test_features_are_made_of_rows_by_transform() -> None:
    plain = [(ROW, label % 3) for label in range(N)]
    planted = plant(plain, suite(), transform=lambda row: torch.tensor([row["age"], float(row["pay"])]))
    assert planted[N + OWN - 1][0].tolist() == [7, 4.25]
    beside = plant(
        [{**ROW, "label": n % 3} for n in range(N)], suite(), transform=lambda row: {"age": row["age"] + 1}
    )
    assert (beside[0]["age"], beside[N + OWN - 1]["age"]) == (31, 8)
    wrong = plant([{**ROW, "label": n % 3} for n in range(N)], suite(), transform=lambda row: 5)
    with pytest.raises(InvalidInput, match="transform gave a int"):
        wrong[0]


def test_a_missing_category_stays_missing() -> None:
    planted = plant([(ROW, label % 3) for label in range(N)], suite(job=None))
    assert planted[N + OWN - 1][0]["job"] is None


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"age": 7.5}, "'age' of example '0' is 7.5; the train set has int"),
        ({"age": "old"}, "is 'old'; the train set has int"),
        ({"pay": "much"}, "has float32 there, such as 2.5"),
        ({"job": 7}, "is 7; the train set has str"),
        ({"member": "maybe"}, "is 'maybe'; the train set has bool"),
        ({"age": True}, "is True; the train set has int"),
        ({"pay": "left out"}, "has no column 'pay'"),
    ],
)
def test_rows_that_do_not_fit(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        plant([(ROW, label % 3) for label in range(N)], suite(**changes))


def test_rows_and_vectors() -> None:
    with pytest.raises(Unsupported, match="mappings of column to value"):
        plant([(np.zeros(4, np.float32), label % 3) for label in range(N)], suite())
