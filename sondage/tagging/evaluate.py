"""⑤ The report of a tagging: how well held-out probes are told apart, and when each category is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sondage.curves import Curves
from sondage.probes.plan import Probes
from sondage.probes.suite import Category
from sondage.tagging.prepare import Prepared
from sondage.types import AnyArray, Labels, Mask, Probabilities


@dataclass(frozen=True)
class Evaluation:
    """Held-out probes of one run, or of all of them.

    Parameters
    ----------
    categories : tuple of str
        Order of rows and columns.
    confusion : int64 array, shape (categories, categories)
        Number of held-out probes: row, what it is; column, its tag.
    """

    categories: tuple[str, ...]
    confusion: AnyArray

    @property
    def accuracy(self) -> float | None:
        """0…1, high is good; None without held-out probes."""
        return _share(int(np.trace(self.confusion)), int(self.confusion.sum()))

    def to_dict(self) -> dict[str, Any]:
        hits, actual, tagged = np.diag(self.confusion), self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        return {
            "num_held_out": int(self.confusion.sum()),
            "accuracy": self.accuracy,
            "confusion": {
                "counts": self.confusion.tolist(),
                "shares": [
                    [_share(int(count), int(num)) for count in row]
                    for row, num in zip(self.confusion, actual, strict=True)
                ],
            },
            "precision": _by_category(self.categories, hits, tagged),
            "recall": _by_category(self.categories, hits, actual),
        }


@dataclass(frozen=True)
class RunReport:
    """One run: its evaluation, its numbers of probes, and when each category is learned."""

    name: str
    k: int
    num_epochs: int
    num_probes: dict[str, dict[str, int]]
    evaluation: Evaluation
    learned: dict[str, dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        return {
            "run": self.name,
            "k": self.k,
            "num_epochs": self.num_epochs,
            "num_probes": self.num_probes,
            **self.evaluation.to_dict(),
            "learned": self.learned,
        }


@dataclass(frozen=True)
class Report:
    """The report of a tagging.

    Parameters
    ----------
    categories : tuple of Category
    protocol : str
        What was recorded and when.
    overall : Evaluation
        The held-out probes of all runs together.
    runs : tuple of RunReport
    warnings : tuple of str
    num_examples : mapping of str to int
        `tagged`, with a suspicion; `displaced` in every run that would have trained them, those scored out of sample
        included; `without_suspicion`, displaced and not scored; `not_trained`, of other splits or left out.
    """

    categories: tuple[Category, ...]
    protocol: str
    overall: Evaluation
    runs: tuple[RunReport, ...]
    warnings: tuple[str, ...]
    num_examples: Mapping[str, int] = field(default_factory=dict)
    tagger: str = "reference"
    untrained: Evaluation | None = None
    held_out_trained_on: bool = True
    parts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: None where there is no number. Epochs count from 0."""
        return {
            "tagger": self.tagger,
            "categories": [{"name": c.name, "wrong_label": c.wrong_label} for c in self.categories],
            "protocol": self.protocol,
            "calibration": "none",
            "held_out_trained_on": self.held_out_trained_on,
            "num_examples": dict(self.num_examples),
            "overall": self.overall.to_dict(),
            "not_trained_on": None if self.untrained is None else self.untrained.to_dict(),
            "runs": [run.to_dict() for run in self.runs],
            **self.parts,
            "warnings": list(self.warnings),
        }


def evaluate(
    runs: Sequence[tuple[Prepared, Probabilities, int]],
    categories: Sequence[Category],
    *,
    protocol: str,
    warnings: Sequence[str],
    num_examples: Mapping[str, int] | None = None,
    tagger: str = "reference",
    untrained: Sequence[Probabilities] = (),
) -> Report:
    """Report on held-out probes.

    Held out means that the tagger was not fitted on them. The model was trained on them, as on every made probe: a
    memorised probe flatters the accuracy, and the report says so (`held_out_trained_on`). Known examples that a run
    only scored are told apart (`not_trained_on`); where there are no others, they are the whole.

    Parameters
    ----------
    runs : sequence of (run, probabilities of its probes, k)
    untrained : sequence of float arrays, shape (untrained probes, categories), optional
        Per run.
    """
    names = tuple(category.name for category in categories)
    reports = tuple(_report_run(run, votes, k, names) for run, votes, k in runs)
    overall = Evaluation(names, np.sum([report.evaluation.confusion for report in reports], axis=0))
    apart = _untrained([run for run, _, _ in runs], untrained, names)
    trained_on = apart is None or bool(overall.confusion.any())
    return Report(
        categories=tuple(categories),
        protocol=protocol,
        overall=overall if trained_on or apart is None else apart,
        runs=reports,
        warnings=(*warnings, *_one_seed(reports)),
        num_examples=num_examples or {},
        tagger=tagger,
        untrained=apart if trained_on else None,
        held_out_trained_on=trained_on,
    )


