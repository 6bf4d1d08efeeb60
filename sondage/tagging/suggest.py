"""⑤ What the model said instead of the given label: suggested labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sondage.curves import NOT_SEEN, Curves
from sondage.types import AnyArray, Labels, Mask, Rows

NO_LABEL = -1
_CHUNK_ROWS = 65_536


def suggest_labels(runs: Sequence[Curves], labels: Labels, num_examples: int) -> Rows:
    """The class predicted most often in the later half of the epochs, over all runs, where it is not the given one.

    Parameters
    ----------
    runs : sequence of Curves
        Those without the channel `predicted` say nothing.
    labels : int array, shape (N or more,)
        Given labels.

    Returns
    -------
    int64 array, shape (N,)
        −1 where the given label was predicted most, or nothing was recorded. Of equally frequent classes the
        given one wins, then the lowest.
    """
    later = [run["predicted"][:num_examples, run.num_epochs // 2 :] for run in runs if "predicted" in run]
    if not later:
        return np.full(num_examples, NO_LABEL, dtype=np.int64)
    other, lead = most_frequent_other(later, labels[:num_examples])
    return np.where(lead > 0, other, NO_LABEL)


def most_frequent_other(
    predicted: Sequence[AnyArray], labels: Labels, trained: Sequence[Mask] | None = None
) -> tuple[Rows, Rows]:
    """Per row the class, other than the given one, that was predicted most often.

    Parameters
    ----------
    predicted : sequence of int arrays, shape (rows, epochs)
        Per run; −1 where a row was not seen.
    labels : int array, shape (rows,)
    trained : sequence of bool arrays, shape (rows,), optional
        Per run the rows whose predictions count; all by default.

    Returns
    -------
    other : int64 array, shape (rows,)
        Of equally frequent ones the lowest; −1 where nothing but the given label was predicted.
    lead : int64 array, shape (rows,)
        How many times more often than the given label.
    """
    other = np.full(len(labels), NO_LABEL, dtype=np.int64)
    lead = np.zeros(len(labels), dtype=np.int64)
    for start in range(0, len(labels), _CHUNK_ROWS):
        block = slice(start, min(start + _CHUNK_ROWS, len(labels)))
        parts = [part[block] for part in predicted]
        if trained is not None:
            parts = [
                np.where(mask[block, None], part, NOT_SEEN) for mask, part in zip(trained, parts, strict=True)
            ]
        # Sorting small numbers is several times faster.
        said = np.concatenate(parts, axis=1).astype(_smallest_type(parts), copy=False)
        own = said == np.asarray(labels[block])[:, None]
        said[own] = NOT_SEEN
        told = (said != NOT_SEEN).any(axis=1)
        times = np.zeros(len(said), dtype=np.int64)
        other[block][told], times[told] = _most_frequent(said[told])
        lead[block] = times - own.sum(axis=1)
    return other, lead


def _most_frequent(said: AnyArray) -> tuple[Rows, Rows]:
    """Per row the most frequent class and its number. Sorting keeps this free of a table of classes."""
    said = np.sort(said, axis=1)
    place = np.arange(said.shape[1], dtype=np.int32)
    starts = np.ones(said.shape, dtype=bool)
    starts[:, 1:] = said[:, 1:] != said[:, :-1]
    length = place - np.maximum.accumulate(np.where(starts, place, 0), axis=1) + 1
    length[said == NOT_SEEN] = 0
    # The longest run of equal classes ends where the length is largest; argmax takes the first, the lowest class.
    best = length.argmax(axis=1)[:, None]
    times = np.take_along_axis(length, best, axis=1)[:, 0]
    found = np.take_along_axis(said, best, axis=1)[:, 0]
    return np.where(times > 0, found, NO_LABEL).astype(np.int64), times.astype(np.int64)


def _smallest_type(parts: Sequence[AnyArray]) -> np.dtype[Any]:
    kinds = {part.dtype for part in parts}
    return kinds.pop() if len(kinds) == 1 and parts[0].dtype.kind == "i" else np.dtype(np.int64)
