"""① The job `register`: a source to a dataset version with its payload; all of it, or nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from pydantic import ValidationError

from sondage.errors import InvalidInput, Unavailable
from sondage.wire import Source
from store import datasets, jobs
from store.payloads import PayloadWriter, remove_leftovers, remove_payload
from worker.context import Work
from worker.data.sources import Registration, SourceLimits, read_source, resolve_source_path

UPLOAD = "upload:"


def register(work: Work) -> None:
    """Read the source once, then insert the dataset and give its payload its place in one transaction.

    The payload is renamed inside the transaction, before its commit: a dataset that is there has its payload. Should
    the commit fail, the folder is an orphan whose number is never used again; it is removed, by the next attempt when
    this one is killed.
    """
    name, source = _order(work)
    parent = work.data_dir / "datasets"
    mark = _mark_of(work)
    _clean_up(parent, mark)
    work.report(unit="phase", phase="reading")
    with PayloadWriter(parent) as writer:
        writer.add_file(mark, b"")
        found = read_source(
            source,
            writer,
            resolve=lambda path: resolve_source_path(
                path, roots=work.settings.source_roots, uploads=work.data_dir / "uploads"
            ),
            limits=SourceLimits(max_file_bytes=work.settings.max_source_bytes),
        )
        work.report(unit="phase", phase="storing")
        _store(work, name, found, writer)
    _drop_upload(work, source)


def _mark_of(work: Work) -> str:
    """Name of a file that says whose work a payload is, in this database or another on the same folder."""
    with work.transaction() as session:
        job = jobs.hold(session, job_id=work.job_id, attempt=work.attempt)
        return f"job-{job.id}-{job.created_at.timestamp():.6f}"


def _clean_up(parent: Path, mark: str) -> None:
    """Remove what earlier attempts left when they were killed: half a payload, or a whole one without its rows."""
    remove_leftovers(parent)
    for of_ours in parent.glob(f"*/{mark}"):
        remove_payload(of_ours.parent)


def _order(work: Work) -> tuple[str, Source]:
    try:
        return str(work.arguments["name"]), Source.model_validate(work.arguments["source"])
    except (KeyError, ValidationError) as fault:
        raise InvalidInput(f"The job's source cannot be understood: {fault}") from fault


def _store(work: Work, name: str, found: Registration, writer: PayloadWriter) -> None:
    published = None
    new = datasets.NewDataset(
        name=name,
        fingerprint=found.fingerprint,
        modality=found.modality,
        class_names=found.class_names,
        keys=found.keys,
        labels=found.labels,
        splits=found.splits,
        source=found.provenance,
    )
    try:
        with work.transaction() as session:
            job = jobs.hold(session, job_id=work.job_id, attempt=work.attempt)
            dataset, is_new = datasets.add(session, project_id=work.project_id, new=new)
            if is_new:
                published = work.data_dir / dataset.payload
                writer.publish(published)
            job.dataset_id = dataset.id
            outcome = {"dataset_id": dataset.id, "is_new": is_new, "num_skipped": found.num_skipped}
            jobs.finish(session, job_id=work.job_id, attempt=work.attempt, result=outcome)
    except Unavailable:
        # The commit may have been kept. If not, this job's next attempt clears the payload away.
        raise
    except BaseException:
        if published is not None:
            remove_payload(published)
        raise


def _drop_upload(work: Work, source: Source) -> None:
    """The file has become a payload; it is not kept twice."""
    if source.path is not None and source.path.startswith(UPLOAD):
        shutil.rmtree(work.data_dir / "uploads" / source.path.removeprefix(UPLOAD), ignore_errors=True)
