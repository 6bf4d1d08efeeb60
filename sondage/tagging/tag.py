"""⑤ Tagging: the curves of some runs and their probes to a tag, a suspicion and a suggested label per example.

Two taggers share the votes of neighbours among the probes. `reference`, the paper's, orders and tags by them.
`evidence`, the default, orders the examples by what speaks against their labels (`sondage.tagging.evidence`), tags as
wrong what is likely wrong at its place (`sondage.tagging.wrong_labels`), and all others by votes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from sondage.curves import Curves
from sondage.errors import InvalidInput
from sondage.probes.plan import Probes
from sondage.probes.suite import UNSURE, Category, SuiteDefinition
from sondage.scores.base import mean_where_trained
from sondage.scores.mean_loss import mean_loss
from sondage.tagging.consensus import Consensus, consensus
from sondage.tagging.cut import NO_TAG, cut_at, tags_at
from sondage.tagging.evaluate import Report, evaluate
from sondage.tagging.evidence import Gathered, RunEvidence, gather
from sondage.tagging.falling import falling
from sondage.tagging.grounds import grounds_kept
from sondage.tagging.prepare import Prepared, prepare
from sondage.tagging.reference import ReferenceTagger, usual_k
from sondage.tagging.report_parts import Outcome, report_parts
from sondage.tagging.suggest import suggest_labels
from sondage.tagging.suite_fit import few_neighbours, says_nothing, started_singly
from sondage.tagging.wrong_labels import calibration_of, estimate
from sondage.types import AnyArray, Labels, Mask, PerRow, Probabilities, Rows

Tagger = Literal["evidence", "reference"]


@dataclass(frozen=True)
class RunCurves:
    """One run, as it is given to a tagging.

    Parameters
    ----------
    curves : Curves
        Of all rows: examples, then made probes. `loss` is needed; `predicted` for suggested labels; `margin` makes the
        evidence stronger.
    labels : int array, shape (rows,)
        The label the training was given for each row.
    probes : Probes
        Planted in this run, or the known examples of an uploaded suite.
    displaced : int64 array
        Indices of the examples whose place a made probe took.
    name : str
        For the report.
    looks : mapping of int to float array, shape (rows,)
        By position among the epochs of `curves`, left-out log odds of that epoch (`sondage.tagging.left_out`); NaN
        where nobody looked.
    other_splits : int64 array
        Indices of examples that are not of the train split: scored, if they have a curve, and not trained.
    setup : mapping
        What the run was, by field of its protocol and recipe: runs of one tagging should be alike.
    """

    curves: Curves
    labels: Labels
    probes: Probes
    displaced: Rows
    name: str = ""
    looks: Mapping[int, AnyArray] = field(default_factory=dict)
    other_splits: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    setup: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaggingResult:
    """What a tagging says of the N examples.

    Parameters
    ----------
    categories : tuple of Category
        Order of the columns of `probabilities` and of the numbers in `tag`.
    probabilities : float32 array, shape (N, categories)
        Mean over the runs that trained the example; where none did, over those that scored it all the same, out of
        sample; else NaN rows.
    tag : int16 array, shape (N,)
        Number of the category; −1 is `unsure`.
    suspicion : float32 array, shape (N,)
        0…1, 1 is bad; NaN where no run has a curve of the example. A ranking, not calibrated. By the tagger `evidence`
        it is what examples of as much evidence get in votes, on average.
    order : int64 array, shape (N,)
        Examples by evidence, or by the reference tagger's suspicion, worst first; then by mean loss, then by index;
        those without suspicion last.
    suggested_label : int64 array, shape (N,)
        −1 where there is none.
    displaced : bool array, shape (N,)
        Displaced in every run that would have trained it: without a suspicion, or with one out of sample.
    mean_loss : float32 array, shape (N,)
        Mean over runs and epochs, in nats.
    probes : tuple of Probes
        Per run those that were used, the chosen ones included.
    report : Report
    consensus : Consensus
        In how many of the runs that trained an example their votes alone give its tag.
    """

    categories: tuple[Category, ...]
    probabilities: Probabilities
    tag: np.ndarray[Any, np.dtype[np.int16]]
    suspicion: PerRow
    order: Rows
    suggested_label: Rows
    displaced: Mask
    mean_loss: PerRow
    probes: tuple[Probes, ...]
    report: Report
    consensus: Consensus

    @property
    def position(self) -> Rows:
        """Place of each example in `order`, 0 worst. Shape (N,)."""
        position = np.empty_like(self.order)
        position[self.order] = np.arange(len(self.order))
        return position

    def tag_names(self) -> list[str]:
        """Per example the name of its category, or `unsure`."""
        names = [*(category.name for category in self.categories), UNSURE]
        return [names[number] for number in self.tag.tolist()]


def tag_runs(
    runs: Sequence[RunCurves],
    definition: SuiteDefinition,
    num_examples: int,
    *,
    tagger: Tagger = "evidence",
    k: int | None = None,
    seed: int = 0,
    protocol: str = "",
    class_names: Sequence[str] = (),
    on_progress: Callable[[float], None] | None = None,
) -> TaggingResult:
    """Tag every example, by the mean over the runs that trained it.

    Parameters
    ----------
    runs : sequence of RunCurves
        Of one dataset version.
    definition : SuiteDefinition
        The suite of the probes. Its prototypical and atypical generators choose probes here.
    num_examples : int
        N: rows below it are the dataset's examples.
    tagger : {"evidence", "reference"}
        What the examples are ordered by.
    k : int, optional
        Neighbours. Per run by the number of probes when not given.
    seed : int
        Of the splits and draws of chosen probes.
    protocol : str
        What was recorded and when, in words, for the report.
    class_names : sequence of str
        By label, for the report.
    on_progress : callable, optional
        Called with the share of the work that is done, 0…1.

    Raises
    ------
    InvalidInput
        Without runs, without loss curves, or without fit probes that were trained.
    """
    _check(runs, num_examples)
    prepared = prepare(runs, definition, num_examples, seed)
    categories = _present(definition, prepared)
    votes, ks, reports, untrained = [], [], [], []
    for number, run in enumerate(prepared):
        progress = _part(on_progress, number, len(prepared), run.num_rows)
        voters, of_rows = _tag_run(run, categories, k, progress)
        votes.append(of_rows[:num_examples])
        ks.append(voters.k)
        reports.append((run, of_rows[run.probes.row], voters.k))
        untrained.append(of_rows[run.untrained.row])
    trained = [run.trained for run in prepared]
    probabilities = mean_where_trained(votes, trained)
    suspicion = suspicion_of(probabilities, categories)
    for one in runs:
        # They may have been scored, and are in no list.
        suspicion[one.other_splits] = np.nan
    losses = [mean_loss(run.curves.take(slice(num_examples))) for run in prepared]
    loss = mean_where_trained(losses, trained)
    order = suspicious_order(suspicion, loss)
    of_runs: list[RunEvidence] = []
    gathered: Gathered | None = None
    wrong_labels = None
    if tagger == "evidence":
        of_runs = [RunEvidence.of(run) for run in prepared]
        gathered = gather(of_runs)
        strength = np.where(np.isnan(suspicion), np.nan, gathered.strength)
        order = suspicious_order(strength, loss)
        suspicion = suspicion_by_evidence(suspicion, order)
        wrong_labels = estimate(of_runs, definition, order, suspicion)
    warnings = list(dict.fromkeys(text for run in prepared for text in run.warnings))
    warnings += (
        few_neighbours(ks) + says_nothing(categories) + started_singly([run.displaced for run in runs])
    )
    displaced = _displaced(runs, prepared)
    tag = _tags(probabilities, order, suspicion, categories, wrong_labels)
    suggested = suggest_labels([run.curves for run in prepared], runs[0].labels, num_examples)
    report = evaluate(
        reports,
        categories,
        tagger=tagger,
        protocol=protocol,
        warnings=warnings,
        num_examples=_num_examples(suspicion, displaced),
        untrained=untrained,
    )
    outcome = Outcome(
        runs=prepared,
        votes=votes,
        of_probes=[of_run for _, of_run, _ in reports],
        ks=ks,
        categories=categories,
        tag=tag,
        suspicion=suspicion,
        suggested=suggested,
        displaced=displaced,
        confusion=report.overall.confusion,
        tagged=tags_of,
        class_names=class_names,
        setups=[(run.name, run.setup) for run in runs],
        seed=seed,
        of_runs=of_runs,
    )
    parts, doubts = report_parts(outcome)
    parts["evidence"] = [one.to_dict() for one in of_runs] or None
    parts["grounds"] = None if gathered is None else grounds_kept(gathered, of_runs, np.isfinite(suspicion))
    return TaggingResult(
        categories=categories,
        probabilities=probabilities,
        tag=tag,
        suspicion=suspicion,
        order=order,
        suggested_label=suggested,
        displaced=displaced,
        mean_loss=loss,
        probes=tuple(run.probes for run in prepared),
        report=replace(
            report,
            parts=parts | {"calibration": calibration_of(wrong_labels), "wrong_labels": wrong_labels},
            warnings=(*_told(wrong_labels, categories), *report.warnings, *doubts),
        ),
        consensus=consensus(votes, trained, tag, tags_of),
    )


def _tags(
    probabilities: Probabilities,
    order: Rows,
    suspicion: PerRow,
    categories: Sequence[Category],
    wrong_labels: Mapping[str, Any] | None,
) -> np.ndarray[Any, np.dtype[np.int16]]:
    """By the default threshold of P(wrong); without an estimate, as in the paper, by the most votes. Shape (N,)."""
    if wrong_labels is None:
        return tags_of(probabilities)
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    ranked = np.isfinite(suspicion)
    cut = cut_at(wrong_labels, wrong_labels["threshold"], int(ranked.sum()))
    return tags_at(cut, position, ranked, probabilities, categories)


def _told(wrong_labels: Mapping[str, Any] | None, categories: Sequence[Category]) -> list[str]:
    """The estimate's warning, where a category stands for wrong labels at all."""
    if wrong_labels is None or not any(category.wrong_label for category in categories):
        return []
    return [wrong_labels["warning"]] if wrong_labels["warning"] else []


