"""③ How far is an example from every class, in the features of a training? What belongs to none is far.

An input that is foreign to all classes, with a label that looks plausible, is learned like any other: its losses say
nothing. The features of a picture lie elsewhere then; those of texts do not. Mahalanobis distance to the nearest class
mean, with one covariance that all classes share (Lee et al., NeurIPS 2018, section 2.1), here shrunk halfway towards a
sphere. Each example is left out of both, in closed form: otherwise what a rare class has few of would be close by
itself. Measured: docs/benchmarks/categories.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sondage.tagging.left_out import NOBODY, drawn
from sondage.types import AnyArray, Labels, Mask, Rows

PENALTY = 1.0
"""Of the mean variance within classes; added to that of every direction."""
_LEAST_VARIANCE = 1e-6
"""The same where classes hardly vary; of a column whose variance over all examples is 1."""
_FURTHEST = 1e6
"""Standard deviations of a column. The squares of more do not fit into float32."""
_CHUNK_ROWS = 4_096
_CHUNK_ENTRIES = 2**19
"""Of an array rows × classes: 2 MiB."""


def class_distances(
    features: AnyArray, labels: Labels, eligible: Mask, *, source: Rows | None = None, seed: int = 0
) -> AnyArray:
    """Each row's distance to the nearest class, without itself.

    Parameters
    ----------
    features : float array, shape (rows, width)
        What the last linear layer is given, in evaluation mode. Rows that are not finite throughout are not looked at.
    labels : int array, shape (rows,)
        Given labels. Of the fitted ones they make the classes; a row's own has no part in its distance.
    eligible : bool array, shape (rows,)
        Rows that may be fitted: examples of the train split, displaced ones too; no probes.
    source : int64 array, shape (rows,), optional
        For a row that is not eligible, the row that it was made from, which is left out in its stead; −1 for none.
    seed : int
        Of the draw of rows to fit, where there are many.

    Returns
    -------
    float32 array, shape (rows,)
        Not squared, from 0, high is foreign; below the root of the width for most. NaN where nothing can be said.

    Raises
    ------
    InvalidInput
        The shapes differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(60) % 2
    >>> features = np.where(labels, 3.0, -3.0)[:, None] + rng.normal(size=(60, 2))
    >>> features[7] = 3, -3
    >>> int(class_distances(features, labels, np.ones(60, bool)).argmax())
    7
    """
    fitted, without = drawn(features, labels, eligible, source, seed)
    if not len(fitted):
        return np.full(len(features), np.nan, dtype=np.float32)
    return ClassDistances(features[fitted], labels[fitted]).distances(features, without)


class ClassDistances:
    """The classes of some rows: a mean each, and one covariance for all.

    Parameters
    ----------
    features : float array, shape (n, width)
        Finite, at least one row.
    labels : int array, shape (n,)

    Notes
    -----
    The covariance is the scatter within classes, Σ (x − μ)(x − μ)ᵀ, and the penalty, over n − classes; penalty and
    divisor stay where a row is left out. Features are kept whitened: multiplied so that the covariance is the identity
    and distances are plain ones.
    """

    def __init__(self, features: AnyArray, labels: Labels) -> None:
        present, self._code = np.unique(labels, return_inverse=True)
        self._count = np.bincount(self._code)
        self._freedom = max(len(features) - len(present), 1)
        self._middle = features.mean(axis=0, dtype=np.float64)
        spread = features.std(axis=0, dtype=np.float64)
        varies = spread > 1e-6 * np.abs(self._middle)  # less is rounding
        self._scale = np.where(varies, 1 / np.where(varies, spread, 1), 0)
        rows = np.concatenate([self._standardised(features[block]) for block in _blocks(len(features))])
        means = self._means(rows)
        self._whitening = self._whitened_by(self._scatter(rows, means))
        self._classes = means @ self._whitening
        self._rows = rows @ self._whitening

    def distances(self, features: AnyArray, without: Rows) -> AnyArray:
        """To the nearest class mean.

        Parameters
        ----------
        features : float array, shape (rows, width)
        without : int64 array, shape (rows,)
            Position among the fitted rows of the one that is left out of its class's mean and of the covariance; −1
            for none.

        Returns
        -------
        float32 array, shape (rows,)
            NaN where the features are not finite, and where no class is left.
        """
        out = np.empty(len(features), dtype=np.float32)
        for block in _blocks(len(features), max(1, min(_CHUNK_ROWS, _CHUNK_ENTRIES // len(self._classes)))):
            out[block] = self._distances(features[block], without[block])
        return out

    def _distances(self, features: AnyArray, without: Rows) -> AnyArray:
        finite: Mask = np.asarray(np.isfinite(features).all(axis=1))
        rows = self._standardised(np.where(finite[:, None], features, 0)) @ self._whitening
        left = self._left_out(without)
        squares = self._squares(rows, left)
        nearest = squares.argmin(axis=1)
        known = finite & np.isfinite(squares[np.arange(len(rows)), nearest])
        # Once more, without the differences of large numbers that a product of matrices is made of.
        apart = rows - self._classes[nearest] + np.where((nearest == left.own)[:, None], left.towards, 0)
        return np.where(known, np.sqrt(left.squared(apart)), np.nan)

    def _squares(self, rows: AnyArray, left: _LeftOut) -> AnyArray:
        """Squared distances to all classes, infinite to one that is no more. Shape (rows, classes)."""
        classes, own = self._classes, left.own
        squares = _inner(rows, rows)[:, None] - 2 * (rows @ classes.T) + _inner(classes, classes)
        squares += left.gain[:, None] * (_inner(rows, left.away)[:, None] - left.away @ classes.T) ** 2
        to_own = left.squared(rows - classes[own] + left.towards)
        squares[np.arange(len(rows)), own] = np.where(left.was_alone, np.inf, to_own)
        return np.asarray(squares)

    def _left_out(self, without: Rows) -> _LeftOut:
        """With ζ = s − μ(y) of the row s of class y: μ(y) moves by − ζ / (n(y) − 1), and the scatter loses
        n(y) / (n(y) − 1) ζζᵀ, of which Sherman and Morrison have the inverse."""
        there, own = without != NOBODY, self._code[without]
        away = np.where(there[:, None], self._rows[without] - self._classes[own], np.float32(0))
        others = self._count[own] - 1
        beside = np.maximum(others, 1).astype(np.float32)
        share = np.where(others > 0, (beside + 1) / beside, 0) / np.float32(self._freedom)
        gain = share / np.maximum(1 - share * _inner(away, away), np.float32(1e-4))
        return _LeftOut(own, away, away / beside[:, None], gain, there & (others == 0))

    def _standardised(self, features: AnyArray) -> AnyArray:
        """In float64 until then: a column may vary little beside its mean."""
        values = (features - self._middle) * self._scale
        return np.asarray(np.clip(values, -_FURTHEST, _FURTHEST), dtype=np.float32)

    def _means(self, rows: AnyArray) -> AnyArray:
        """Of standardised rows, shape (classes, width)."""
        sums = np.zeros((len(self._count), rows.shape[1]))
        order = np.argsort(self._code, kind="stable")
        for block in _blocks(len(order)):
            code = self._code[order[block]]
            first = np.flatnonzero(np.diff(code, prepend=-1))
            sums[code[first]] += np.add.reduceat(rows[order[block]], first, axis=0)
        return (sums / self._count[:, None]).astype(np.float32)

    def _scatter(self, rows: AnyArray, means: AnyArray) -> AnyArray:
        scatter = np.zeros((rows.shape[1], rows.shape[1]))
        for block in _blocks(len(rows)):
            apart = rows[block] - means[self._code[block]]
            scatter += apart.T @ apart
        return scatter

    def _whitened_by(self, scatter: AnyArray) -> AnyArray:
        """What standardised rows are multiplied by, shape (width, width)."""
        held = np.arange(len(scatter))
        penalty = max(PENALTY * float(scatter.diagonal().mean()), _LEAST_VARIANCE * self._freedom)
        scatter[held, held] += penalty
        return np.linalg.inv(np.linalg.cholesky(scatter / self._freedom)).T.astype(np.float32)


@dataclass(frozen=True)
class _LeftOut:
    """Of each row, the fitted one that is left out; nothing is left out of a row whose `away` is 0.

    Parameters
    ----------
    own : int array, shape (rows,)
        Its class.
    away, towards : float32 arrays, shape (rows, width)
        From its class's mean to it, whitened; and how far that mean moves back without it.
    gain : float32 array, shape (rows,)
        Of the squares along `away`, as the covariance shrinks there.
    was_alone : bool array, shape (rows,)
        Its class is no more.
    """

    own: Rows
    away: AnyArray
    towards: AnyArray
    gain: AnyArray
    was_alone: Mask

    def squared(self, apart: AnyArray) -> AnyArray:
        """Squared distance of what is so far apart, shape (rows, width)."""
        return np.asarray(_inner(apart, apart) + self.gain * _inner(apart, self.away) ** 2)


def _blocks(num_rows: int, step: int = _CHUNK_ROWS) -> list[slice]:
    return [slice(start, start + step) for start in range(0, num_rows, step)]


def _inner(one: AnyArray, other: AnyArray) -> AnyArray:
    """Of each row of both."""
    return np.asarray(np.einsum("ij,ij->i", one, other))
