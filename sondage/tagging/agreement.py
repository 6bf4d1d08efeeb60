"""③ Do the examples that a model sees as alike have the same label? A look at its features, a third into the training.

Early features know the classes and have not yet learned single labels by heart: on TREC the agreement found wrong
labels with an average precision of 0.83 after a third of the epochs and of 0.66 after the last one, on Fashion-MNIST
0.84 and 0.87 (20 % uniform noise; docs/benchmarks/truth.md).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray, Labels, Mask

K = 20
MOST_NEIGHBOURS = 10_000
"""Neighbours are looked for among so many examples, drawn at random: what counts is the share of labels nearby."""
SHARPNESS = 5.0
_CHUNK_ROWS = 1_024


def look_epoch(num_epochs: int) -> int:
    """The epoch after which the features are looked at, from 0: a third into the training."""
    return max(0, -(-num_epochs // 3) - 1)


def agreement(
    features: AnyArray,
    labels: Labels,
    eligible: Mask,
    *,
    k: int = K,
    seed: int = 0,
    after_block: Callable[[], None] = lambda: None,
) -> AnyArray:
    """How much the labels around each row speak for its own one.

    The k nearest eligible rows by the cosine of centred features vote for their labels, each with
    exp(5 (cosine − 1)); a row has no vote on itself.

    Parameters
    ----------
    features : float array, shape (rows, width)
        What the last linear layer is given, in evaluation mode. Rows that are not finite throughout are not looked at.
    labels : int array, shape (rows,)
        Given labels, 0 and above.
    eligible : bool array, shape (rows,)
        Rows whose labels may vote: examples of the train split, displaced ones too; no probes, whose labels are made.
    k : int
    seed : int
        Of the draw where more than 10,000 are eligible.
    after_block : callable
        Called after every 1,024 rows; what it raises ends the work.

    Returns
    -------
    float32 array, shape (rows,)
        Share of the votes for the row's label less the share of the best other one: −1 all for one other, 1 all for
        its own. NaN where there are no neighbours.

    Raises
    ------
    InvalidInput
        The shapes differ, or k is less than 1.
    """
    if features.ndim != 2 or not len(features) == len(labels) == len(eligible):
        raise InvalidInput(
            f"features are {features.shape}, labels {labels.shape} and eligible {eligible.shape}: one row each is "
            "needed, features with two axes.",
            field="features",
        )
    if k < 1:
        raise InvalidInput(f"k is {k}; at least one neighbour is needed.", field="k")
    out = np.full(len(features), np.nan, dtype=np.float32)
    usable = np.isfinite(features).all(axis=1)
    voters = _drawn(np.flatnonzero(eligible & usable), seed)
    if len(voters) < 2:
        return out
    middle = features[voters].mean(axis=0, dtype=np.float64).astype(np.float32)
    among = _directions(features[voters], middle)
    rows = np.flatnonzero(usable)
    for start in range(0, len(rows), _CHUNK_ROWS):
        block = rows[start : start + _CHUNK_ROWS]
        cosine = _directions(features[block], middle) @ among.T
        cosine[block[:, None] == voters] = -np.inf
        out[block] = _votes(cosine, labels[voters], labels[block], min(k, len(voters) - 1))
        after_block()
    return out


def _drawn(rows: AnyArray, seed: int) -> AnyArray:
    if len(rows) <= MOST_NEIGHBOURS:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, MOST_NEIGHBOURS, replace=False))


def _directions(features: AnyArray, middle: AnyArray) -> AnyArray:
    centred = features.astype(np.float32) - middle
    return np.asarray(centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-9))


def _votes(cosine: AnyArray, theirs: Labels, own: Labels, k: int) -> AnyArray:
    """Of the k nearest: their labels are few, so they are compared with one another instead of with every class."""
    nearest = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
    weight = np.exp(SHARPNESS * (np.take_along_axis(cosine, nearest, axis=1) - 1))
    said = theirs[nearest]
    # For each neighbour, the votes of all that say the same: (rows, k).
    votes = np.einsum("rij,rj->ri", said[:, :, None] == said[:, None, :], weight)
    is_own = said == own[:, None]
    whole = weight.sum(axis=1)
    for_own = np.where(is_own, weight, 0).sum(axis=1)
    best_other = np.where(is_own, 0, votes).max(axis=1)
    return np.asarray((for_own - best_other) / whole)
