"""① What jobs that read a source into a payload share: where it may be read from, whose folders are whose, clearing up.

The payload is durable before the transaction that stores its dataset, and gets its place inside it, before the commit.
Every folder holds a mark that says whose work it is, so that the next attempt of a killed job knows what to remove.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sondage.errors import Unavailable
from sondage.wire import Source
from store import jobs
from store.payloads import remove_leftovers, remove_payload
from store.tables import Dataset
from worker.context import Work
from worker.data.sources import SourceLimits, resolve_source_path

UPLOAD = "upload:"


def source_path(work: Work, path: str) -> Path:
    """Where a source lies: an upload, or below one of the roots that the worker's settings name.

    Raises
    ------
    Forbidden, InvalidInput, NotFound
        As `resolve_source_path`.
    """
    return resolve_source_path(path, roots=work.settings.source_roots, uploads=work.data_dir / "uploads")


def source_limits(work: Work) -> SourceLimits:
    """What is read at most, as the worker's settings say."""
    return SourceLimits(max_file_bytes=work.settings.max_source_bytes)


def mark_of(work: Work) -> str:
    """Name of a file that says whose work a payload is, in this database or another on the same folder."""
    with work.transaction() as session:
        job = jobs.hold(session, job_id=work.job_id, attempt=work.attempt)
        return f"job-{job.id}-{job.created_at.timestamp():.6f}"


def clean_up(parent: Path, mark: str) -> None:
    """Remove what earlier attempts left when they were killed: half a payload, or a whole one without its rows."""
    remove_leftovers(parent)
    for of_ours in parent.glob(f"*/{mark}"):
        remove_payload(of_ours.parent)


@contextmanager
def no_orphan(work: Work, dataset_id: int, payload: str) -> Iterator[None]:
    """Remove the payload when its dataset did not keep it, which only the database can tell.

    A database that is away cannot: then the next attempt clears up, if there is one, since a kept commit settled the
    job.

    Parameters
    ----------
    payload : str
        Its folder, relative to the data folder, as the dataset names it.
    """
    try:
        yield
    except Unavailable:
        raise
    except BaseException:
        with work.transaction() as session:
            there = session.get(Dataset, dataset_id)
            kept = there is not None and there.payload == payload
        if not kept:
            remove_payload(work.data_dir / payload)
        raise


def drop_upload(work: Work, source: Source) -> None:
    """The file has become a payload; it is not kept twice."""
    if source.path is not None and source.path.startswith(UPLOAD):
        shutil.rmtree(work.data_dir / "uploads" / source.path.removeprefix(UPLOAD), ignore_errors=True)
