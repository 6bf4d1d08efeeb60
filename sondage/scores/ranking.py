"""⑤ How good a ranking is, where the truth is known: precision, recall and average precision."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray, Mask, Rows


def worst_first(values: AnyArray, bad_end: Literal["high", "low"]) -> Rows:
    """Rows from the bad end on; equal ones by index, NaN last. Shape (rows,)."""
    return np.argsort(values if bad_end == "low" else -values, kind="stable")


def precision_at(order: Rows, truth: Mask, num: int) -> float:
    """Share of the first `num` of `order` for which `truth` holds; 0…1."""
    _check_num(num)
    return float(truth[order[:num]].mean())


def recall_at(order: Rows, truth: Mask, num: int) -> float:
    """Share of all for which `truth` holds that stand among the first `num` of `order`; 0…1."""
    _check_num(num)
    return float(truth[order[:num]].sum() / _num_true(truth))


def average_precision(order: Rows, truth: Mask) -> float:
    """Mean over the true ones of the precision at their place; 0…1, random gives about their share."""
    hits = truth[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].sum() / _num_true(truth))


def _check_num(num: int) -> None:
    if num < 1:
        raise InvalidInput(f"num is {num}; look at one row at least.", field="num")


def _num_true(truth: Mask) -> int:
    num = int(truth.sum())
    if num == 0:
        raise InvalidInput("The truth holds for no row, so there is nothing to find.", field="truth")
    return num
