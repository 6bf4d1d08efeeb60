"""① The job `register` of a dataset that is there, made of labels alone: its inputs, all of them, or nothing.

The dataset stays the version that it is: its examples, keys, labels and fingerprint do not change, and runs that were
recorded on it show their inputs from then on.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import pyarrow as pa
from pydantic import ValidationError

from sondage.errors import Conflict, InvalidInput
from sondage.wire import InputsAdd
from store import datasets, examples, jobs
from store.payloads import PayloadWriter
from worker.context import Work, undisturbed
from worker.data.sources.added import Added, Known, Matching, read_inputs
from worker.jobs.payloads import clean_up, drop_upload, mark_of, no_orphan, source_limits, source_path


def add_inputs(work: Work) -> None:
    """Read the source once, put it into the order of the examples, and give the dataset its payload.

    The payload is durable before the transaction and gets its name inside it, before the commit. The name is one that
    no other attempt can have, so that a folder that a killed one left is nobody's.
    """
    asked = _order(work)
    parent = work.data_dir / "datasets"
    mark = mark_of(work)
    clean_up(parent, mark)
    known = _known(work)
    work.report(unit="phase", phase="reading")
    with PayloadWriter(parent) as first, PayloadWriter(parent) as second:
        for writer in (first, second):
            writer.add_file(mark, b"")
        found = read_inputs(
            asked.source,
            known,
            Matching(asked.match, asked.labels, asked.skip_unknown),
            first,
            second,
            resolve=partial(source_path, work),
            limits=source_limits(work),
        )
        work.report(unit="phase", phase="storing")
        _store(work, asked, found)
    drop_upload(work, asked.source)


def _order(work: Work) -> InputsAdd:
    try:
        return InputsAdd.model_validate({"source": work.arguments["source"], **work.arguments["inputs"]})
    except (KeyError, TypeError, ValidationError) as fault:
        raise InvalidInput(f"The job's source cannot be understood: {fault}") from fault


def _known(work: Work) -> Known:
    with work.transaction() as session:
        dataset = datasets.get(session, project_id=work.project_id, dataset_id=work.dataset_id or 0)
        return Known(
            keys=pa.array(examples.all_keys(session, dataset_id=dataset.id), pa.large_string()),
            labels=examples.columns(session, dataset_id=dataset.id).labels,
            class_names=list(dataset.class_names),
        )


def _store(work: Work, asked: InputsAdd, found: Added) -> None:
    """The dataset is held first: of two that add inputs at once, the second one sees those of the first."""
    with ExitStack() as until_committed, work.transaction() as session:
        dataset = datasets.hold(session, project_id=work.project_id, dataset_id=work.dataset_id or 0)
        is_new = dataset.modality == "none"
        if not is_new and datasets.inputs_fingerprint(dataset) != found.fingerprint:
            raise Conflict(
                f"Dataset {dataset.id} ({dataset.name}) has inputs, and these are others. The inputs of a version "
                "never change: register these as a dataset of their own."
            )
        until_committed.enter_context(undisturbed())
        jobs.hold(session, job_id=work.job_id, attempt=work.attempt)
        if is_new:
            # The folder's name has random digits: that of the hidden folder it was written in.
            payload = f"datasets/{dataset.id}-{found.writer.folder.name.rpartition('-')[2]}"
            until_committed.enter_context(no_orphan(work, dataset.id, payload))
            found.writer.publish(work.data_dir / payload)
            datasets.add_inputs(
                session,
                dataset=dataset,
                modality=found.modality,
                payload=payload,
                provenance=_provenance(asked, found),
            )
        outcome = {"dataset_id": dataset.id, "is_new": is_new, "num_unknown": found.num_unknown}
        jobs.finish(session, job_id=work.job_id, attempt=work.attempt, result=outcome)


def _provenance(asked: InputsAdd, found: Added) -> dict[str, object]:
    return {
        **asked.source.model_dump(exclude_none=True, exclude_defaults=True),
        "kind": asked.source.kind,
        **found.notes,
        "match": asked.match,
        "labels": asked.labels,
        "num_unknown": found.num_unknown,
        "fingerprint": found.fingerprint,
    }
