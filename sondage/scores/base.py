"""⑤ What a score is, and means over epochs and over runs that leave out what was not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sondage.curves import Curves
from sondage.types import AnyArray, CurveArray, Mask, PerRow

_CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class Score:
    """A method that gives every row a number.

    Parameters
    ----------
    name : str
    needs : tuple of str
        Channels it reads.
    bad_end : {"high", "low"}
        Where wrong labels are.
    description, source : str
    function : callable
        From the curves of one run to float32 (rows,), NaN for rows never seen.
    """

    name: str
    needs: tuple[str, ...]
    bad_end: Literal["high", "low"]
    description: str
    source: str
    function: Callable[[Curves], PerRow]

    def __call__(self, curves: Curves) -> PerRow:
        return self.function(curves)


def mean_over_epochs(values: CurveArray, change: Callable[[AnyArray], AnyArray] | None = None) -> PerRow:
    """Per row the mean over the epochs in which it was seen, of `change(values)` if given; NaN if never.

    A block of rows at a time: the curves of a run are many times larger than one number per row.
    """
    out = np.empty(len(values), dtype=np.float32)
    for start in range(0, len(values), _CHUNK_ROWS):
        block = values[start : start + _CHUNK_ROWS]
        out[start : start + _CHUNK_ROWS] = nanmean(block if change is None else change(block), axis=1)
    return out


def of_last_look(values: CurveArray) -> PerRow:
    """A channel of a few epochs: the last one in which any row has it counts, for all rows. Shape (rows,).

    NaN for those that were not looked at then.
    """
    for epoch in reversed(range(values.shape[1])):
        if not np.isnan(values[:, epoch]).all():
            return np.array(values[:, epoch], dtype=np.float32)
    return np.full(len(values), np.nan, dtype=np.float32)


def mean_over_runs(per_run: Sequence[PerRow]) -> PerRow:
    """Per row the mean over the runs that have a number for it; NaN where none has. Shape (rows,)."""
    return nanmean(np.stack(per_run), axis=0)


def mean_where_trained(per_run: Sequence[AnyArray], trained: Sequence[Mask]) -> AnyArray:
    """Mean over the runs that trained the example; over those that only scored it where none did. Shape (N, …).

    A model that never saw an example is harder on it, so the two are not mixed.
    """
    masks = [
        mask.reshape(-1, *[1] * (values.ndim - 1)) for mask, values in zip(trained, per_run, strict=True)
    ]
    inside = mean_over_runs(
        [np.where(mask, values, np.nan) for mask, values in zip(masks, per_run, strict=True)]
    )
    return np.where(np.isnan(inside), mean_over_runs(per_run), inside)


def nanmean(values: AnyArray, axis: int) -> PerRow:
    """As `numpy.nanmean`, without a warning where there is nothing to average. Sums in float64."""
    there = ~np.isnan(values)
    total = np.where(there, values, 0).sum(axis=axis, dtype=np.float64)
    num = there.sum(axis=axis)
    return np.asarray(np.where(num > 0, total / np.maximum(num, 1), np.nan), dtype=np.float32)
