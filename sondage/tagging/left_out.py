"""③ Would a classifier that was fitted without an example give it its label? Asked of the features of a training.

A model that trains on a wrong label learns it by heart in the end, and its own margin no longer tells. Its last hidden
layer, looked at as the training goes on, is another witness: a ridge regression on it, fitted to the given labels of
all other examples, has a margin for each example that its own label had no part in. Leaving one out has a closed form,
so that one fit serves for all (Allen 1974, the PRESS residual). Measured: docs/benchmarks/truth.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray, Labels, Mask, Rows

LOOKS = (6, 3, 1)
"""The features are looked at after one such part of the training. Some models know labels by heart after a third."""
WIDEST = 128
"""Wider features are projected to so many directions, drawn at random, which keep angles to about a tenth."""
MOST_FITTED = 65_536
"""The regressions are fitted on so many examples, drawn at random; all others are out of sample by themselves."""
NUM_WAVES = 512
BANDWIDTH = 0.5
"""Of the kernel exp(−BANDWIDTH · |u − v|²) of directions u, v, which the waves stand for."""
PENALTY = 0.005
"""Of the mean square of a column."""
NOBODY = -1
_CHUNK_ROWS = 1_024


def look_epochs(num_epochs: int) -> tuple[int, ...]:
    """The epochs, from 0, after which the features are looked at: a sixth, a third, and all of the training."""
    return tuple(sorted({max(0, -(-num_epochs // parts) - 1) for parts in LOOKS}))


def left_out_margins(
    features: AnyArray,
    labels: Labels,
    eligible: Mask,
    *,
    source: Rows | None = None,
    seed: int = 0,
) -> AnyArray:
    """Each row's margin by two ridge regressions that were fitted without it.

    Parameters
    ----------
    features : float array, shape (rows, width)
        What the last linear layer is given, in evaluation mode. Rows that are not finite throughout are not looked at.
    labels : int array, shape (rows,)
        Given labels, 0 and above.
    eligible : bool array, shape (rows,)
        Rows that may be fitted: examples of the train split, displaced ones too; no probes, whose labels are made.
    source : int64 array, shape (rows,), optional
        For a row that is not eligible, the row that it was made from, which is left out in its stead; −1 for none.
    seed : int
        Of the draws.

    Returns
    -------
    float32 array, shape (rows,)
        Prediction for the label less the best other one, of regressions onto 0 and 1: around −1 where another class is
        sure, around 1 where its own is. NaN where nothing can be said.

    Raises
    ------
    InvalidInput
        The shapes differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(60) % 2
    >>> features = np.where(labels, 3.0, -3.0)[:, None] + rng.normal(size=(60, 4))
    >>> labels[7] = 0
    >>> int(left_out_margins(features, labels, np.ones(60, bool)).argmin())
    7
    """
    fitted, without = drawn(features, labels, eligible, source, seed)
    if len(fitted) < 2:
        return np.full(len(features), np.nan, dtype=np.float32)
    return Regressions(features[fitted], labels[fitted], seed=seed).margins(features, labels, without)


def drawn(
    features: AnyArray, labels: Labels, eligible: Mask, source: Rows | None, seed: int
) -> tuple[Rows, Rows]:
    """The rows to fit, and for each row the position among them of the one that is left out; −1 for none.

    Arguments and errors are those of `left_out_margins`.
    """
    if features.ndim != 2 or not len(features) == len(labels) == len(eligible):
        raise InvalidInput(
            f"features are {features.shape}, labels {labels.shape} and eligible {eligible.shape}: one row each is "
            "needed, features with two axes.",
            field="features",
        )
    fitted = draw_fitted(np.flatnonzero(eligible & np.isfinite(features).all(axis=1)), seed)
    place = np.full(len(features), NOBODY, dtype=np.int64)
    place[fitted] = np.arange(len(fitted))
    return fitted, place if source is None else np.where(source >= 0, place[source], place)


def draw_fitted(rows: Rows, seed: int) -> Rows:
    """At most `MOST_FITTED` of the rows, sorted."""
    if len(rows) <= MOST_FITTED:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, MOST_FITTED, replace=False))


def directions(width: int, seed: int) -> AnyArray | None:
    """What features are multiplied by, float32 (width, `WIDEST`); None where they are narrow enough."""
    if width <= WIDEST:
        return None
    drawn = np.random.default_rng(seed).normal(size=(width, WIDEST))
    return drawn.astype(np.float32) / np.float32(WIDEST**0.5)


class Regressions:
    """Ridge regressions of one-hot labels on two sets of columns; their predictions are averaged.

    One set are the standardised features. The other are waves: cosines along random directions of the feature vectors
    at length 1, which make it a kernel regression (Rahimi and Recht 2007).

    Parameters
    ----------
    features : float array, shape (n, width)
        To fit: finite, at least two rows.
    labels : int array, shape (n,)
    seed : int
        Of the waves.
    """

    def __init__(self, features: AnyArray, labels: Labels, *, seed: int = 0) -> None:
        self._features = features.astype(np.float32)
        self._labels = labels.astype(np.int64)
        rng = np.random.default_rng(seed)
        directions = rng.normal(size=(features.shape[1], NUM_WAVES)) * np.sqrt(2 * BANDWIDTH)
        self._directions = directions.astype(np.float32)
        self._phases = rng.uniform(0, 2 * np.pi, NUM_WAVES).astype(np.float32)
        self._middle = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._scale = (features.std(axis=0, dtype=np.float64) + 1e-6).astype(np.float32)
        self._parts = [self._solve(columns) for columns in (self._standardised, self._waves)]

    @property
    def num_classes(self) -> int:
        return int(self._labels.max()) + 1

    def margins(self, features: AnyArray, labels: Labels, without: Rows) -> AnyArray:
        """Prediction for the label less the best other one.

        Parameters
        ----------
        features : float array, shape (rows, width)
        labels : int array, shape (rows,)
        without : int64 array, shape (rows,)
            Position among the fitted rows of the one that is left out; −1 for none.

        Returns
        -------
        float32 array, shape (rows,)
            NaN where the features are not finite, and where all fitted rows are of one class.
        """
        out = np.full(len(labels), np.nan, dtype=np.float32)
        if self.num_classes < 2:
            return out
        for start in range(0, len(labels), _CHUNK_ROWS):
            block = slice(start, start + _CHUNK_ROWS)
            out[block] = self._margins(features[block].astype(np.float32), labels[block], without[block])
        return out

    def _margins(self, features: AnyArray, labels: Labels, without: Rows) -> AnyArray:
        one, other = (self._predicted(part, features, without) for part in self._parts)
        predicted = (one + other) / 2
        rows, known = np.arange(len(labels)), labels < self.num_classes
        own = np.where(known, predicted[rows, np.where(known, labels, 0)], 0)
        predicted[rows[known], labels[known]] = -np.inf
        return np.where(np.isfinite(features).all(axis=1), own - predicted.max(axis=1), np.nan)

    def _predicted(self, part: _Ridge, features: AnyArray, without: Rows) -> AnyArray:
        """Without row s, the prediction for x is f(x) − h(x, s) (y(s) − f(s)) / (1 − h(s, s)), h the hat matrix."""
        columns = part.columns(features)
        found = columns @ part.weights
        rows = np.flatnonzero(without != NOBODY)
        left = without[rows]
        theirs = part.columns(self._features[left])
        lever = theirs @ part.inverse
        residual = -(theirs @ part.weights)
        residual[np.arange(len(left)), self._labels[left]] += 1
        own = (lever * theirs).sum(axis=1)
        towards = (lever * columns[rows]).sum(axis=1)
        found[rows] -= (towards / np.maximum(1 - own, 1e-4))[:, None] * residual
        return np.asarray(found)

    def _solve(self, columns: Callable[[AnyArray], AnyArray]) -> _Ridge:
        num_columns = columns(self._features[:1]).shape[1]
        gram, sums = np.zeros((num_columns, num_columns)), np.zeros((num_columns, self.num_classes))
        for start in range(0, len(self._features), _CHUNK_ROWS):
            block = slice(start, start + _CHUNK_ROWS)
            values = columns(self._features[block]).astype(np.float64)
            present, code = np.unique(self._labels[block], return_inverse=True)
            gram += values.T @ values
            sums[:, present] += values.T @ np.eye(len(present))[code]
        # The intercept, the first column, is not held down.
        held = np.arange(1, num_columns)
        gram[held, held] += max(PENALTY * gram.diagonal()[1:].mean(), 1e-6)
        inverse = np.linalg.inv(gram)
        return _Ridge(columns, inverse.astype(np.float32), (inverse @ sums).astype(np.float32))

    def _standardised(self, features: AnyArray) -> AnyArray:
        return _with_intercept((features - self._middle) / self._scale)

    def _waves(self, features: AnyArray) -> AnyArray:
        centred = (features - self._middle) / self._scale
        unit = centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-6)
        return _with_intercept(np.cos(unit @ self._directions + self._phases))


@dataclass(frozen=True)
class _Ridge:
    """(XᵀX + penalty)⁻¹, shape (columns, columns), and the weights, shape (columns, classes)."""

    columns: Callable[[AnyArray], AnyArray]
    inverse: AnyArray
    weights: AnyArray


def _with_intercept(values: AnyArray) -> AnyArray:
    return np.concatenate([np.ones((len(values), 1), np.float32), values], axis=1)
