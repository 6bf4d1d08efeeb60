"""⑤ How good the order by evidence is: on held-out probes, and from one training to the next.

The votes are judged elsewhere (`reliability.py`, `stability.py`); the tagger `evidence` tags wrong labels by their
place, so its order is judged here. Held-out probes have no part in it, neither in the weights of the epochs nor in that
of the look.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import log
from typing import Any

import numpy as np

from sondage.probes.plan import Probes
from sondage.probes.suite import Category
from sondage.tagging.evidence import RunEvidence
from sondage.tagging.shares import NORMAL_90
from sondage.types import AnyArray, Mask

FEWEST = 5
"""Rows on either side, below which nothing is said of how well they are told apart."""
TOP_SHARE = 0.05
"""Of the examples, where none is tagged as wrong."""


def order_quality(
    of_runs: Sequence[RunEvidence], categories: Sequence[Category], tagged: Mask, ranked: Mask
) -> dict[str, Any]:
    """The part of the report. JSON-able.

    Parameters
    ----------
    of_runs : sequence of RunEvidence
        The order of each run alone goes by `together`: all but the pairs, which are of all runs.
    tagged, ranked : bool arrays, shape (N,)
        Tagged as wrong; in the list at all.

    Returns
    -------
    dict
        `runs`: per run, of held-out probes with wrong labels, `trained_on` and `not_trained_on` told apart: how many
        and how well they are told from held-out probes whose label is right (`against_right`) and from the examples
        (`against_examples`; some of these have wrong labels, so that 1 is not to be had; of probes that were not
        trained on, examples that were not either). None where there are too few.
        `top_list`: how much of the top of one run's list is in the other's.
    """
    strengths = [one.together for one in of_runs]
    return {
        "runs": [
            _of_run(one, strength, categories, ranked)
            for one, strength in zip(of_runs, strengths, strict=True)
        ],
        "top_list": top_list(
            [strength[: len(tagged)] for strength in strengths],
            [one.run.trained & ranked for one in of_runs],
            tagged,
        ),
    }


def _of_run(
    one: RunEvidence, strength: AnyArray, categories: Sequence[Category], ranked: Mask
) -> dict[str, Any]:
    run = one.run
    held_out = run.probes.take(run.probes.role == "held_out")
    examples = ranked.copy()
    for probes in (run.probes, run.untrained):
        # Known examples, and chosen ones.
        examples[probes.row[probes.row < len(ranked)]] = False
    return {
        "run": run.name,
        "trained_on": _told_apart(strength, held_out, categories, examples & run.trained),
        "not_trained_on": _told_apart(strength, run.untrained, categories, examples & ~run.trained),
    }


def _told_apart(
    strength: AnyArray, probes: Probes, categories: Sequence[Category], examples: Mask
) -> dict[str, Any] | None:
    """Of some held-out probes; None without any wrong ones."""
    wrong, right = (_finite(strength[_rows(probes, categories, is_wrong)]) for is_wrong in (True, False))
    if not len(wrong):
        return None
    return {
        "num_wrong": len(wrong),
        "against_right": roc_area(wrong, right),
        "against_examples": roc_area(wrong, _finite(strength[: len(examples)][examples])),
    }


def _rows(probes: Probes, categories: Sequence[Category], is_wrong: bool) -> AnyArray:
    """Of the categories whose label is wrong, or right; those to which that does not apply are neither."""
    names = [category.name for category in categories if category.wrong_label is is_wrong]
    return probes.row[np.isin(probes.category, names)]


def _finite(values: AnyArray) -> AnyArray:
    return values[np.isfinite(values)]


def roc_area(wrong: AnyArray, others: AnyArray) -> dict[str, Any] | None:
    """Area under the ROC curve with a 90 % interval; None of fewer than five on a side.

    The probability that a wrong one stands above another one, ties half. The interval is DeLong's, on the scale of the
    logit, which keeps it within 0…1. Where every wrong one stands above every other the variance is 0, and the lower
    end is what a share seen n times out of n leaves open, n the fewer of the two.

    Source: E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Comparing the areas under two or more correlated
    receiver operating characteristic curves, Biometrics 44 (1988).
    """
    if min(len(wrong), len(others)) < FEWEST:
        return None
    above = _placements(wrong, others)
    area = float(above.mean())
    variance = above.var(ddof=1) / len(wrong) + (1 - _placements(others, wrong)).var(ddof=1) / len(others)
    low, high = _interval(area, float(np.sqrt(variance)), min(len(wrong), len(others)))
    return {"num": len(others), "auroc": round(area, 5), "low": round(low, 5), "high": round(high, 5)}


def _placements(values: AnyArray, among: AnyArray) -> AnyArray:
    """Per value the share of the others that lie below it, equal ones half. Shape of `values`."""
    among = np.sort(among)
    below, not_above = (np.searchsorted(among, values, side=side) for side in ("left", "right"))
    return np.asarray((below + not_above) / (2 * len(among)))


def _interval(area: float, error: float, fewer: int) -> tuple[float, float]:
    if area in (0, 1):
        # Clopper and Pearson's: of n out of n.
        open_end = 0.05 ** (1 / fewer)
        return (open_end, 1.0) if area else (0.0, 1 - open_end)
    middle, wide = log(area / (1 - area)), NORMAL_90 * error / (area * (1 - area))
    return float(1 / (1 + np.exp(wide - middle))), float(1 / (1 + np.exp(-wide - middle)))


def top_list(strengths: Sequence[AnyArray], trained: Sequence[Mask], tagged: Mask) -> dict[str, Any] | None:
    """How much of the top of a run's own list is not in that of another run, over all pairs of runs.

    As long as the examples are many that both trained and that are tagged as wrong; where none is, 5 % of them.

    Returns
    -------
    dict or None
        `length`, the mean over the pairs; `by_tags`, or else by share; `flip_rate`, `by_chance`, 0…1, 0 is good;
        `num_examples` that two runs trained. None with one run, and where no two runs trained one example.
    """
    lengths, wholes, shared, by_tags = [], [], [], bool(tagged.any())
    for first, second in combinations(range(len(strengths)), 2):
        known = np.isfinite(strengths[first]) & np.isfinite(strengths[second])
        both = np.flatnonzero(trained[first] & trained[second] & known)
        length = int(tagged[both].sum()) if by_tags else int(np.ceil(TOP_SHARE * len(both)))
        if length:
            one, other = (_top(strengths[number][both], length) for number in (first, second))
            lengths.append(length)
            wholes.append(len(both))
            shared.append(len(np.intersect1d(one, other, assume_unique=True)))
    if not lengths:
        return None
    by_chance = sum(length * length / whole for length, whole in zip(lengths, wholes, strict=True))
    return {
        "num_examples": int((np.sum(trained, axis=0) >= 2).sum()),
        "by_tags": by_tags,
        "length": round(sum(lengths) / len(lengths)),
        "flip_rate": round(1 - sum(shared) / sum(lengths), 5),
        "by_chance": round(1 - by_chance / sum(lengths), 5),
    }


def _top(strength: AnyArray, length: int) -> AnyArray:
    """Places of the highest; of equal ones the first."""
    return np.argsort(-strength, kind="stable")[:length]
