"""Wrong labels among the hard examples alone, the worst fifth by mean loss: noisy against atypical."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from benchmarks.category_parts.cells import share
from benchmarks.category_parts.second_split import SecondSplit
from benchmarks.truth_parts.cells import Cell
from benchmarks.truth_parts.metrics import Figures, figures
from sondage.scores.registry import SCORES, score_runs
from sondage.tagging.tag import TaggingResult, tag_runs
from sondage.types import AnyArray, Mask

SHARE_HARD = 0.2


def hard_examples(cell: Cell) -> Mask:
    """The worst fifth by mean loss. Shape (N,)."""
    loss = score_runs("mean_loss", cell.examples)
    worst = np.argsort(-loss, kind="stable")[: round(SHARE_HARD * cell.num_examples)]
    mask = np.zeros(cell.num_examples, dtype=np.bool_)
    mask[worst] = True
    return mask


def measure(cell: Cell, split: SecondSplit) -> dict[str, Figures]:
    """How each number finds the wrong labels among the hard examples."""
    hard = hard_examples(cell)
    return {name: figures(values[hard], cell.wrong[hard]) for name, values in measures(cell, split).items()}


def measures(cell: Cell, split: SecondSplit) -> dict[str, AnyArray]:
    """High is suspicious. Shape (N,) each."""
    votes = tag_runs(cell.run_curves, cell.definition, cell.num_examples, tagger="reference")
    ours = tag_runs(cell.run_curves, cell.definition, cell.num_examples)
    evidence = -ours.position.astype(np.float64)
    found = {
        "votes: P(noisy)": _noisy(votes),
        "votes, with mean loss (reference)": -votes.position.astype(np.float64),
        "evidence (default)": evidence,
    }
    for name in ("mean_loss", "last_loss", "aum"):
        sign = 1.0 if SCORES[name].bad_end == "high" else -1.0
        found[name] = sign * score_runs(name, cell.examples).astype(np.float64)
    one, other = (-run["margin"].mean(axis=1).astype(np.float64) for run in cell.examples)
    found["aum, the milder seed"] = np.fmin(one, other)
    found["aum, less the seeds' difference"] = found["aum"] - np.nan_to_num(np.abs(one - other))
    found["votes: noisy in all seeds first"] = found["votes: P(noisy)"] + _noisy_in_all(votes)
    found["second-split forgetting"] = -split.forgotten.astype(np.float64)
    found["second-split margin"] = -split.margin
    found["evidence and second-split margin"] = _ranks(evidence) + _ranks(-split.margin)
    found["aum and second-split margin"] = _ranks(found["aum"]) + _ranks(-split.margin)
    return found


def tag_table(cell: Cell) -> list[list[str]]:
    """What hard examples with right and with wrong labels are called, in shares."""
    names = np.array(tag_runs(cell.run_curves, cell.definition, cell.num_examples).tag_names())
    hard = hard_examples(cell)
    tags = ("prototypical", "atypical", "noisy", "ood", "corrupted", "unsure")
    lines = [["hard, label is", "examples", *tags]]
    for kind, mask in (("right", hard & ~cell.wrong), ("wrong", hard & cell.wrong)):
        lines.append([kind, str(int(mask.sum())), *(share(names[mask] == tag) for tag in tags)])
    return lines


def figure_table(per_cell: dict[str, dict[str, Figures]], figure: str) -> list[list[str]]:
    """A line per measure, a column per cell and their mean; the best mean first."""
    names = next(iter(per_cell.values()))
    values = {name: [asdict(found[name])[figure] for found in per_cell.values()] for name in names}
    lines = [
        [name, *(f"{value:.3f}" for value in values[name]), f"{np.mean(values[name]):.3f}"]
        for name in sorted(values, key=lambda name: -np.mean(values[name]))
    ]
    return [["among the hard examples", *per_cell, "mean"], *lines]


def _noisy(result: TaggingResult) -> AnyArray:
    number = [category.name for category in result.categories].index("noisy")
    return result.probabilities[:, number].astype(np.float64)


def _noisy_in_all(result: TaggingResult) -> AnyArray:
    number = [category.name for category in result.categories].index("noisy")
    return (result.consensus.in_all & (result.tag == number)).astype(np.float64)


def _ranks(values: AnyArray) -> AnyArray:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
