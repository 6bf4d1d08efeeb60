"""① Which rows of a source count, and which are set aside for validation."""

from __future__ import annotations

from typing import Any

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import Labels, Rows

_SEED = 0x50A0  # fixed: the same source with the same share is the same dataset
Splits = np.ndarray[Any, Any]


def counted_rows(splits: Splits, limit: int | None) -> Rows:
    """All rows; or of the train split only the first `limit`, and the other splits whole."""
    rows = np.arange(len(splits), dtype=np.int64)
    if limit is None:
        return rows
    train = np.flatnonzero(splits == "train")[:limit]
    return np.sort(np.concatenate([train, rows[splits != "train"]]))


def set_aside(splits: Splits, labels: Labels, share: float) -> Splits:
    """Move a share of each class from train to validation, drawn with a fixed seed.

    Parameters
    ----------
    splits : array of str, shape (N,)
    labels : integer array, shape (N,)
    share : float
        In [0, 1). Rounded per class; at least one example of each class stays in train.

    Raises
    ------
    InvalidInput
        There is a validation split already.
    """
    if not share:
        return splits
    if (splits == "validation").any():
        raise InvalidInput(
            "The source has a validation split of its own: leave validation_share out.",
            field="validation_share",
        )
    splits = splits.copy()
    rng = np.random.Generator(np.random.Philox(_SEED))
    for label in np.unique(labels):
        rows = np.flatnonzero((splits == "train") & (labels == label))
        num = min(round(share * len(rows)), len(rows) - 1)
        if num > 0:
            splits[rng.permutation(rows)[:num]] = "validation"
    return splits
