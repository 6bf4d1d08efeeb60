"""① The job `register`: a source to a dataset version with its payload; all of it, or nothing.

Where the examples are to be probes, to a suite as well (`worker/jobs/own_examples.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from pydantic import ValidationError

from sondage.errors import InvalidInput
from sondage.wire import Source
from store import datasets, jobs
from store.payloads import PayloadWriter
from worker.context import Work, undisturbed
from worker.data.sources import Registration, read_source
from worker.jobs.own_examples import Order
from worker.jobs.payloads import clean_up, drop_upload, mark_of, no_orphan, source_limits, source_path


def register(work: Work) -> None:
    """Read the source once, then insert the dataset and give its payload its place in one transaction.

    The payload is durable before the transaction and renamed inside it, before the commit: a dataset that is there has
    its payload. Should the commit fail, the folder is an orphan whose number is never used again; it is removed, by
    the next attempt when this one is killed.
    """
    name, source, suite = _order(work)
    parent = work.data_dir / "datasets"
    mark = mark_of(work)
    clean_up(parent, mark)
    work.report(unit="phase", phase="reading")
    with PayloadWriter(parent) as writer:
        writer.add_file(mark, b"")
        found = read_source(
            source,
            writer,
            resolve=partial(source_path, work),
            limits=source_limits(work),
            probes=None if suite is None else suite.probe_source(),
        )
        work.report(unit="phase", phase="storing")
        writer.finish()
        notes = [] if suite is None else suite.look(work, found, writer.folder)
        _store(work, name, found, writer, suite, notes)
    drop_upload(work, source)


def _order(work: Work) -> tuple[str, Source, Order | None]:
    try:
        name, source = str(work.arguments["name"]), Source.model_validate(work.arguments["source"])
    except (KeyError, ValidationError) as fault:
        raise InvalidInput(f"The job's source cannot be understood: {fault}") from fault
    suite = work.arguments.get("suite")
    return name, source, None if suite is None else Order.of(work, suite)


def new_dataset(name: str, found: Registration) -> datasets.NewDataset:
    """What reading a source gave, as the store takes it."""
    return datasets.NewDataset(
        name=name,
        fingerprint=found.fingerprint,
        modality=found.modality,
        class_names=found.class_names,
        keys=found.keys,
        labels=found.labels,
        splits=found.splits,
        source=found.provenance,
    )


def _store(
    work: Work,
    name: str,
    found: Registration,
    writer: PayloadWriter,
    suite: Order | None,
    notes: Sequence[str],
) -> None:
    """The job is held at the very end: an abort and other readers of the job need not wait for the long inserts."""
    new = new_dataset(name, found)
    with ExitStack() as until_committed, work.transaction() as session:
        dataset, is_new = datasets.add(session, project_id=work.project_id, new=new)
        made = {} if suite is None else {"suite_id": suite.add_suite(session, dataset, found, notes).id}
        until_committed.enter_context(undisturbed())
        job = jobs.hold(session, job_id=work.job_id, attempt=work.attempt)
        if is_new:
            until_committed.enter_context(no_orphan(work, dataset.id, dataset.payload))
            writer.publish(work.data_dir / dataset.payload)
        job.dataset_id = dataset.id
        outcome = {"dataset_id": dataset.id, "is_new": is_new, "num_skipped": found.num_skipped, **made}
        jobs.finish(session, job_id=work.job_id, attempt=work.attempt, result=outcome)
