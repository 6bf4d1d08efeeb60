"""Detectors of wrong labels, each a function from a cell to one suspicion per example, float (N,), high is suspicious.

To add one: `DETECTORS["name"] = Detector(function, "same")`. A curve detector is averaged over the runs that trained
the example, as scores of the product are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from benchmarks.truth_parts.cells import Cell, CellRun
from benchmarks.truth_parts.confident import confident, confident_frozen
from benchmarks.truth_parts.ctrl import ctrl_votes
from sondage.scores.base import mean_over_runs
from sondage.tagging.tag import TaggingResult, tag_runs
from sondage.types import AnyArray, PerRow

Group = Literal["own", "same", "equal", "five"]


@dataclass(frozen=True)
class Detector:
    """A method and what it costs.

    Parameters
    ----------
    suspicion : callable
        Cell to float (N,); high is suspicious.
    group : {"own", "same", "equal", "five"}
        Ours and the reference; published ones from the same two runs; from other trainings, of equal compute or of five
        times as much.
    share_noisy : callable, optional
        Cell to the share of examples that get a tag of a category whose label is wrong; for those that give tags.
    scheme : str, optional
        The k-fold training it needs.
    """

    suspicion: Callable[[Cell], AnyArray]
    group: Group
    share_noisy: Callable[[Cell], float] | None = None
    scheme: str | None = None


def over_runs(per_run: Callable[[CellRun, int], AnyArray]) -> Callable[[Cell], AnyArray]:
    """Mean over the runs that have the example; `per_run` takes a run and C, gives a number per row, NaN if unseen."""

    def suspicion(cell: Cell) -> AnyArray:
        found = [per_run(run, cell.num_classes)[: cell.num_examples] for run in cell.runs]
        return mean_over_runs([np.asarray(one, dtype=np.float32) for one in found])

    return suspicion


def reference(cell: Cell) -> AnyArray:
    """The place in the reference tagging's order: suspicion of 20 neighbours, then mean loss, then index."""
    result = tag_runs(cell.run_curves, cell.definition, cell.num_examples, tagger="reference")
    return -result.position.astype(np.float64)


def ours(cell: Cell) -> AnyArray:
    """The place in the default tagging's order: evidence, then mean loss, then index."""
    return -tag_runs(cell.run_curves, cell.definition, cell.num_examples).position.astype(np.float64)


def ours_share_noisy(cell: Cell) -> float:
    return share_tagged_noisy(tag_runs(cell.run_curves, cell.definition, cell.num_examples))


def reference_share_noisy(cell: Cell) -> float:
    return share_tagged_noisy(
        tag_runs(cell.run_curves, cell.definition, cell.num_examples, tagger="reference")
    )


def share_tagged_noisy(result: TaggingResult) -> float:
    """Share of the N examples whose tag stands for a wrong label."""
    numbers = [number for number, category in enumerate(result.categories) if category.wrong_label]
    return float(np.isin(result.tag, numbers).mean())


def mean_loss(run: CellRun, num_classes: int) -> AnyArray:
    return np.asarray(run.curves.curves["loss"].mean(axis=1))


def last_loss(run: CellRun, num_classes: int) -> AnyArray:
    return run.curves.curves["loss"][:, -1]


def margin_mean(run: CellRun, num_classes: int, *, last: int | float = 1.0) -> AnyArray:
    """Less the mean margin of the last epochs: of so many, or of that share of them."""
    margin = run.curves.curves["margin"]
    count = last if isinstance(last, int) else round(last * margin.shape[1])
    return np.asarray(-margin[:, -min(count, margin.shape[1]) :].mean(axis=1))


def confidence(run: CellRun, num_classes: int) -> AnyArray:
    """Less the mean of p_y (Swayamdipta et al. 2020)."""
    return np.asarray(-np.exp(-run.curves.curves["loss"]).mean(axis=1))


def cumulative_wrong(run: CellRun, num_classes: int) -> AnyArray:
    """Share of epochs in which another class was predicted."""
    return _where_seen(run, ~_correct(run).astype(bool))


def forgetting(run: CellRun, num_classes: int) -> AnyArray:
    """Times right and then wrong; one that was never right is worse than any (Toneva et al. 2019)."""
    correct = _correct(run)
    events = (correct[:, :-1] & ~correct[:, 1:]).sum(axis=1)
    counts = np.where(correct.any(axis=1), events, correct.shape[1])
    return np.where(run.curves.curves.ever_seen(), counts, np.nan)


def el2n(run: CellRun, num_classes: int) -> AnyArray:
    """‖p − onehot(y)‖₂ in the epoch after a tenth of the training (Paul et al. 2021, who average some 10 seeds)."""
    values = run.extra["el2n"]
    return values[:, max(1, round(0.1 * values.shape[1]))]


def ctrl(cell: Cell) -> AnyArray:
    """Votes of clusterings, equal ones by mean loss."""
    votes = over_runs(_ctrl_run)(cell)
    return broken_by(votes, over_runs(mean_loss)(cell))


def broken_by(first: PerRow, second: PerRow) -> AnyArray:
    """Ranks by the first number, of equal ones by the second; high is high."""
    ranks = np.empty(len(first))
    ranks[np.lexsort((second, first.round(6)))] = np.arange(len(first))
    return ranks


DETECTORS: dict[str, Detector] = {
    "reference": Detector(reference, "own", reference_share_noisy),
    "ours": Detector(ours, "own", ours_share_noisy),
    "mean_loss": Detector(over_runs(mean_loss), "same"),
    "last_loss": Detector(over_runs(last_loss), "same"),
    "aum": Detector(over_runs(margin_mean), "same"),
    "margin_last3": Detector(over_runs(partial(margin_mean, last=3)), "same"),
    "margin_last5": Detector(over_runs(partial(margin_mean, last=5)), "same"),
    "margin_half": Detector(over_runs(partial(margin_mean, last=0.5)), "same"),
    "confidence": Detector(over_runs(confidence), "same"),
    "cumulative_wrong": Detector(over_runs(cumulative_wrong), "same"),
    "forgetting": Detector(over_runs(forgetting), "same"),
    "el2n": Detector(over_runs(el2n), "same"),
    "ctrl": Detector(ctrl, "same"),
    "cleanlab_frozen_self": Detector(partial(confident_frozen, method="self_confidence"), "same"),
    "cleanlab_frozen_margin": Detector(partial(confident_frozen, method="normalized_margin"), "same"),
    "cleanlab_self": Detector(
        partial(confident, scheme="3x1", method="self_confidence"), "equal", scheme="3x1"
    ),
    "cleanlab_margin": Detector(
        partial(confident, scheme="3x1", method="normalized_margin"), "equal", scheme="3x1"
    ),
    "cleanlab_self_5x": Detector(
        partial(confident, scheme="6x2", method="self_confidence"), "five", scheme="6x2"
    ),
    "cleanlab_margin_5x": Detector(
        partial(confident, scheme="6x2", method="normalized_margin"), "five", scheme="6x2"
    ),
}


def _ctrl_run(run: CellRun, num_classes: int) -> AnyArray:
    seen = np.flatnonzero(run.curves.curves.ever_seen())
    votes = np.full(run.curves.curves.num_rows, np.nan)
    votes[seen] = ctrl_votes(run.curves.curves["loss"][seen], run.curves.labels[seen], num_classes)
    return votes


def _correct(run: CellRun) -> AnyArray:
    return np.asarray(run.curves.curves["predicted"] == run.curves.labels[:, None])


def _where_seen(run: CellRun, values: AnyArray) -> AnyArray:
    return np.where(run.curves.curves.ever_seen(), values.mean(axis=1), np.nan)
