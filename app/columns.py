"""⑥ Numbers kept in memory: scores as columns, so that a list is sorted by one in milliseconds, and probes' curves."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from store import scores
from store.tags import Filter

Column = NDArray[np.float32]
Array = NDArray[Any]
FILTERS_SHARE = 4
"""One part in so many of the memory is for examples under filters."""


class Kept:
    """The most recently used arrays, up to a number of bytes. What a key stands for must never change."""

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._arrays: OrderedDict[Hashable, Array] = OrderedDict()
        self._num_bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Array]) -> Array:
        """The array, made unless it is there. Not to be written to."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
        array = make()
        array.flags.writeable = False
        self._keep(key, array)
        return array

    def _keep(self, key: Hashable, array: Array) -> None:
        with self._lock:
            if key in self._arrays or array.nbytes > self.max_bytes:
                return
            self._arrays[key] = array
            self._num_bytes += array.nbytes
            while self._num_bytes > self.max_bytes:
                _, dropped = self._arrays.popitem(last=False)
                self._num_bytes -= dropped.nbytes


class Columns:
    """What lists and explanations need again and again.

    Each place of a slider is a filter of its own: what is under filters has its own share of the memory, so that it
    drives out no score.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._indices = Kept(max_bytes=max_bytes // FILTERS_SHARE)
        self._kept = Kept(max_bytes=max_bytes - max_bytes // FILTERS_SHARE)

    def score(self, session: Session, *, score_id: int) -> Column:
        """float32 [N], NaN where an example has no score. A score is never changed under its number."""
        return self._kept.get(("score", score_id), lambda: scores.values(session, score_id=score_id))

    def indices(self, tagging_id: int, where: Filter, make: Callable[[], Array]) -> NDArray[np.int64]:
        """The examples under a filter that asks for no decision: of a finished tagging, always the same."""
        return self._indices.get(("indices", tagging_id, where), make)

    def probe_curves(self, tagging_id: int, run_id: int, channel: str, make: Callable[[], Array]) -> Array:
        """[probes, epochs] of a finished tagging, which does not change any more."""
        return self._kept.get(("probes", tagging_id, run_id, channel), make)

    def changes(self, tagging_id: int, other_id: int, make: Callable[[], Array]) -> Array:
        """[3, examples] of two finished taggings: the examples by how far they moved, and both tags."""
        return self._kept.get(("changes", tagging_id, other_id), make)


def worst_first(
    column: Column,
    indices: NDArray[np.int64],
    *,
    bad_end: str,
    after: int | None,
    limit: int,
) -> tuple[list[int], int | None]:
    """One page of examples, the bad end of their score first, those without a score last, ties by index.

    Parameters
    ----------
    column : float32 [N]
    indices : int64 [n]
        The examples of the list.
    after : int, optional
        The last example of the page before; it need not be in the list any more.

    Returns
    -------
    The examples of the page, and the one to go on after, or None on the last page.
    """
    sign = -1.0 if bad_end == "high" else 1.0
    place = np.where(np.isnan(column), np.inf, sign * column)
    unscored = np.isnan(column)
    if after is not None:
        indices = indices[_comes_after(place, unscored, indices, after)]
    if len(indices) > limit + 1:
        indices = _first(place, unscored, indices, limit + 1)
    ordered = indices[np.lexsort((indices, place[indices], unscored[indices]))]
    page = [int(index) for index in ordered[:limit]]
    return page, page[-1] if len(ordered) > limit else None


def _comes_after(
    place: NDArray[np.float32], unscored: NDArray[np.bool_], indices: NDArray[np.int64], after: int
) -> NDArray[np.bool_]:
    """In the order of (without a score, place, index)."""
    there, here = place[indices], place[after]
    later = (there > here) | ((there == here) & (indices > after))
    same_kind = unscored[indices] == unscored[after]
    return np.asarray(np.where(same_kind, later, unscored[indices]))


def _first(
    place: NDArray[np.float32], unscored: NDArray[np.bool_], indices: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Those that may be among the first `count`: a selection in place of a sort of everything."""
    keys = place[indices]
    cut = np.partition(keys, count - 1)[count - 1]
    return np.asarray(indices[keys <= cut])
