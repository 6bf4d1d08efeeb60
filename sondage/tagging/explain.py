"""⑤ Why an example has its tag: its nearest probes, and the bands in which each category's curves lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sondage.errors import InvalidInput
from sondage.tagging.reference import ReferenceTagger
from sondage.types import AnyArray, CurveArray, Rows, Words

BAND = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Band:
    """Quantiles over a category's probes, epoch by epoch; each of shape (epochs,), NaN where none was seen."""

    low: AnyArray
    median: AnyArray
    high: AnyArray


@dataclass(frozen=True)
class Nearest:
    """The nearest fit probes of some rows, nearest first.

    Parameters
    ----------
    row : int64 array, shape (m, k)
        Rows of the probes in their run.
    category : str array, shape (m, k)
    distance : float64 array, shape (m, k)
        Euclidean, in the unit of the curves.
    """

    row: Rows
    category: Words
    distance: AnyArray


def nearest_probes(
    curves: CurveArray,
    probe_curves: CurveArray,
    probe_rows: Rows,
    categories: Words,
    *,
    k: int = 5,
    rows: Rows | None = None,
) -> Nearest:
    """The fit probes of one run whose curves are nearest to those of some rows of it.

    Parameters
    ----------
    curves : float array, shape (m, epochs)
        Filled.
    probe_curves : float array, shape (n, epochs)
        Of the fit probes, filled.
    probe_rows : int array, shape (n,)
    categories : str array, shape (n,)
    k : int
        As many as there are, at most.
    rows : int array, shape (m,), optional
        The rows asked about: one that is a fit probe itself is not shown as its own neighbour.

    Raises
    ------
    InvalidInput
        Without probes, or for curves with gaps.
    """
    if not len(probe_curves):
        raise InvalidInput("There are no fit probes to be near to.", field="probes")
    tagger = ReferenceTagger(1).fit(probe_curves, categories)
    own = np.full(len(curves), -1) if rows is None else np.asarray(rows)
    spare = int(np.isin(own, probe_rows).any())
    distance, position = tagger.neighbours(curves, k + spare)
    if spare:
        distance, position = _without_own(distance, position, probe_rows[position] == own[:, None])
    distance, position = distance[:, :k], position[:, :k]
    return Nearest(probe_rows[position], categories[position], distance)


def bands(probe_curves: CurveArray, categories: Words) -> Mapping[str, Band]:
    """Per category the 10 %, 50 % and 90 % quantiles of its probes' curves in each epoch."""
    return {name: _band(probe_curves[categories == name]) for name in dict.fromkeys(categories.tolist())}


def _band(curves: CurveArray) -> Band:
    out = np.full((len(BAND), curves.shape[1]), np.nan)
    seen = ~np.isnan(curves).all(axis=0)
    out[:, seen] = np.nanquantile(curves[:, seen], BAND, axis=0)
    return Band(*out)


def _without_own(distance: AnyArray, position: Rows, own: AnyArray) -> tuple[AnyArray, Rows]:
    """Push a row's own probe behind the others; the order of these is kept."""
    order = np.argsort(own, axis=1, kind="stable")
    return np.take_along_axis(distance, order, axis=1), np.take_along_axis(position, order, axis=1)
