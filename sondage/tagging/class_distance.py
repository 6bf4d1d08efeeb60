"""③ How far is an example from every class, in the features of a training? What belongs to none is far.

An input that is foreign to all classes, with a label that looks plausible, is learned like any other: its losses say
nothing. The features of a picture lie elsewhere then; those of texts do not. Mahalanobis distance to the nearest class
mean, with one covariance that all classes share (Lee et al., NeurIPS 2018, section 2.1), here shrunk halfway towards a
sphere. Each example is left out of both, in closed form: otherwise what a rare class has few of would be close by
itself. Measured: docs/benchmarks/categories.md.
"""

from __future__ import annotations

import numpy as np

from sondage.tagging.gaussian_classes import GaussianClasses
from sondage.tagging.left_out import drawn
from sondage.types import AnyArray, Labels, Mask, Rows

PENALTY = 1.0
"""Of the mean variance within classes; added to that of every direction."""


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
    """Distances to the classes of some rows.

    Parameters
    ----------
    features : float array, shape (n, width)
        Finite, at least one row.
    labels : int array, shape (n,)
    """

    def __init__(self, features: AnyArray, labels: Labels) -> None:
        self._classes = GaussianClasses(features, labels, PENALTY)

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
        for block in self._classes.blocks(len(features)):
            out[block] = self._distances(features[block], without[block])
        return out

    def _distances(self, features: AnyArray, without: Rows) -> AnyArray:
        rows, finite = self._classes.whitened(features)
        left = self._classes.left_out(without)
        squares = self._classes.squares(rows, left)
        nearest = squares.argmin(axis=1)
        known = finite & np.isfinite(squares[np.arange(len(rows)), nearest])
        # Once more, without the differences of large numbers that a product of matrices is made of.
        apart = rows - self._classes.means[nearest]
        apart += np.where((nearest == left.own)[:, None], left.towards, 0)
        return np.where(known, np.sqrt(left.squared(apart)), np.nan)
