"""③ The features of one look, from the first batch until its channels are worked out. Bounded memory.

Of the rows that are fitted features are kept as float32, at most 65,536 rows of 128 numbers: 32 MiB. All others wait
for the fit as float16, 260 bytes a row and half a gibibyte at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sondage.errors import InvalidInput
from sondage.recorder.channels import LABEL_ODDS
from sondage.tagging.class_distance import ClassDistances
from sondage.tagging.gaussian_classes import NOBODY
from sondage.tagging.left_out import WIDEST, LabelOdds, directions, draw_fitted
from sondage.types import AnyArray, Labels, Mask, Rows

SEED = 0
"""Of the draws: every look of every run projects alike."""
MOST_OTHERS = 2_097_152
"""Rows that are not fitted and are kept all the same; of those beyond a look tells nothing."""
MOST_CLASSES = 32_768
"""A look asks of every row how far it is from each: with more classes it would take minutes."""
_CHUNK_ROWS = 1_024
_UNKNOWN = -1
_Witness = Callable[[AnyArray, Labels, Rows], AnyArray]
"""Gets features, labels and what is left out (`LabelOdds.log_odds`)."""


class Features:
    """Takes batches in any order; a row that comes again takes the place of what was there.

    Parameters
    ----------
    labels : int64 array, shape (num_rows,)
        Of examples and made probes; −1 where the run does not know it: then the batch says it.
    num_examples : int
    sources : int64 array, shape (num_rows − num_examples,)
        The row that each made probe was made from; −1 for none.
    eligible : bool array, shape (num_examples,)
        The train split.
    """

    def __init__(self, labels: Labels, num_examples: int, sources: Rows, eligible: Mask) -> None:
        self._known = labels
        self._labels = labels.copy() if (labels == _UNKNOWN).any() else labels
        self._num_examples = num_examples
        self._sources = sources
        self._fitted = draw_fitted(np.flatnonzero(eligible), SEED)
        self._place = np.full(len(labels), NOBODY, dtype=np.int64)
        """Among the fitted; of others, among those."""
        self._is_fitted = np.zeros(len(labels), dtype=bool)
        self._is_fitted[self._fitted] = True
        self._others = np.flatnonzero(~self._is_fitted)[:MOST_OTHERS]
        self._place[self._fitted] = np.arange(len(self._fitted))
        self._place[self._others] = np.arange(len(self._others))
        self._kept: _Kept | None = None
        self._width = 0

    @property
    def num_beyond(self) -> int:
        """Rows for which there is no room."""
        return len(self._labels) - len(self._fitted) - len(self._others)

    def take(self, rows: Rows, features: AnyArray, labels: Labels | None) -> None:
        """One batch: rows int (B,), features float32 (B, width), labels int (B,) where the run has none.

        Raises
        ------
        InvalidInput
            They do not fit together, or rows or labels are out of range.
        """
        self._check(rows, features, labels)
        if not len(rows):
            return
        rows = rows.astype(np.int64)
        if rows.min() < 0 or rows.max() >= len(self._labels):
            raise InvalidInput(f"rows {rows.min()}…{rows.max()} of a run that has 0…{len(self._labels) - 1}")
        self._take_labels(rows, labels)
        if self._kept is None:
            self._width = features.shape[1]
            self._narrow = directions(self._width, SEED)
            width = min(self._width, WIDEST)
            self._kept = _Kept(len(self._fitted), len(self._others), width)
        if features.shape[1] != self._width:
            raise InvalidInput(f"features are {features.shape[1]} wide, and were {self._width}")
        values = features if self._narrow is None else features @ self._narrow
        fitted = self._is_fitted[rows]
        self._kept.put_fitted(self._place[rows[fitted]], values[fitted])
        held = ~fitted & (self._place[rows] != NOBODY)
        self._kept.put_others(self._place[rows[held]], values[held])

    def channels(self, names: Sequence[str]) -> dict[str, AnyArray]:
        """Of `OF_LOOKS` those of the names, float32 (num_rows,), NaN for rows that were not taken.

        None at all where nothing can be fitted.
        """
        kept = self._kept
        usable = np.zeros(0, bool) if kept is None else kept.usable()
        if kept is None or usable.sum() < 2:
            return {}
        fitted = self._fitted[usable]
        values = kept.fitted if usable.all() else kept.fitted[usable]
        if self._labels[fitted].max() >= MOST_CLASSES:
            raise InvalidInput(f"looks are for at most {MOST_CLASSES:,} classes")
        without = np.full(len(self._labels), NOBODY, dtype=np.int64)
        without[fitted] = np.arange(len(fitted))
        without[self._num_examples :] = np.where(self._sources >= 0, without[self._sources], NOBODY)
        of_fitted, found = self._labels[fitted], {}
        for name in names:  # one after the other: each holds a copy of what is fitted
            witness = _witness(name, values, of_fitted)
            out = np.full(len(self._labels), np.nan, dtype=np.float32)
            out[fitted] = witness(values, of_fitted, without[fitted])
            for places in kept.parts_of_others():
                rows = self._others[places]
                out[rows] = witness(kept.others(places), self._labels[rows], without[rows])
            found[name] = out
        return found

    def _check(self, rows: AnyArray, features: AnyArray, labels: AnyArray | None) -> None:
        if features.ndim != 2 or not features.shape[1] or features.dtype.kind != "f":
            raise InvalidInput(
                f"features are {features.dtype} of shape {features.shape}: one vector each is needed"
            )
        for name, values in (("rows", rows), ("labels", labels)):
            if values is not None and (values.shape != features.shape[:1] or values.dtype.kind not in "iu"):
                raise InvalidInput(
                    f"{name} are {values.dtype} of shape {values.shape}, for {len(features)} rows of features"
                )

    def _take_labels(self, rows: Rows, labels: Labels | None) -> None:
        asked = self._known[rows] == _UNKNOWN
        if not asked.any():
            return
        if labels is None:
            raise InvalidInput("the run knows no labels, and the batch says none: pass labels=")
        given = labels.astype(np.int64)
        if given.min() < 0 or given.max() >= MOST_CLASSES:
            raise InvalidInput(
                f"labels {given.min()}…{given.max()}: 0…{MOST_CLASSES - 1} are allowed at a look"
            )
        self._labels[rows[asked]] = given[asked]


def _witness(name: str, features: AnyArray, labels: Labels) -> _Witness:
    """Fitted to these rows."""
    if name == LABEL_ODDS:
        return LabelOdds(features, labels).log_odds
    distances = ClassDistances(features, labels).distances
    return lambda features, labels, without: distances(features, without)


class _Kept:
    """What is in memory. The pages of rows that never come are not."""

    def __init__(self, num_fitted: int, num_others: int, width: int) -> None:
        self.fitted = np.zeros((num_fitted, width), dtype=np.float32)
        self._fitted_there = np.zeros(num_fitted, dtype=bool)
        self._others = np.zeros((num_others, width), dtype=np.float16)
        self._scale = np.zeros(num_others, dtype=np.float32)
        self.others_there = np.zeros(num_others, dtype=bool)

    def usable(self) -> Mask:
        """Of the fitted, those that came and are finite."""
        return self._fitted_there & np.isfinite(self.fitted).all(axis=1)

    def put_fitted(self, places: Rows, values: AnyArray) -> None:
        self.fitted[places] = values
        self._fitted_there[places] = True

    def put_others(self, places: Rows, values: AnyArray) -> None:
        """By their largest number, so that none is too large for float16."""
        scale = np.abs(values).max(axis=1, initial=0.0)
        scale = np.where(scale > 0, scale, np.float32(1))  # NaN stays, and makes the odds so
        with np.errstate(invalid="ignore"):
            self._others[places] = values / np.where(np.isnan(scale), 1, scale)[:, None]
        self._scale[places] = scale
        self.others_there[places] = True

    def parts_of_others(self) -> Iterator[Rows]:
        """Places of those that came."""
        there = np.flatnonzero(self.others_there)
        for start in range(0, len(there), _CHUNK_ROWS):
            yield there[start : start + _CHUNK_ROWS]

    def others(self, places: Rows) -> AnyArray:
        with np.errstate(invalid="ignore"):
            return np.asarray(self._others[places].astype(np.float32) * self._scale[places][:, None])
