"""⑤ A calibration in a form that can be kept: estimates, top lists, a reliability table, the curve as knots."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from sondage.tagging.calibrate import LEVEL, Estimate, ReviewCalibration
from sondage.types import AnyArray

TOP_LISTS = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
"""Of the reliability table, in P(wrong)."""
ASSUMPTION = (
    "The sample was drawn at random within slices of the ranking and its reviewers were right. The chance that a label "
    "is wrong is taken to change smoothly along the ranking. Nothing is assumed about the kind of errors."
)


def summarise(found: ReviewCalibration) -> dict[str, Any]:
    """JSON-able; every interval holds with probability `level` by itself."""
    share = found.share_wrong()
    about = max(1, round(share.value * found.num_examples))
    sizes = sorted({k for k in (*TOP_LISTS, about, 2 * about) if k <= found.num_examples})
    places, probability = found.knots()
    low, high = found.band()
    return {
        "level": LEVEL,
        "num_examples": found.num_examples,
        "num_reviews": len(found.position),
        "num_wrong": int(found.wrong.sum()),
        "share_wrong": _as_dict(share),
        "top_lists": [{"k": k, **_as_dict(found.precision(k))} for k in sizes],
        "reliability": _reliability(found),
        "curve": {
            "place": places.round(7).tolist(),
            "probability": probability.round(5).tolist(),
            "low": low.round(5).tolist(),
            "high": high.round(5).tolist(),
        },
        "assumption": ASSUMPTION,
    }


def probability_wrong(summary: Mapping[str, Any], position: AnyArray) -> AnyArray:
    """P(wrong) at positions of the ranking by what was kept. Shape of `position`; 0…1, 1 is bad."""
    curve = summary["curve"]
    place = (np.asarray(position) + 0.5) / summary["num_examples"]
    return np.asarray(np.interp(place, curve["place"], curve["probability"]))


def _reliability(found: ReviewCalibration) -> list[dict[str, Any]]:
    """Per bin of P(wrong): how many examples, and of the reviewed ones how many were expected and found wrong."""
    of_all = found.probability_wrong(np.arange(found.num_examples))
    of_reviewed = found.probability_wrong(found.position)
    table = []
    for low, high in pairwise(BINS):
        inside = _inside(of_reviewed, low, high)
        table.append(
            {
                "low": low,
                "high": high,
                "num_examples": int(_inside(of_all, low, high).sum()),
                "num_reviews": int(inside.sum()),
                "expected_wrong": round(float(of_reviewed[inside].sum()), 2),
                "num_wrong": int(found.wrong[inside].sum()),
            }
        )
    return table


def _inside(values: AnyArray, low: float, high: float) -> AnyArray:
    return np.asarray((values >= low) & ((values < high) | (high == BINS[-1])))


def _as_dict(estimate: Estimate) -> dict[str, float]:
    return {name: round(getattr(estimate, name), 5) for name in ("value", "low", "high")}
