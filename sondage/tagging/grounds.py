"""⑤ What the order by evidence rests on, kept with a tagging: small enough for its report, enough to tell of each
example where it stands among all others in what counts.

The kept part has the scale of each run's margins and left-out odds, quantiles of their means over the runs, and the
pairs that go one way. With the curves of one example its place in each follows, as the order had it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sondage.curves import NOT_SEEN, Curves
from sondage.tagging.evidence import Gathered, RunEvidence, scale_of, weighted
from sondage.types import AnyArray, Mask

LEVELS = np.unique(
    np.round(np.concatenate([np.linspace(0, 1, 101), np.linspace(0, 0.01, 11), np.linspace(0.99, 1, 11)]), 4)
)
"""Of the quantiles: in hundredths, at both ends in thousandths."""
_UNIT = {"center": 0.0, "scale": 1.0}


def grounds_kept(found: Gathered, of_runs: Sequence[RunEvidence], ranked: Mask) -> dict[str, Any]:
    """The part of the report. JSON-able.

    Parameters
    ----------
    ranked : bool array, shape (N,)
        The examples of the list, which the quantiles are of.
    """
    return {
        "levels": LEVELS.tolist(),
        "margin": _quantiles(found.margin[ranked]),
        "left_out": _quantiles(found.left_out[ranked]),
        "runs": [_of_run(one) for one in of_runs],
        "pairs": None if found.pairs is None else found.pairs.to_dict(),
    }


def _of_run(one: RunEvidence) -> dict[str, Any]:
    """Which channel its margins are of, and how these and the left-out odds are standardised; high is bad."""
    channel = "margin" if "margin" in one.run.curves else "loss"
    values = _towards(channel) * weighted(one.run, channel, one.separations)
    looked = None if one.look is None else -one.run.looks[one.look].astype(np.float64)
    return {
        "channel": channel,
        **_scale(values, one.run.trained),
        "look": None if looked is None else _scale(looked, one.run.trained),
    }


def _scale(values: AnyArray, trained: Mask) -> dict[str, float]:
    found = scale_of(values, trained)
    return _UNIT if found is None else {"center": float(found[0]), "scale": float(found[1])}


def _quantiles(values: AnyArray) -> list[float] | None:
    known = values[np.isfinite(values)].astype(np.float64)
    if not len(known):
        return None
    return [float(f"{value:.6g}") for value in np.quantile(known, LEVELS)]


def _towards(channel: str) -> int:
    """By which a channel is multiplied for its bad end to be high."""
    return 1 if channel == "loss" else -1


@dataclass(frozen=True)
class Seen:
    """What one run recorded of one example.

    Parameters
    ----------
    curve : float array, shape (epochs,)
        Of the run's channel, margin or loss.
    predicted : int array, shape (epochs,), optional
    """

    curve: AnyArray
    predicted: AnyArray | None = None


@dataclass(frozen=True)
class Standing:
    """Where one example stands among all: shares of the examples that are less suspect than it, 0…1; None unknown.

    `channel` says what `margin` is of; `by_epochs` whether some epochs count more than others in it.
    """

    margin: float | None
    channel: str
    by_epochs: bool
    left_out: float | None
    left_out_weight: float | None


def standing(
    kept: Mapping[str, Any],
    evidence: Sequence[Mapping[str, Any]],
    seen: Sequence[Seen | None],
    looked: Sequence[float | None],
) -> Standing:
    """Of one example.

    Parameters
    ----------
    kept : mapping
        `grounds_kept`.
    evidence : sequence of mapping
        The report's part of that name, per run (`RunEvidence.to_dict`).
    seen : sequence of Seen or None
        Per run; None where it has no say in the margin.
    looked : sequence of float or None
        Per run, the left-out log odds of the look that counts; none or NaN where there is none.
    """
    of_runs: Sequence[Mapping[str, Any]] = kept["runs"]
    margins = [
        _weighed(one, of_run, told["weights"])
        for one, of_run, told in zip(seen, of_runs, evidence, strict=True)
        if one is not None
    ]
    looks = [
        (-value - of_run["look"]["center"]) / of_run["look"]["scale"]
        for value, of_run in zip(looked, of_runs, strict=True)
        if value is not None and of_run["look"] is not None
    ]
    weights = [told["look_weight"] for told in evidence if told["look_weight"] is not None]
    return Standing(
        margin=_share_below(kept, "margin", margins),
        channel=of_runs[0]["channel"],
        by_epochs=any(len(set(told["weights"])) > 1 for told in evidence),
        left_out=_share_below(kept, "left_out", looks),
        left_out_weight=float(np.mean(weights)) if weights else None,
    )


def _weighed(seen: Seen, of_run: Mapping[str, Any], weights: Sequence[float]) -> float:
    """As `RunEvidence.margin`: NaN for a curve that is not there, infinite for one in which nothing is finite."""
    # Epochs that closed since are none of the tagging's.
    channel, curve = of_run["channel"], np.asarray(seen.curve, dtype=np.float64)[: len(weights)]
    predicted = None if seen.predicted is None else np.asarray(seen.predicted)[: len(weights)]
    if not np.isfinite(curve).any():
        recorded = np.isinf(curve).any() or (predicted is not None and (predicted != NOT_SEEN).any())
        return np.inf if recorded else np.nan
    channels = {channel: curve[None]} | ({} if predicted is None else {"predicted": predicted[None]})
    filled = Curves(channels).fill()[channel][0].astype(np.float64)
    value = _towards(channel) * float(filled @ _normed(weights))
    return float((value - of_run["center"]) / of_run["scale"])


def _normed(weights: Sequence[float]) -> AnyArray:
    """They are kept to four digits, so that they need not sum to one."""
    found = np.asarray(weights, dtype=np.float64)
    return found / found.sum() if found.sum() > 0 else np.full(len(found), 1 / len(found))


def _share_below(kept: Mapping[str, Any], name: str, values: Sequence[float]) -> float | None:
    """Share of the examples whose mean over the runs is lower than that of these values."""
    known = [value for value in values if not np.isnan(value)]
    if not known or kept[name] is None:
        return None
    value, quantiles = np.mean(known), np.asarray(kept[name])
    # Log odds are cut at both ends, so that many examples may have the very same: none of these is below another.
    same = np.flatnonzero(np.isclose(quantiles, value, rtol=2e-5, atol=1e-6))
    return float(kept["levels"][same[0]] if len(same) else np.interp(value, quantiles, kept["levels"]))
