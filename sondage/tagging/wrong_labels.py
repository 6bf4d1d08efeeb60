"""⑤ How likely each label is wrong, along the ranking, before anybody has reviewed: from probes, or from votes alone.

What is found is kept with the report, in the form that a calibration by reviews has too: P(wrong) as a curve over the
places of the ranking, the share of wrong labels, the precision of top lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sondage.probes.suite import SuiteDefinition
from sondage.tagging.calibration_summary import TOP_LISTS
from sondage.tagging.cut import THRESHOLD
from sondage.tagging.error_families import (
    NO_PREDICTION,
    Contradiction,
    Family,
    contradiction,
    families,
    flip_rows,
    likely_flips,
)
from sondage.tagging.evidence import RunEvidence
from sondage.tagging.falling import falling
from sondage.tagging.habits import chance_by_habit
from sondage.tagging.prepare import Prepared
from sondage.tagging.probe_calibration import (
    FEWEST_CLASSES,
    FEWEST_PROBES,
    MOST_OVERLAP,
    ProbeCalibration,
    RunScores,
    calibrate_by_probes,
)
from sondage.tagging.shares import NORMAL_90
from sondage.types import AnyArray, PerRow, Rows

NUM_KNOTS = 200
SHORTEST_LIST = 20
TOO_FEW = (
    f"Fewer than {FEWEST_PROBES} flipped labels are planted in these runs: nothing says how likely a label is wrong, "
    "and tags go by votes. Plant the default suite, or review a sample of 100."
)
TOO_HIGH = (
    " Many right labels look as bad as flips here, as where a model is often wrong: the share of wrong labels and "
    "their probabilities come out too high, on data with known errors the share by .02 to .10. Review a sample of 100."
)
BY_VOTES = "Shares of votes, which are no probabilities of an error."


def estimate(
    of_runs: Sequence[RunEvidence], definition: SuiteDefinition, order: Rows, suspicion: PerRow
) -> dict[str, Any]:
    """What is known of wrong labels without reviews. JSON-able.

    Parameters
    ----------
    of_runs : sequence of RunEvidence
    definition : SuiteDefinition
        Its generator `flip` says which probes are flips.
    order : int64 array, shape (N,)
        The ranking, worst first.
    suspicion : float array, shape (N,)
        Falling along the order; NaN for examples that are not ranked.

    Returns
    -------
    dict
        `method`: `probes`, or `votes` where there are too few flips. `is_uniform`: suspected examples score like flips,
        so that `share_wrong`, `top_lists` and the curve are estimates with intervals; else the share is a range over
        `families`, without a value, lists and curve have a low end of 0, and `warning` says what to do. `curve` is what
        thresholds of tags are held against.
    """
    runs = [one.run for one in of_runs]
    ranked = order[np.isfinite(suspicion[order])]
    flips = [flip_rows(run, definition) for run in runs]
    num_classes = len(np.unique(runs[0].labels[: len(order)]))
    if sum(int(mask.sum()) for mask in flips) < FEWEST_PROBES or num_classes < 2 or not len(ranked):
        return _by_votes(suspicion[ranked])
    rows = [one.together for one in of_runs]
    scores = _scores(runs, rows, flips)
    found = calibrate_by_probes(scores, num_classes=num_classes)
    likely = likely_flips(runs, flips)
    told = contradiction(runs, flips, likely) if all("predicted" in run.curves for run in runs) else None
    by_run = _by_run(runs, rows)
    habit = chance_by_habit(of_runs)
    by_either = np.fmax(found.probability_wrong(by_run), habit) if found.tells_of_the_worst else habit
    of_likely = [of_run[run.probes.row[mask]] for run, of_run, mask in zip(runs, rows, likely, strict=True)]
    share_by_habit = float(by_either[ranked].mean()) if habit.any() else 0.0
    possible = families(found, scores, of_likely, told, share_by_habit)
    along = _along(found, by_run, told, by_either, ranked)
    return _summary(found, possible, *along)


def _scores(runs: Sequence[Prepared], rows: Sequence[AnyArray], flips: Sequence[AnyArray]) -> list[RunScores]:
    """Of the examples that each run trained, and of its flips."""
    return [
        RunScores(np.where(run.trained, of_run[: len(run.trained)], np.nan), of_run[run.probes.row[mask]])
        for run, of_run, mask in zip(runs, rows, flips, strict=True)
    ]


def _by_run(runs: Sequence[Prepared], rows: Sequence[AnyArray]) -> list[AnyArray]:
    """Of the examples by the runs that trained them; by those that only scored them where none did."""
    seen = np.logical_or.reduce([run.trained for run in runs])
    return [
        np.where(run.trained | ~seen, of_run[: len(seen)], np.nan)
        for run, of_run in zip(runs, rows, strict=True)
    ]


def calibration_of(found: Mapping[str, Any] | None) -> str:
    """`probes` where the estimate holds, if its assumption does; else `none`: suspicion only ranks."""
    return "probes" if found is not None and found["method"] == "probes" and found["is_uniform"] else "none"


def _along(
    found: ProbeCalibration,
    by_run: Sequence[AnyArray],
    told: Contradiction | None,
    by_either: AnyArray,
    ranked: Rows,
) -> tuple[AnyArray, AnyArray, AnyArray]:
    """P(wrong), its low and its high end at every place of the ranking, all falling.

    Where errors are not like flips, low is 0, and high counts everything that the model called otherwise, and evenly
    what may have escaped it. Between them nobody knows: what tags go by is then what the one-way pairs say, and the
    flips where these tell (`by_either`), or half of what the model called otherwise if that is more. Where no
    prediction was recorded nothing bounds it, and half of what the flips say only orders: it is never above a half.
    """
    value = falling(found.probability_wrong(by_run)[ranked])
    if found.is_uniform:
        ends = found.like_flips + NORMAL_90 * found.deviation * np.array([-1.0, 1.0])
        low, high = (
            falling(found.probability_wrong(by_run, like_flips=max(0.0, float(end)))[ranked]) for end in ends
        )
        return value, np.minimum(low, value), np.maximum(high, value)
    nothing = np.zeros(len(value))
    if told is None:
        return value / 2, nothing, nothing + 1
    value = falling(by_either[ranked])
    escaped = max(0.0, told.ceiling - told.share) / max(1e-9, 1 - told.share)
    caught = falling(told.examples[ranked])
    high = np.maximum(caught + (1 - caught) * min(1.0, escaped), value)
    return np.maximum(value, caught / 2), nothing, high


def _summary(
    found: ProbeCalibration, possible: Sequence[Family], value: AnyArray, low: AnyArray, high: AnyArray
) -> dict[str, Any]:
    told = found.is_uniform
    ends = found.share_interval if told else _range(found, possible)
    return {
        "method": "probes",
        "level": 0.9,
        "num_examples": len(value),
        "num_flips": found.num_flips,
        "is_uniform": told,
        "tail_ratio": round(found.tail_ratio, 4),
        "explained": round(found.explained, 4),
        "share_wrong": _estimate(found.share_wrong if told else None, *ends),
        "families": [
            {
                "name": family.name,
                "share": round(family.share, 5),
                "num_flips": family.num_flips,
                "assumption": family.assumption,
            }
            for family in possible
        ],
        "top_lists": _top_lists(found.share_wrong, value if told else None, low, high),
        "threshold": THRESHOLD,
        "curve": _curve(value, low, high),
        "overlap": round(found.overlap, 4),
        "assumption": possible[0].assumption + (TOO_HIGH if told and found.overlap > MOST_OVERLAP else ""),
        "warning": None if told else _warning(found, *ends),
    }


def _range(found: ProbeCalibration, possible: Sequence[Family]) -> tuple[float, float]:
    """Of the families' shares; from 0 where the flips tell nothing, or nothing was predicted to hold them against."""
    shares = [family.share for family in possible]
    unbound = not found.tells_of_the_worst or any(family.assumption == NO_PREDICTION for family in possible)
    return 0.0 if unbound else min(shares), max(shares)


