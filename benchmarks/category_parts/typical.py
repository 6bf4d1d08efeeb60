"""Prototypical and atypical against the published C-scores of CIFAR-10: rank correlation, overlap of extremes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from benchmarks.category_parts.cells import share
from benchmarks.truth_parts.cells import Cell
from sondage.scores.registry import SCORES, score_runs
from sondage.tagging.tag import tag_runs
from sondage.types import AnyArray

EXTREME = 0.1


@dataclass(frozen=True)
class Agreement:
    """How a measure of regularity agrees with the C-score.

    `spearman` −1…1; `easiest` and `hardest` are the shares of the C-score's most and least regular tenth that the
    measure has in its own; by chance each is 0.1.
    """

    name: str
    spearman: float
    easiest: float
    hardest: float


def agreements(cell: Cell, c_score: AnyArray) -> list[Agreement]:
    """Every measure, the most correlated first. High is regular in all of them."""
    return sorted(
        (agreement(name, values, c_score) for name, values in measures(cell).items()),
        key=lambda one: -one.spearman,
    )


def agreement(name: str, regular: AnyArray, c_score: AnyArray) -> Agreement:
    """Hold one measure against the C-score; both high for the regular. Equal values are in no particular order."""
    num = max(1, round(EXTREME * len(c_score)))
    shuffle = np.random.default_rng(0).permutation(len(c_score))
    mine, theirs = regular[shuffle], c_score[shuffle]
    order, reference = np.argsort(mine, kind="stable"), np.argsort(theirs, kind="stable")
    return Agreement(
        name,
        float(spearmanr(mine, theirs).statistic),
        len(np.intersect1d(order[-num:], reference[-num:])) / num,
        len(np.intersect1d(order[:num], reference[:num])) / num,
    )


def measures(cell: Cell) -> dict[str, AnyArray]:
    """High is regular. Shape (N,) each."""
    votes = tag_runs(cell.run_curves, cell.definition, cell.num_examples, tagger="reference")
    ours = tag_runs(cell.run_curves, cell.definition, cell.num_examples)
    number = {category.name: place for place, category in enumerate(votes.categories)}
    shares = votes.probabilities.astype(np.float64)
    found = {
        "votes: prototypical less atypical": shares[:, number["prototypical"]]
        - shares[:, number["atypical"]],
        "votes: prototypical": shares[:, number["prototypical"]],
        "votes: not atypical": 1 - shares[:, number["atypical"]],
        "place in the list, reference": votes.position.astype(np.float64),
        "place in the list, evidence": ours.position.astype(np.float64),
    }
    for name, score in SCORES.items():
        sign = -1.0 if score.bad_end == "high" else 1.0
        found[name] = sign * score_runs(name, cell.examples).astype(np.float64)
    found["learnability of one run"] = _of_one_run(cell)
    return found


def _of_one_run(cell: Cell) -> AnyArray:
    """It knows nothing of the examples that it displaced: these stand in the middle."""
    values = score_runs("learnability", cell.examples[:1]).astype(np.float64)
    return np.where(np.isnan(values), np.nanmedian(values), values)


def tag_table(cell: Cell, c_score: AnyArray) -> list[list[str]]:
    """Per tag of the default tagger: how regular its examples are by the C-score."""
    result = tag_runs(cell.run_curves, cell.definition, cell.num_examples)
    names = np.array(result.tag_names())
    low, high = np.quantile(c_score, [EXTREME, 1 - EXTREME])
    middle = np.quantile(c_score, 0.5)
    lines = [
        [
            "tag",
            "examples",
            "median C-score",
            "of the least regular tenth",
            "below the median",
            "most regular tenth",
        ]
    ]
    for name in ("prototypical", "atypical", "noisy", "ood", "corrupted", "unsure", "all"):
        mine = c_score if name == "all" else c_score[names == name]
        median = f"{np.median(mine):.2f}" if len(mine) else "–"
        lines.append(
            [name, str(len(mine)), median, share(mine <= low), share(mine < middle), share(mine >= high)]
        )
    return lines


def agreement_table(found: list[Agreement]) -> list[list[str]]:
    lines = [
        ["measure", "Spearman with the C-score", "of the most regular tenth", "of the least regular tenth"]
    ]
    lines += [[one.name, f"{one.spearman:.3f}", f"{one.easiest:.2f}", f"{one.hardest:.2f}"] for one in found]
    return [*lines, ["chance", "0", f"{EXTREME:.2f}", f"{EXTREME:.2f}"]]
