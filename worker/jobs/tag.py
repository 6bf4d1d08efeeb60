"""⑤ The job `tag`: curves of some runs and a suite to tags, scores and a report, all in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from sondage.curves import NOT_SEEN, Curves
from sondage.probes.plan import NO_SOURCE, Probes
from sondage.probes.suite import SuiteDefinition
from sondage.scores.base import Score, mean_over_runs
from sondage.scores.registry import SCORES
from sondage.tagging.tag import RunCurves, TaggingResult, tag_runs
from sondage.types import AnyArray, PerRow, Rows
from store import curves, examples, jobs, runs, scores, suites, taggings, tags
from store.examples import ExampleColumns
from store.tables import Dataset, Run, Suite, Tagging
from store.tags import TagColumns
from worker.context import Work

REPORT_SECONDS = 0.5


@dataclass(frozen=True)
class _Subject:
    """What is to be tagged."""

    tagging: Tagging
    dataset: Dataset
    suite: Suite
    runs: Sequence[Run]
    columns: ExampleColumns

    @property
    def run_ids(self) -> list[int]:
        return [run.id for run in self.runs]

    @property
    def first_epochs(self) -> int | None:
        """How many closed epochs of each run are looked at; None for all."""
        found: int | None = self.tagging.parameters.get(taggings.EPOCHS)
        return found

    def epochs(self, session: Session, run: Run) -> list[int]:
        return curves.closed_epochs(session, run_id=run.id, first=self.first_epochs)


@dataclass(frozen=True)
class _Found:
    """What came out: tags and the report, and the plain scores as (method, bad end, values [N])."""

    result: TaggingResult
    scores: Sequence[tuple[str, str, PerRow]]


def tag(work: Work) -> None:
    """Read, tag, score, store. Done again after a crash, it replaces what it had written."""
    subject, inputs = work.patiently(lambda: _read(work))
    result = tag_runs(
        inputs,
        SuiteDefinition.from_dict(subject.suite.definition),
        subject.dataset.num_examples,
        tagger="reference" if subject.tagging.tagger == "reference" else "evidence",
        k=subject.tagging.parameters.get("k"),
        protocol=_in_words(subject.runs),
        class_names=subject.dataset.class_names,
        on_progress=_progress(work),
    )
    found = _Found(result, _scores(work, subject, inputs))
    work.patiently(lambda: _store(work, subject, found))


def _read(work: Work) -> tuple[_Subject, list[RunCurves]]:
    with work.transaction() as session:
        tagging = session.get_one(Tagging, work.tagging_id)
        run_ids = taggings.run_ids(session, tagging_ids=[tagging.id])[tagging.id]
        subject = _Subject(
            tagging,
            session.get_one(Dataset, tagging.dataset_id),
            session.get_one(Suite, tagging.suite_id),
            [runs.get(session, project_id=work.project_id, run_id=run_id) for run_id in run_ids],
            examples.columns(session, dataset_id=tagging.dataset_id),
        )
        inputs = [_read_run(session, subject, run) for run in subject.runs]
        session.expunge_all()
    return subject, inputs


def _store(work: Work, subject: _Subject, found: _Found) -> None:
    """All in one transaction. The job is held at the very end: an abort need not wait for the long inserts."""
    tagging, result = subject.tagging, found.result
    report = result.report.to_dict()
    with work.transaction() as session:
        # Two taggings of the same runs replace the same scores: one after the other.
        dataset = session.get_one(Dataset, subject.dataset.id, with_for_update={"key_share": True})
        tags.write(session, tagging_id=tagging.id, columns=_tag_columns(result, subject.columns))
        taggings.save_probes(session, tagging_id=tagging.id, probes=_probe_rows(subject.run_ids, result))
        for method, bad_end, values in found.scores:
            scores.save(
                session,
                dataset=dataset,
                method=method,
                bad_end=bad_end,
                run_ids=subject.run_ids,
                values=values,
                epochs=subject.first_epochs,
            )
        jobs.hold(session, job_id=work.job_id, attempt=work.attempt)
        taggings.save_report(
            session,
            tagging_id=tagging.id,
            categories=[category.name for category in result.categories],
            calibration=report["calibration"],
            report=report | {"early": _early(tagging)},
        )
        told = {"num_tags": len(subject.columns.train_rows)}
        jobs.finish(session, job_id=work.job_id, attempt=work.attempt, result=told)


def _read_run(session: Session, subject: _Subject, run: Run) -> RunCurves:
    """With the channels that a tagging reads. Those of scores alone come later, a run at a time: they are large."""
    num_examples = subject.dataset.num_examples
    planted = runs.probes(session, run_id=run.id)
    made = [probe for probe in planted if probe.row >= num_examples]
    if subject.suite.kind == "uploaded":
        known = suites.members(session, suite_id=subject.suite.id)
        probes = _probes([(member.index, member.category, member.role, member.index) for member in known])
    else:
        probes = _probes(
            [(probe.row, probe.category, probe.role, _source(probe.source_row)) for probe in planted]
        )
    epochs = subject.epochs(session, run)
    recorded = curves.channels(session, run_id=run.id, epochs=epochs)
    by_evidence = subject.tagging.tagger != "reference"
    return RunCurves(
        curves=_curves(session, run, _channels_of_tagging(recorded, by_evidence=by_evidence), epochs),
        labels=np.concatenate([subject.columns.labels, np.array([p.label for p in made], dtype=np.int64)]),
        probes=probes,
        displaced=np.array([p.source_row for p in made if p.source_row is not None], dtype=np.int64),
        name=run.name,
        looks=_looks(session, run, epochs) if by_evidence and "label_odds" in recorded else {},
        other_splits=np.setdiff1d(np.arange(num_examples), subject.columns.train_rows, assume_unique=True),
        setup={**run.recipe, **run.protocol},
    )


def _early(tagging: Tagging) -> dict[str, int | None] | None:
    """After how many epochs of how many, where not all were looked at."""
    if taggings.EPOCHS not in tagging.parameters:
        return None
    return {
        "epochs": tagging.parameters[taggings.EPOCHS],
        "of_epochs": tagging.parameters[taggings.OF_EPOCHS],
    }


def _looks(session: Session, run: Run, epochs: Sequence[int]) -> dict[int, AnyArray]:
    """By position among the epochs, the left-out log odds, shape (num_rows,)."""
    looked = curves.epochs_of_channel(session, run_id=run.id, channel="label_odds")
    within = [epoch for epoch in looked if epoch in epochs]
    found = curves.read_channel(
        session, run_id=run.id, channel="label_odds", num_rows=run.num_rows, epochs=within
    )
    return {epochs.index(epoch): found[:, number] for number, epoch in enumerate(within)}


def _source(source_row: int | None) -> int:
    return NO_SOURCE if source_row is None else source_row


def _channels_of_tagging(recorded: Sequence[str], *, by_evidence: bool) -> list[str]:
    """The loss, and what says whether a probe was learned: the predicted class, or else the margin.

    Evidence wants both.
    """
    learned = "predicted" if "predicted" in recorded else "margin"
    wanted = ("loss", "predicted", "margin") if by_evidence else ("loss", learned)
    return [channel for channel in recorded if channel in wanted]


def _curves(session: Session, run: Run, channels: Iterable[str], epochs: Sequence[int]) -> Curves:
    return Curves(
        {
            channel: curves.read_channel(
                session, run_id=run.id, channel=channel, num_rows=run.num_rows, epochs=epochs
            )
            for channel in channels
        }
    )


def _probes(rows: Sequence[tuple[int, str, str, int]]) -> Probes:
    row, category, role, source = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Probes(
        row=np.array(row, dtype=np.int64),
        category=np.array(category, dtype=np.str_),
        role=np.array(role, dtype=np.str_),
        source_row=np.array(source, dtype=np.int64),
    )


def _progress(work: Work) -> Any:
    told = 0.0

    def tell(share: float) -> None:
        nonlocal told
        if time.monotonic() - told >= REPORT_SECONDS:
            told = time.monotonic()
            work.if_possible(lambda: work.report(unit="share", done=share, total=1.0))

    return tell


def _scores(work: Work, subject: _Subject, inputs: list[RunCurves]) -> list[tuple[str, str, PerRow]]:
    """The plain scores that the channels of all runs allow. `inputs` is emptied run by run: they are large."""
    with work.transaction() as session:
        recorded = [
            curves.channels(session, run_id=run.id, epochs=subject.epochs(session, run))
            for run in subject.runs
        ]
    methods = [
        s for s in SCORES.values() if all(need in channels for need in s.needs for channels in recorded)
    ]
    of_runs = [_scores_of_run(work, subject, run, inputs.pop(0), methods) for run in subject.runs]
    return [
        (score.name, score.bad_end, mean_over_runs([of_run[score.name] for of_run in of_runs]))
        for score in methods
    ]


def _scores_of_run(
    work: Work, subject: _Subject, run: Run, known: RunCurves, methods: Sequence[Score]
) -> dict[str, PerRow]:
    """Per method; channels that are not there yet are read for one method and dropped."""
    found = {}
    for score in methods:
        there = {need: known.curves[need] for need in score.needs if need in known.curves}
        missing = [need for need in score.needs if need not in there]
        more = work.patiently(partial(_read_more, work, subject, run, missing))
        trained = _without(Curves(there | more), known.displaced, subject.dataset.num_examples)
        found[score.name] = score(trained)
    return found


def _read_more(work: Work, subject: _Subject, run: Run, channels: Sequence[str]) -> dict[str, AnyArray]:
    if not channels:
        return {}
    with work.transaction() as session:
        return dict(_curves(session, run, channels, subject.epochs(session, run)).channels)


def _without(of_run: Curves, displaced: Rows, num_examples: int) -> Curves:
    """The curves of the examples, blank where one was displaced. The run's own arrays: they are not used again.

    A displaced example may have been scored out of sample; such losses are no part of a mean of trained ones.
    """
    examples_only = of_run.take(slice(num_examples))
    for values in examples_only.channels.values():
        values[displaced] = np.nan if values.dtype.kind == "f" else NOT_SEEN
    return examples_only


def _tag_columns(result: TaggingResult, columns: ExampleColumns) -> TagColumns:
    """One row per example of the train split; the other splits get no tags."""
    train = columns.train_rows
    position = np.empty(len(columns.labels), dtype=np.int64)
    listed = result.order[np.isin(result.order, train, assume_unique=True)]
    position[listed] = np.arange(len(listed))
    return TagColumns(
        index=train,
        position=position[train],
        tag=result.tag[train],
        suspicion=result.suspicion[train],
        label=columns.labels[train].astype(np.int32),
        suggested_label=result.suggested_label[train].astype(np.int32),
        displaced=result.displaced[train],
        probabilities=result.probabilities[train],
        runs_trained=result.consensus.trained[train],
        runs_agreeing=result.consensus.agreeing[train],
    )


def _probe_rows(
    run_ids: Sequence[int], result: TaggingResult
) -> Iterator[tuple[int, int, str, str, int | None]]:
    for run_id, probes in zip(run_ids, result.probes, strict=True):
        for row, category, role, source in zip(
            probes.row.tolist(),
            probes.category.tolist(),
            probes.role.tolist(),
            probes.source_row.tolist(),
            strict=True,
        ):
            yield run_id, row, category, role, None if source == NO_SOURCE else source


def _in_words(of_runs: Sequence[Run]) -> str:
    """What was recorded and when; each different protocol once."""
    words = []
    for run in of_runs:
        what = f"{run.protocol.get('pass', 'training')} pass"
        details = [
            f"{name} {run.protocol[name]}" for name in ("augment", "dropout", "dtype") if name in run.protocol
        ]
        words.append(", ".join([what, *details]))
    return "; ".join(dict.fromkeys(words))
