"""⑤ Is a share of votes a probability? On held-out probes: how often a tag of so many votes is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sondage.tagging.prepare import Prepared
from sondage.types import AnyArray, Probabilities

EDGES = np.array([0.0, 0.4, 0.6, 0.8, 1.0])
"""Of the share of votes for the tag; with five categories it is at least 0.2."""


def reliability(
    runs: Sequence[Prepared], of_probes: Sequence[Probabilities], names: Sequence[str]
) -> dict[str, Any]:
    """Of the held-out probes of all runs. JSON-able.

    Parameters
    ----------
    of_probes : sequence of float arrays, shape (probes, categories)
        Per run.

    Returns
    -------
    dict
        `error`, 0…1: by how much the share of votes and the share of right tags differ, on average (the expected
        calibration error); None without held-out probes. `bins`: for shares of votes above `low` up to `high`, the
        number of probes, the mean share of votes and the share of right tags. Without empty ones.
    """
    share, right = _held_out(runs, of_probes, names)
    place = np.clip(np.searchsorted(EDGES, share, side="left") - 1, 0, len(EDGES) - 2)
    bins = [
        _bin(float(EDGES[number]), float(EDGES[number + 1]), share[place == number], right[place == number])
        for number in range(len(EDGES) - 1)
        if (place == number).any()
    ]
    gaps = [one["num"] * abs(one["mean_share"] - one["share_right"]) for one in bins]
    return {"error": round(sum(gaps) / len(share), 5) if len(share) else None, "bins": bins}


def _held_out(
    runs: Sequence[Prepared], of_probes: Sequence[Probabilities], names: Sequence[str]
) -> tuple[AnyArray, AnyArray]:
    """The share of votes of each held-out probe's tag, and whether the tag is right."""
    shares, rights = [np.zeros(0)], [np.zeros(0, dtype=bool)]
    for run, votes in zip(runs, of_probes, strict=True):
        tested = (run.probes.role == "held_out") & np.isin(run.probes.category, names)
        best = votes[tested].argmax(axis=1)
        # In float32 0.8 is above 0.8.
        shares.append(votes[tested].max(axis=1).astype(np.float64).round(5))
        rights.append(np.asarray(names)[best] == run.probes.category[tested])
    return np.concatenate(shares), np.concatenate(rights)


def _bin(low: float, high: float, share: AnyArray, right: AnyArray) -> dict[str, Any]:
    return {
        "low": low,
        "high": high,
        "num": len(share),
        "mean_share": round(float(share.mean()), 5),
        "share_right": round(float(right.mean()), 5),
    }
