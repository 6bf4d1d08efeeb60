"""⑤ The job `tag`: curves of some runs and a suite to tags, scores and a report, all in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from sondage.curves import NOT_SEEN, Curves
from sondage.probes.plan import Probes
from sondage.probes.suite import SuiteDefinition
from sondage.scores.registry import available, score_runs
from sondage.tagging.tag import RunCurves, TaggingResult, tag_runs
from store import curves, examples, jobs, runs, scores, suites, taggings, tags
from store.tables import Dataset, Run, Suite, Tagging
from worker.context import Work

REPORT_SECONDS = 0.5
CALIBRATION = "none"
"""The reference tagger ranks; its shares of votes are no probabilities of an error."""


def tag(work: Work) -> None:
    """Read, tag, score, store. Done again after a crash, it replaces what it had written."""
    with work.transaction() as session:
        tagging = session.get_one(Tagging, work.tagging_id)
        dataset = session.get_one(Dataset, tagging.dataset_id)
        suite = session.get_one(Suite, tagging.suite_id)
        run_ids = taggings.run_ids(session, tagging_ids=[tagging.id])[tagging.id]
        inputs = [_read_run(session, work, dataset, suite, run_id) for run_id in run_ids]
        columns = examples.columns(session, dataset_id=dataset.id)
        protocol = _in_words([session.get_one(Run, run_id) for run_id in run_ids])
        session.expunge_all()
    result = tag_runs(
        inputs,
        SuiteDefinition.from_dict(suite.definition),
        dataset.num_examples,
        k=tagging.parameters.get("k"),
        protocol=protocol,
        on_progress=_progress(work),
    )
    found = _scores(inputs, dataset.num_examples)
    del inputs
    with work.transaction() as session:
        jobs.hold(session, job_id=work.job_id, attempt=work.attempt)
        # Two taggings of the same runs replace the same scores: one after the other.
        session.get_one(Dataset, dataset.id, with_for_update={"key_share": True})
        tags.write(session, tagging_id=tagging.id, rows=_tag_rows(result, columns))
        taggings.save_probes(session, tagging_id=tagging.id, probes=_probe_rows(run_ids, result))
        taggings.save_report(
            session,
            tagging_id=tagging.id,
            categories=[category.name for category in result.categories],
            calibration=CALIBRATION,
            report=result.report.to_dict(),
        )
        for method, bad_end, values in found:
            scores.save(
                session, dataset=dataset, method=method, bad_end=bad_end, run_ids=run_ids, values=values
            )
        jobs.finish(
            session,
            job_id=work.job_id,
            attempt=work.attempt,
            result={"num_tags": len(columns.train_rows)},
        )


def _read_run(session: Session, work: Work, dataset: Dataset, suite: Suite, run_id: int) -> RunCurves:
    run = runs.get(session, project_id=work.project_id, run_id=run_id)
    planted = runs.probes(session, run_id=run_id)
    made = [probe for probe in planted if probe.row >= dataset.num_examples]
    labels = examples.columns(session, dataset_id=dataset.id).labels
    recorded = {
        channel: curves.read_channel(session, run_id=run_id, channel=channel, num_rows=run.num_rows)
        for channel in curves.channels(session, run_id=run_id)
    }
    if suite.kind == "uploaded":
        known = suites.members(session, suite_id=suite.id)
        probes = _probes([(member.index, member.category, member.role, member.index) for member in known])
    else:
        probes = _probes([(probe.row, probe.category, probe.role, probe.source_row) for probe in planted])
    return RunCurves(
        curves=Curves(recorded),
        labels=np.concatenate([labels, np.array([probe.label for probe in made], dtype=np.int64)]),
        probes=probes,
        displaced=np.array([probe.source_row for probe in made], dtype=np.int64),
        name=run.name,
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
            work.report(unit="share", done=share, total=1.0)

    return tell


def _scores(of_runs: Sequence[RunCurves], num_examples: int) -> list[tuple[str, str, np.ndarray[Any, Any]]]:
    """The plain scores that the channels allow: (method, bad end, values [N]), of trained examples alone.

    A displaced example may have been scored out of sample; such losses are no part of a mean of trained ones.
    """
    trained = [_without(run, num_examples) for run in of_runs]
    return [(score.name, score.bad_end, score_runs(score.name, trained)) for score in available(trained)]


def _without(run: RunCurves, num_examples: int) -> Curves:
    """The curves of the examples, blank where one was displaced. The run's own arrays: they are not used again."""
    examples_only = run.curves.take(slice(num_examples))
    for values in examples_only.channels.values():
        values[run.displaced] = np.nan if values.dtype.kind == "f" else NOT_SEEN
    return examples_only


def _tag_rows(result: TaggingResult, columns: examples.ExampleColumns) -> Iterator[tuple[Any, ...]]:
    """One row per example of the train split; the other splits have no curves and get no tags."""
    train = columns.train_rows
    position = np.empty(len(columns.labels), dtype=np.int64)
    listed = result.order[np.isin(result.order, train, assume_unique=True)]
    position[listed] = np.arange(len(listed))
    for index in train.tolist():
        suspicion = float(result.suspicion[index])
        suggested = int(result.suggested_label[index])
        unseen = np.isnan(suspicion)
        yield (
            index,
            int(position[index]),
            int(result.tag[index]),
            None if unseen else suspicion,
            int(columns.labels[index]),
            None if suggested < 0 else suggested,
            bool(result.displaced[index]),
            None if unseen else result.probabilities[index].tolist(),
        )


def _probe_rows(run_ids: Sequence[int], result: TaggingResult) -> Iterator[tuple[int, int, str, str, int]]:
    for run_id, probes in zip(run_ids, result.probes, strict=True):
        for row, category, role, source in zip(
            probes.row.tolist(),
            probes.category.tolist(),
            probes.role.tolist(),
            probes.source_row.tolist(),
            strict=True,
        ):
            yield run_id, row, category, role, source


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