def _by_votes(suspicion: AnyArray) -> dict[str, Any]:
    value = suspicion.astype(np.float64)
    return {
        "method": "votes",
        "num_examples": len(value),
        "is_uniform": False,
        "share_wrong": None,
        "families": [],
        "top_lists": [],
        "threshold": THRESHOLD,
        "curve": _curve(value, value, value),
        "assumption": BY_VOTES,
        "warning": TOO_FEW,
    }


def _warning(found: ProbeCalibration, low: float, high: float) -> str:
    why = (
        "What looks wrong here does not look like planted flips. Either errors were made where it is hard, or hard "
        "examples are right: curves do not tell which."
        if found.num_classes >= FEWEST_CLASSES
        else "With two classes planted flips do not tell how many labels are wrong, since flips of wrong labels are "
        "right again."
    )
    tagged = "a flip or a habit" if found.tells_of_the_worst else "a habit"
    return (
        f"{why} By these assumptions {low:.1%} to {high:.1%} of the labels are wrong, and only what looks like "
        f"{tagged} is tagged as wrong. Review a sample of 100: from then on shares, precisions and tags hold for any "
        "kind of error."
    )


def _top_lists(share: float, value: AnyArray | None, low: AnyArray, high: AnyArray) -> list[dict[str, Any]]:
    about = max(1, round(share * len(low)))
    sizes = sorted({k for k in (*TOP_LISTS, about, 2 * about) if SHORTEST_LIST <= k <= len(low)})
    return [
        {
            "k": k,
            **_estimate(
                None if value is None else float(value[:k].mean()),
                float(low[:k].mean()),
                float(high[:k].mean()),
            ),
        }
        for k in sizes
    ]


def _estimate(value: float | None, low: float, high: float) -> dict[str, float | None]:
    return {"value": None if value is None else round(value, 5), "low": round(low, 5), "high": round(high, 5)}


def _curve(value: AnyArray, low: AnyArray, high: AnyArray) -> dict[str, list[float]]:
    """Means over slices of the ranking, narrow where the curve falls, with straight lines between their middles."""
    num = len(value)
    if not num:
        return {name: [0.0] for name in ("place", "probability", "low", "high")}
    fallen = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(value)) + np.abs(np.diff(high)))])
    gone = np.arange(num) / num + fallen / max(1e-9, float(fallen[-1]))
    marks = np.linspace(0, float(gone[-1]), NUM_KNOTS + 1)[1:-1]
    edges = np.unique(np.concatenate([[0], np.searchsorted(gone, marks), [num]]))
    sizes = np.diff(edges)
    means = [np.add.reduceat(values, edges[:-1]) / sizes for values in (value, low, high)]
    place = (edges[:-1] + edges[1:]) / 2 / num
    return {
        "place": place.round(7).tolist(),
        **{
            name: values.round(5).tolist()
            for name, values in zip(("probability", "low", "high"), means, strict=True)
        },
    }