def tags_of(probabilities: Probabilities) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Number of the most probable category, the first of equal ones; −1 without probabilities. Shape (N,)."""
    there = np.asarray(~np.isnan(probabilities).any(axis=1))
    best = np.where(there[:, None], probabilities, 0).argmax(axis=1)
    return np.where(there, best, NO_TAG).astype(np.int16)


def suspicion_of(probabilities: Probabilities, categories: Sequence[Category]) -> PerRow:
    """How likely the given label is wrong, for the ranking. Shape (N,); 0…1, 1 is bad.

    The probability of the categories whose label is wrong, and half of that of the categories to which the
    question does not apply (`ood`): a vote for them is a vote for "cannot tell".

    A foreign input with a random label and a wrong label have curves alike, so an example with a wrong label
    often gets half of its votes from each. It ends at 0.75, above one torn between noisy and right (0.5) and
    above one that is plainly foreign (0.5); hard but right examples, torn between foreign and right, at 0.25.
    Measured on digits, MNIST, Fashion-MNIST and CIFAR-10, the average precision was higher than with the votes
    for `ood` left out of the ratio, in every one (docs/method.md).
    """
    weights = np.array([{True: 1.0, None: 0.5, False: 0.0}[c.wrong_label] for c in categories])
    # Equal votes must be equal numbers, or rounding would decide the order instead of the mean loss.
    return np.asarray((probabilities @ weights).round(5), dtype=np.float32)


def suspicion_by_evidence(suspicion: PerRow, order: Rows) -> PerRow:
    """The votes' suspicion as a falling function of the place by evidence. Shape (N,); 0…1, 1 is bad.

    An order by evidence with the votes of each example beside it would contradict itself: single votes are noisy.
    """
    out = np.full(len(suspicion), np.nan, dtype=np.float32)
    ranked = order[np.isfinite(suspicion[order])]
    out[ranked] = np.clip(falling(suspicion[ranked]), 0, 1).round(5)
    return out


def suspicious_order(suspicion: AnyArray, loss: PerRow) -> Rows:
    """Examples by suspicion, worst first, then by mean loss, highest first, then by index; NaN last.

    Suspicion comes in steps of one vote, so that a whole screen of examples can share its highest value.
    """
    return np.lexsort((-loss, -suspicion))


def _tag_run(
    run: Prepared, categories: Sequence[Category], k: int | None, on_progress: Callable[[int], None] | None
) -> tuple[ReferenceTagger, Probabilities]:
    """Probabilities for all rows of a run; a fit probe gets those of the others' votes."""
    fit = run.probes.take(run.probes.role == "fit")
    names = tuple(category.name for category in categories)
    loss = run.curves["loss"]
    tagger = ReferenceTagger(min(k or usual_k(fit.category), len(fit)), names).fit(
        loss[fit.row], fit.category
    )
    votes = tagger.predict_proba(loss, on_progress)
    votes[fit.row] = tagger.predict_left_out()
    return tagger, votes