def confusion_matrix(category: AnyArray, votes: Probabilities, names: Sequence[str]) -> AnyArray:
    """Numbers of probes, shape (categories, categories): row, what each is; column, what has most votes."""
    number = {name: code for code, name in enumerate(names)}
    out = np.zeros((len(names), len(names)), dtype=np.int64)
    actual = [number[name] for name in category.tolist()]
    np.add.at(out, (actual, votes.argmax(axis=1)), 1)
    return out


def first_learned(right: Mask) -> AnyArray:
    """First epoch with the given label predicted, from 0; NaN if never. Shape (rows,) from (rows, epochs)."""
    return np.where(right.any(axis=1), right.argmax(axis=1), np.nan)


def stays_learned(right: Mask) -> AnyArray:
    """First epoch from which the given label was predicted in every one; NaN if wrong in the last. Shape (rows,)."""
    wrong_from_end = (~right[:, ::-1]).argmax(axis=1)
    last_wrong = np.where(right.all(axis=1), -1, right.shape[1] - 1 - wrong_from_end)
    return np.where(right[:, -1], last_wrong + 1, np.nan)


def _report_run(run: Prepared, votes: Probabilities, k: int, names: Sequence[str]) -> RunReport:
    probes = run.probes
    # A held-out probe of a category without fit probes has no column.
    tested = (probes.role == "held_out") & np.isin(probes.category, names)
    return RunReport(
        name=run.name,
        k=k,
        num_epochs=run.curves.num_epochs,
        num_probes={name: _num_probes(probes, name) for name in names},
        evaluation=Evaluation(tuple(names), confusion_matrix(probes.category[tested], votes[tested], names)),
        learned=_learned(run.curves, run.labels, probes, names),
    )


def _untrained(
    runs: Sequence[Prepared], votes: Sequence[Probabilities], names: Sequence[str]
) -> Evaluation | None:
    """Of all runs together; None where there is no such probe."""
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    for run, of_run in zip(runs, votes, strict=False):
        shared = np.isin(run.untrained.category, names)
        confusion += confusion_matrix(run.untrained.category[shared], of_run[shared], names)
    return Evaluation(tuple(names), confusion) if confusion.any() else None


def _num_probes(probes: Probes, name: str) -> dict[str, int]:
    return {
        role: int(((probes.category == name) & (probes.role == role)).sum()) for role in ("fit", "held_out")
    }


def _learned(
    curves: Curves, labels: Labels, probes: Probes, names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Per category when its probes, fit and held out, were learned; empty where nothing tells."""
    of_probes = curves.take(probes.row)
    if "predicted" in curves:
        right = of_probes["predicted"] == np.asarray(labels)[probes.row][:, None]
    elif "margin" in curves:
        right = of_probes["margin"] > 0
    else:
        return {}
    return {name: _when(right[probes.category == name]) for name in names if (probes.category == name).any()}


def _when(right: Mask) -> dict[str, Any]:
    return {"first": _quartiles(first_learned(right)), "stays": _quartiles(stays_learned(right))}


def _quartiles(epochs: AnyArray) -> dict[str, float | None]:
    """Of the probes that were learned, and the share of those that never were."""
    learned = epochs[~np.isnan(epochs)]
    never = float(np.isnan(epochs).mean())
    if not len(learned):
        return {"q25": None, "median": None, "q75": None, "share_never": never}
    q25, median, q75 = (float(value) for value in np.quantile(learned, (0.25, 0.5, 0.75)))
    return {"q25": q25, "median": median, "q75": q75, "share_never": never}


def _one_seed(runs: Sequence[RunReport]) -> list[str]:
    if len(runs) > 1:
        return []
    return ["One seed: how much tags change from training to training is unknown. Train two to know."]


def _by_category(names: Sequence[str], hits: AnyArray, of: AnyArray) -> dict[str, float | None]:
    return {name: _share(int(hit), int(num)) for name, hit, num in zip(names, hits, of, strict=True)}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
