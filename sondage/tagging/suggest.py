"""⑤ Suggested labels: what the model said instead of the given label, most of the time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sondage.curves import NOT_SEEN, Curves
from sondage.types import AnyArray, Labels, Rows

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
    out = np.full(num_examples, NO_LABEL, dtype=np.int64)
    if not later:
        return out
    for start in range(0, num_examples, _CHUNK_ROWS):
        block = slice(start, min(start + _CHUNK_ROWS, num_examples))
        said = np.concatenate([part[block] for part in later], axis=1).astype(np.int64)
        out[block] = _most_frequent_other(said, np.asarray(labels[block]))
    return out


def _most_frequent_other(said: AnyArray, given: AnyArray) -> Rows:
    """Per row the most frequent class, −1 if that is the given one. Sorting keeps this free of a table of classes."""
    said = np.sort(said, axis=1)
    place = np.arange(said.shape[1])
    starts = np.ones(said.shape, dtype=bool)
    starts[:, 1:] = said[:, 1:] != said[:, :-1]
    length = place - np.maximum.accumulate(np.where(starts, place, 0), axis=1) + 1
    length[said == NOT_SEEN] = 0
    # The longest run of equal classes ends where the length is largest; argmax takes the first, the lowest class.
    best = length.argmax(axis=1)[:, None]
    most = np.take_along_axis(length, best, axis=1)[:, 0]
    label = np.take_along_axis(said, best, axis=1)[:, 0]
    own = ((said == given[:, None]) & (said != NOT_SEEN)).sum(axis=1)
    return np.where(most > own, label, NO_LABEL)
