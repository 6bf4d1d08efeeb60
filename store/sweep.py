"""Sweeping the data folder: what no row of the database names any more is removed, once it has lain still for long.

Folders outlive their rows when a process is killed between a commit and the removal, when a disk refuses it, or when
nobody comes back for an upload.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Engine, Select, select, text
from sqlalchemy.orm import Session

from store import datasets
from store.engine import transaction
from store.payloads import remove_leftovers, remove_payload
from store.tables import OPEN_JOB_STATES, Dataset, Job, Run

FOLDERS = ("uploads", "datasets", "runs", "cache")
A_DAY_SECONDS = 86_400.0
UPLOAD = "upload:"
NUMBER, HEX_32, HEX_64 = re.compile(r"[1-9][0-9]*"), re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{64}")
ADDED = re.compile(r"[1-9][0-9]*-[0-9a-f]{16}")
"""Inputs that were added later to the dataset of this number."""
LAST_NUMBER = text("SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:table, 'id') AS regclass))")

logger = logging.getLogger("store")


def sweep(engine: Engine, data_dir: Path, *, upload_days: float = 7.0) -> list[Path]:
    """Remove half-written folders, orphans of datasets and runs, and cached arrays, untouched for a day; old uploads.

    Parameters
    ----------
    upload_days
        How long an upload is kept that no open job is to read.

    Returns
    -------
    The orphans and uploads that are gone.

    Raises
    ------
    Unavailable
        As `store.engine.transaction`; nothing but what was half written is gone then.
    """
    for name in FOLDERS:
        remove_leftovers(data_dir / name)
    # First what is there, then what is known: a folder that is made meanwhile is not looked at.
    uploads = _still(data_dir / "uploads", HEX_32, upload_days * A_DAY_SECONDS)
    caches = _still(data_dir / "cache", HEX_64, A_DAY_SECONDS)
    numbered = {name: _still(data_dir / name, NUMBER, A_DAY_SECONDS) for name in ("datasets", "runs")}
    added = _still(data_dir / "datasets", ADDED, A_DAY_SECONDS)
    with transaction(engine) as session:
        wanted = uploads_to_read(session)
        orphans = [folder for folder in uploads if folder.name not in wanted]
        fingerprints = datasets.all_inputs(session)
        orphans += [folder for folder in caches if folder.name not in fingerprints]
        if _belongs_together(session, data_dir):
            orphans += _without_row(session, "datasets", select(Dataset.id), numbered["datasets"])
            orphans += _without_row(session, "runs", select(Run.id), numbered["runs"])
            orphans += _without_dataset(session, added)
    return remove_all(orphans)


def uploads_to_read(session: Session) -> set[str]:
    """Names of the uploads that open jobs are made of."""
    path = Job.arguments["source"]["path"].astext
    found = session.scalars(select(path).where(Job.state.in_(OPEN_JOB_STATES), path.startswith(UPLOAD)))
    return {name for name in (path.removeprefix(UPLOAD) for path in found) if HEX_32.fullmatch(name)}


def remove_all(folders: Iterable[Path]) -> list[Path]:
    """Remove each by itself: one that cannot be removed keeps no other. Returns those that are gone."""
    removed = []
    for folder in folders:
        try:
            remove_payload(folder)
        except OSError as fault:
            logger.warning("%s was not removed: %s", folder, fault)
        else:
            removed.append(folder)
    return removed


def _still(parent: Path, names: re.Pattern[str], seconds: float) -> list[Path]:
    """Folders of such names that nobody has touched for so long."""
    limit = time.time() - seconds
    found = [path for path in parent.glob("*") if names.fullmatch(path.name)]
    return [path for path in sorted(found) if path.is_dir() and _last_change(path) < limit]


def _last_change(folder: Path) -> float:
    try:
        return max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:  # just being removed, or not ours to read
        return time.time()


def _belongs_together(session: Session, data_dir: Path) -> bool:
    """Is this the database's own data folder? One that holds none of its payloads is taken for another's."""
    payloads = list(session.scalars(select(Dataset.payload).where(Dataset.payload != "")))
    if not payloads or any((data_dir / payload).is_dir() for payload in payloads):
        return True
    logger.warning("%s holds no payload of this database: nothing in it is swept", data_dir)
    return False


def _without_dataset(session: Session, folders: list[Path]) -> list[Path]:
    """Folders of inputs that were to be added to a dataset, and were not: their names are never used again."""
    known = {Path(payload).name for payload in session.scalars(select(Dataset.payload))}
    last = session.scalar(LAST_NUMBER, {"table": "datasets"}) or 0
    return [
        folder
        for folder in folders
        if folder.name not in known and int(folder.name.partition("-")[0]) <= last
    ]


def _without_row(session: Session, table: str, known: Select[int], folders: list[Path]) -> list[Path]:
    """Folders whose number this database has once given out, and whose row is gone or was never committed.

    A number beyond that is of another database, such as a later one whose backup was restored.
    """
    numbers = set(session.scalars(known))
    last = session.scalar(LAST_NUMBER, {"table": table}) or 0
    return [folder for folder in folders if int(folder.name) not in numbers and int(folder.name) <= last]
