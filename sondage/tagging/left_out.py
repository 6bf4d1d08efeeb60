"""③ Would a classifier that was fitted without an example give it its label? Asked of the features of a training.

A model that trains on a wrong label learns it by heart in the end, and its own margin no longer tells. Its last hidden
layer, looked at as the training goes on, is another witness: a linear discriminant analysis of it, fitted to the given
labels of all other examples, has a probability for each label that the example's own has no say in. Leaving one out
has a closed form, so that one fit serves for all (`sondage.tagging.gaussian_classes`). Measured:
docs/benchmarks/truth.md.
"""

from __future__ import annotations

import numpy as np

from sondage.errors import InvalidInput
from sondage.tagging.gaussian_classes import NOBODY, GaussianClasses, LeftOut
from sondage.types import AnyArray, Labels, Mask, Rows

LOOKS = (6, 3, 1)
"""The features are looked at after one such part of the training. Some models know labels by heart after a third."""
WIDEST = 128
"""Wider features are projected to so many directions, drawn at random, which keep angles to about a tenth."""
MOST_FITTED = 65_536
"""The classes are fitted on so many examples, drawn at random; all others are out of sample by themselves."""
PENALTY = 0.5
"""Of the width: as if so many rows more had the mean variance within classes in every direction."""
MOST = 30.0
"""Log odds beyond ± that say no more: it is far from all classes, or far within its own."""


def look_epochs(num_epochs: int) -> tuple[int, ...]:
    """The epochs, from 0, after which the features are looked at: a sixth, a third, and all of the training."""
    return tuple(sorted({max(0, -(-num_epochs // parts) - 1) for parts in LOOKS}))


def left_out_odds(
    features: AnyArray,
    labels: Labels,
    eligible: Mask,
    *,
    source: Rows | None = None,
    seed: int = 0,
) -> AnyArray:
    """Log odds of each row's label against all others, by classes that were fitted without it.

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
        Within ±`MOST`; below 0 where the other classes together are likelier than its own. NaN where nothing can be
        said: features that are not finite, a label that no other fitted row has, one class alone. Where many more rows
        are looked at than fitted, rare labels may be of none.

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
    >>> int(left_out_odds(features, labels, np.ones(60, bool)).argmin())
    7
    """
    fitted, without = drawn(features, labels, eligible, source, seed)
    if not len(fitted):
        return np.full(len(features), np.nan, dtype=np.float32)
    return LabelOdds(features[fitted], labels[fitted]).log_odds(features, labels, without)


def drawn(
    features: AnyArray, labels: Labels, eligible: Mask, source: Rows | None, seed: int
) -> tuple[Rows, Rows]:
    """The rows to fit, and for each row the position among them of the one that is left out; −1 for none.

    Arguments and errors are those of `left_out_odds`.
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
    lines = np.random.default_rng(seed).normal(size=(width, WIDEST))
    return lines.astype(np.float32) / np.float32(WIDEST**0.5)


class LabelOdds:
    """Odds of labels by the classes of some rows: linear discriminant analysis.

    Parameters
    ----------
    features : float array, shape (n, width)
        To fit: finite, at least one row.
    labels : int array, shape (n,)

    Notes
    -----
    The probability of class k is in proportion to n(k) exp(− d(k)² / 2), d the distance to its mean by the covariance
    that all share (Fisher 1936; Hastie, Tibshirani and Friedman 2009, section 4.3).
    """

    def __init__(self, features: AnyArray, labels: Labels) -> None:
        self._classes = GaussianClasses(features, labels, PENALTY * features.shape[1] / len(features))

    def log_odds(self, features: AnyArray, labels: Labels, without: Rows) -> AnyArray:
        """Of each row's label against all others.

        Parameters
        ----------
        features : float array, shape (rows, width)
        labels : int array, shape (rows,)
        without : int64 array, shape (rows,)
            Position among the fitted rows of the one that is left out; −1 for none.

        Returns
        -------
        float32 array, shape (rows,)
            As of `left_out_odds`.
        """
        out = np.empty(len(labels), dtype=np.float32)
        for block in self._classes.blocks(len(labels)):
            out[block] = self._log_odds(features[block], labels[block], without[block])
        return out

    def _log_odds(self, features: AnyArray, labels: Labels, without: Rows) -> AnyArray:
        classes, every = self._classes, np.arange(len(labels))
        rows, finite = classes.whitened(features)
        likely = self._log_likely(rows, classes.left_out(without))
        place = np.minimum(np.searchsorted(classes.labels, labels), len(classes.labels) - 1)
        own = likely[every, place].copy()
        likely[every, place] = -np.inf
        best = likely.max(axis=1)
        known = finite & (classes.labels[place] == labels) & np.isfinite(own) & np.isfinite(best)
        best = np.where(known, best, 0)
        others = best + np.log(np.maximum(np.exp(likely - best[:, None]).sum(axis=1), 1e-30))
        return np.where(known, np.clip(own - others, -MOST, MOST), np.nan)

    def _log_likely(self, rows: AnyArray, left: LeftOut) -> AnyArray:
        """log n(k) − d(k)² / 2, without what is left out; −∞ for a class that is no more. Shape (rows, classes)."""
        count = self._classes.count
        likely = self._classes.squares(rows, left) * np.float32(-0.5) + np.log(count).astype(np.float32)
        there = np.flatnonzero(left.there)
        own = left.own[there]
        likely[there, own] += np.log(np.maximum(count[own] - 1, 1) / count[own]).astype(np.float32)
        return np.asarray(likely)
