"""CTRL: label errors by clustering the loss curves of each class."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from sondage.types import AnyArray, CurveArray, Labels

CLUSTERS = (2, 3)
WINDOWS = (1, 2, 4)
SMOOTHED_EPOCHS = 5


def ctrl_votes(loss: CurveArray, labels: Labels, num_classes: int, seed: int = 0) -> AnyArray:
    """Share of clusterings that put a row into the cluster of highest mean loss; 0…1, 1 is bad. Shape (rows,).

    Losses are cut at 2·log C and smoothed over five epochs; for k of 2 and 3 and for 1, 2 and 4 windows of epochs, each
    class's curves are clustered by k-means within each window. A window counts as much as others of its division, a
    division as much as others.

    Source: Yue & Jha 2022 (CTRL). The authors choose k and the windows per data set by a clustering score and give a
    yes or no; here all of them vote, so that there is a ranking.
    """
    curves = smooth(np.minimum(loss, 2 * np.log(num_classes)), SMOOTHED_EPOCHS)
    votes = np.zeros(len(loss))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        votes[rows] = _class_votes(curves[rows], seed)
    return votes


def smooth(curves: CurveArray, width: int) -> CurveArray:
    """Mean over up to `width` epochs around each one, fewer at the ends."""
    half = width // 2
    reach = np.cumsum(np.pad(curves.astype(np.float64), ((0, 0), (1, 0))), axis=1)
    epochs = np.arange(curves.shape[1])
    low, high = np.maximum(epochs - half, 0), np.minimum(epochs + half + 1, curves.shape[1])
    return np.asarray((reach[:, high] - reach[:, low]) / (high - low))


def _class_votes(curves: CurveArray, seed: int) -> AnyArray:
    votes = []
    for num_clusters in CLUSTERS:
        for num_windows in WINDOWS:
            parts = np.array_split(curves, min(num_windows, curves.shape[1]), axis=1)
            votes.append(np.mean([_is_worst(part, num_clusters, seed) for part in parts], axis=0))
    return np.asarray(np.mean(votes, axis=0))


def _is_worst(curves: CurveArray, num_clusters: int, seed: int) -> AnyArray:
    """1 for rows in the cluster of highest mean. Of fewer different curves than clusters none is an error."""
    if len(np.unique(curves, axis=0)) < num_clusters:
        return np.zeros(len(curves))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(num_clusters, n_init=3, random_state=seed).fit(curves)
    return np.asarray(clusters.labels_ == clusters.cluster_centers_.mean(axis=1).argmax(), dtype=np.float64)
