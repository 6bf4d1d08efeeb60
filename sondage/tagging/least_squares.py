"""Least squares with coefficients of at least 0, for few columns."""

from __future__ import annotations

import numpy as np

from sondage.types import AnyArray


def not_negative(columns: AnyArray, wanted: AnyArray) -> AnyArray:
    """The coefficients, none below 0, with which the columns come nearest.

    Parameters
    ----------
    columns : float array, shape (m, n)
    wanted : float array, shape (m,)

    Returns
    -------
    float64 array, shape (n,)

    Notes
    -----
    Source: Lawson and Hanson, Solving Least Squares Problems, chapter 23; columns are brought to one length first.
    """
    length = np.linalg.norm(columns, axis=0)
    length[length == 0] = 1.0
    scaled = columns / length
    found = np.zeros(columns.shape[1])
    used = np.zeros(columns.shape[1], dtype=bool)
    least_gain = 1e-10 * float(np.abs(scaled.T @ wanted).max(initial=0.0))
    for _ in range(3 * columns.shape[1]):
        gain = np.where(used, -np.inf, scaled.T @ (wanted - scaled @ found))
        if gain.max(initial=-np.inf) <= least_gain:
            break
        used[gain.argmax()] = True
        found, used = _within(scaled, wanted, found, used)
    return np.asarray(found / length)


def _within(
    columns: AnyArray, wanted: AnyArray, found: AnyArray, used: AnyArray
) -> tuple[AnyArray, AnyArray]:
    """The best with these columns; those that would fall below 0 are let go, one after the other."""
    used = used.copy()
    while used.any():
        best = np.zeros_like(found)
        best[used] = np.linalg.lstsq(columns[:, used], wanted, rcond=None)[0]
        low = used & (best <= 0)
        if not low.any():
            return best, used
        step = np.min(found[low] / (found[low] - best[low] + 1e-300))
        found = found + step * (best - found)
        used &= found > 1e-12 * max(1.0, float(np.abs(found).max()))
        found[~used] = 0
    return np.zeros_like(found), used
