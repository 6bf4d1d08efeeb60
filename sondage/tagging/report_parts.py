"""⑤ What a report says beside the held-out probes: stability, settling, classes, and whether the suite fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sondage.probes.suite import Category
from sondage.tagging.contamination import contamination
from sondage.tagging.evidence import RunEvidence
from sondage.tagging.order_quality import order_quality
from sondage.tagging.per_class import per_class
from sondage.tagging.prepare import Prepared
from sondage.tagging.reliability import reliability
from sondage.tagging.settling import settling
from sondage.tagging.stability import Tagged, draw_sample, flips, floor_from_probes
from sondage.tagging.suite_fit import mixed, separability, too_few, too_short
from sondage.types import AnyArray, Mask, PerRow, Probabilities, Rows


@dataclass(frozen=True)
class Outcome:
    """A tagging as far as it has come: what the parts of its report are made of.

    Parameters
    ----------
    runs : sequence of Prepared
    votes : sequence of float arrays, shape (N, categories)
        Of the examples, per run.
    of_probes : sequence of float arrays, shape (probes, categories)
        Of its probes, per run.
    ks : sequence of int
    categories : sequence of Category
    tag : int array, shape (N,)
    suspicion, suggested, displaced : arrays, shape (N,)
        As in `TaggingResult`.
    confusion : int64 array, shape (categories, categories)
        Of the held-out probes of all runs.
    tagged : callable
        From probabilities to tags.
    class_names : sequence of str
    setups : sequence of (name, mapping)
        What each run was (`sondage.tagging.suite_fit.mixed`).
    seed : int
    of_runs : sequence of RunEvidence
        With the tagger `evidence`.
    """

    runs: Sequence[Prepared]
    votes: Sequence[Probabilities]
    of_probes: Sequence[Probabilities]
    ks: Sequence[int]
    categories: Sequence[Category]
    tag: AnyArray
    suspicion: PerRow
    suggested: Rows
    displaced: Mask
    confusion: AnyArray
    tagged: Tagged
    class_names: Sequence[str]
    setups: Sequence[tuple[str, Mapping[str, Any]]]
    seed: int
    of_runs: Sequence[RunEvidence] = ()


def report_parts(outcome: Outcome) -> tuple[dict[str, Any], list[str]]:
    """The parts by their name in the report, JSON-able, and the warnings that they give rise to."""
    names = [category.name for category in outcome.categories]
    sample = draw_sample(outcome.runs, outcome.seed)
    settled = settling(outcome.runs, outcome.ks, names, sample, outcome.tagged)
    apart = separability(outcome.confusion, names)
    sources = contamination(
        outcome.runs,
        outcome.of_probes,
        outcome.categories,
        outcome.suspicion,
        outcome.suggested,
        outcome.displaced,
    )
    parts = {
        "reliability": reliability(outcome.runs, outcome.of_probes, names),
        "stability": _stability(outcome, names, sample),
        "settling": settled,
        "order_quality": _order_quality(outcome),
        "per_class": per_class(
            outcome.runs[0].labels[: len(outcome.tag)],
            outcome.tag,
            outcome.suspicion,
            outcome.suggested,
            names,
            outcome.class_names,
        ),
        "suite_fit": {
            "separability": [one.to_dict() for one in apart],
            "contamination": sources.to_dict(),
        },
    }
    num_held_out = dict(zip(names, outcome.confusion.sum(axis=1).tolist(), strict=True))
    return parts, [
        *too_few(num_held_out),
        *too_short(min(run.curves.num_epochs for run in outcome.runs), settled),
        *(one.warning for one in apart if one.warning),
        *mixed(outcome.setups),
        *sources.warnings,
    ]


def _order_quality(outcome: Outcome) -> dict[str, Any] | None:
    """None with the reference tagger, whose order is that of the votes."""
    if not outcome.of_runs:
        return None
    wrong = [number for number, category in enumerate(outcome.categories) if category.wrong_label]
    tagged = np.isin(outcome.tag, wrong)
    return order_quality(outcome.of_runs, outcome.categories, tagged, np.isfinite(outcome.suspicion))


def _stability(outcome: Outcome, names: Sequence[str], sample: Rows) -> dict[str, Any]:
    tags = [outcome.tagged(votes) for votes in outcome.votes]
    found = flips(tags, [run.trained for run in outcome.runs], names)
    floor = floor_from_probes(outcome.runs, outcome.votes, outcome.ks, names, sample, outcome.tagged)
    return found | {"from_probes": floor, "num_sampled": len(sample)}
