"""③ Classes as clouds of one shape in the features of a training: a mean each, and one covariance that all share.

How far an example is from every class, *with that example left out of its class's mean and of the covariance*, has a
closed form: one fit serves for all. `sondage.tagging.left_out` and `sondage.tagging.class_distance` stand on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sondage.types import AnyArray, Labels, Mask, Rows

NOBODY = -1
_LEAST_VARIANCE = 1e-6
"""Added at least, where classes hardly vary; of a column whose variance over all examples is 1."""
_FURTHEST = 1e6
"""Standard deviations of a column. So the squares of what is whitened fit into float32, whatever the covariance."""
_CHUNK_ROWS = 4_096
_CHUNK_ENTRIES = 2**19
"""Of an array rows × classes: 2 MiB."""


class GaussianClasses:
    """The classes of some rows.

    Parameters
    ----------
    features : float array, shape (n, width)
        Finite, at least one row.
    labels : int array, shape (n,)
    penalty : float
        Of the mean variance within classes; added to that of every direction.

    Notes
    -----
    The covariance is the scatter within classes, Σ (x − μ)(x − μ)ᵀ, and the penalty, over n − classes; penalty and
    divisor stay where a row is left out, as do middle and scale of the columns. Features are kept whitened: multiplied
    so that the covariance is the identity and distances are plain ones. In float32: two classes that lie a thousand
    times further from the middle than from each other are not told apart.
    """

    def __init__(self, features: AnyArray, labels: Labels, penalty: float) -> None:
        self.labels, self._code = np.unique(labels, return_inverse=True)
        self.count = np.bincount(self._code)
        self._freedom = max(len(features) - len(self.labels), 1)
        self._middle = features.mean(axis=0, dtype=np.float64)
        spread = features.std(axis=0, dtype=np.float64)
        varies = spread > 1e-6 * np.abs(self._middle)  # less is rounding
        self._scale = np.where(varies, 1 / np.where(varies, spread, 1), 0)
        rows = np.concatenate([self._standardised(features[block]) for block in _blocks(len(features))])
        means = self._means(rows)
        self._whitening = self._whitened_by(self._scatter(rows, means), penalty)
        self.means = means @ self._whitening
        self._lengths = _inner(self.means, self.means)
        self._rows = rows @ self._whitening

    def blocks(self, num_rows: int) -> list[slice]:
        """Of so many rows, as many at once as `squares` should be asked for."""
        return _blocks(num_rows, max(1, min(_CHUNK_ROWS, _CHUNK_ENTRIES // len(self.labels))))

    def whitened(self, features: AnyArray) -> tuple[AnyArray, Mask]:
        """Rows of features, shape (rows, width), whitened; and which are finite. Those that are not are put to 0."""
        finite: Mask = np.asarray(np.isfinite(features).all(axis=1))
        return self._standardised(np.where(finite[:, None], features, 0)) @ self._whitening, finite

    def squares(self, rows: AnyArray, left: LeftOut) -> AnyArray:
        """Squared distances of whitened rows to all classes, infinite to one that is no more. Shape (rows, classes)."""
        means, own = self.means, left.own
        squares = _inner(rows, rows)[:, None] - 2 * (rows @ means.T) + self._lengths
        if left.there.any():
            squares += left.gain[:, None] * (_inner(rows, left.away)[:, None] - left.away @ means.T) ** 2
        to_own = left.squared(rows - means[own] + left.towards)
        squares[np.arange(len(rows)), own] = np.where(left.was_alone, np.inf, to_own)
        return np.asarray(squares)

    def left_out(self, without: Rows) -> LeftOut:
        """What leaving a row out does, for the positions of such rows; −1 for none.

        With ζ = s − μ(y) of the row s of class y: μ(y) moves by − ζ / (n(y) − 1), and the scatter loses
        n(y) / (n(y) − 1) ζζᵀ, of which Sherman and Morrison have the inverse.
        """
        there, own = without != NOBODY, self._code[without]
        away = np.where(there[:, None], self._rows[without] - self.means[own], np.float32(0))
        others = self.count[own] - 1
        beside = np.maximum(others, 1).astype(np.float32)
        share = np.where(others > 0, (beside + 1) / beside, 0) / np.float32(self._freedom)
        gain = share / np.maximum(1 - share * _inner(away, away), np.float32(1e-4))
        return LeftOut(there, own, away, away / beside[:, None], gain, there & (others == 0))

    def _standardised(self, features: AnyArray) -> AnyArray:
        """In float64 until then: a column may vary little beside its mean."""
        values = (features - self._middle) * self._scale
        return np.asarray(np.clip(values, -_FURTHEST, _FURTHEST), dtype=np.float32)

    def _means(self, rows: AnyArray) -> AnyArray:
        """Of standardised rows, shape (classes, width)."""
        sums = np.zeros((len(self.count), rows.shape[1]))
        order = np.argsort(self._code, kind="stable")
        for block in _blocks(len(order)):
            code = self._code[order[block]]
            first = np.flatnonzero(np.diff(code, prepend=-1))
            sums[code[first]] += np.add.reduceat(rows[order[block]], first, axis=0)
        return (sums / self.count[:, None]).astype(np.float32)

    def _scatter(self, rows: AnyArray, means: AnyArray) -> AnyArray:
        scatter = np.zeros((rows.shape[1], rows.shape[1]))
        for block in _blocks(len(rows)):
            apart = rows[block] - means[self._code[block]]
            scatter += apart.T @ apart
        return scatter

    def _whitened_by(self, scatter: AnyArray, penalty: float) -> AnyArray:
        """What standardised rows are multiplied by, shape (width, width)."""
        held = np.arange(len(scatter))
        scatter[held, held] += max(
            penalty * float(scatter.diagonal().mean()), _LEAST_VARIANCE * self._freedom
        )
        return np.linalg.inv(np.linalg.cholesky(scatter / self._freedom)).T.astype(np.float32)


@dataclass(frozen=True)
class LeftOut:
    """Of each row, the fitted one that is left out, if there is one.

    Parameters
    ----------
    there : bool array, shape (rows,)
        Something is left out.
    own : int array, shape (rows,)
        Position of its class among the classes; any where nothing is left out.
    away, towards : float32 arrays, shape (rows, width)
        From its class's mean to it, whitened; and how far that mean moves back without it.
    gain : float32 array, shape (rows,)
        Of the squares along `away`, as the covariance shrinks there.
    was_alone : bool array, shape (rows,)
        Its class is no more.
    """

    there: Mask
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