def _present(definition: SuiteDefinition, runs: Sequence[Prepared]) -> tuple[Category, ...]:
    """The suite's categories that have a fit probe in some run."""
    fitted = {name for run in runs for name in run.probes.category[run.probes.role == "fit"].tolist()}
    return tuple(category for category in definition.used_categories() if category.name in fitted)


def _displaced(runs: Sequence[RunCurves], prepared: Sequence[Prepared]) -> Mask:
    ever = np.zeros_like(prepared[0].trained)
    for run in runs:
        ever[run.displaced] = True
    return np.asarray(ever & ~np.logical_or.reduce([run.trained for run in prepared]))


def _num_examples(suspicion: PerRow, displaced: Mask) -> dict[str, int]:
    """How many examples have a suspicion, and why the others have none."""
    tagged = ~np.isnan(suspicion)
    return {
        "tagged": int(tagged.sum()),
        "without_suspicion": int((~tagged & displaced).sum()),
        "displaced": int(displaced.sum()),
        "not_trained": int((~tagged & ~displaced).sum()),
    }


def _part(
    on_progress: Callable[[float], None] | None, number: int, num_runs: int, num_rows: int
) -> Callable[[int], None] | None:
    if on_progress is None:
        return None
    return lambda done: on_progress((number + done / num_rows) / num_runs)


def _check(runs: Sequence[RunCurves], num_examples: int) -> None:
    if not runs:
        raise InvalidInput("A tagging needs at least one run.", field="run_ids")
    for run in runs:
        if "loss" not in run.curves:
            raise InvalidInput(
                f"Run {run.name} has no loss curves: record the channel loss.", field="run_ids"
            )
        if len(run.labels) != run.curves.num_rows or run.curves.num_rows < num_examples:
            raise InvalidInput(
                f"Run {run.name} has {run.curves.num_rows} rows and {len(run.labels)} labels for "
                f"{num_examples} examples: is it of another dataset version?",
                field="run_ids",
            )
