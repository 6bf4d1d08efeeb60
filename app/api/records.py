"""③ Records that were kept elsewhere: Parquet, CSV, Arrow, a NumPy matrix, training dynamics."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.api.problems import problems
from app.deps import Number, OnceDep, RecordProject, Server, ServerDep, SessionDep
from app.idempotency import Once
from app.recording import records
from app.recording.bodies import ARROW, in_a_file, media_type
from app.recording.handshake import handshake
from sondage.wire import LARGEST_EPOCH, RecordsStored
from store import datasets, examples, recording, whole_epochs
from store import tables as t
from store.engine import transaction

router = APIRouter(
    prefix="/runs/{run_id}", tags=["recording"], dependencies=[Depends(handshake)], responses=problems(426)
)
KINDS = (records.PARQUET, records.CSV, ARROW, records.NPY, records.JSON_LINES[0])
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in KINDS},
    }
}


@router.post("/records", openapi_extra=BODY, responses=problems(409, 413, 415, 507))
async def post_records(
    project: RecordProject,
    server: ServerDep,
    session: SessionDep,
    once: OnceDep,
    request: Request,
    run_id: Number,
    channel: Annotated[str | None, Query(max_length=63, description="Of a matrix: what it holds.")] = None,
    first_epoch: Annotated[
        int, Query(ge=0, le=LARGEST_EPOCH, description="Of a matrix: the number of its first column.")
    ] = 0,
) -> RecordsStored:
    """Whole epochs of a recorded run, all of a file or nothing. An epoch that has all channels of the run is closed.

    Tables (Parquet, CSV, Arrow) have a line per example and epoch: `key` or `row`, `epoch`, and channels. A `.npy`
    matrix has a row per row of the run and a column per epoch. JSON lines are the training dynamics that Dataset
    Cartography writes: `guid`, `logits_epoch_<n>`, `gold`. Up to 1 GiB at once, of the body and of the numbers in it.
    """
    kind = media_type(request)
    await run_in_threadpool(session.commit)  # or a slow client holds a transaction open for hours
    async with in_a_file(request, server.settings.data_dir, max_bytes=records.MAX_BYTES) as path:
        return await run_in_threadpool(
            _store, server, project, once, run_id, path, kind, channel, first_epoch
        )


def _store(
    server: Server,
    project: t.Project,
    once: Once,
    run_id: int,
    path: Path,
    kind: str,
    channel: str | None,
    first_epoch: int,
) -> RecordsStored:
    """In two transactions: the run is not held while the file is read."""
    with transaction(server.database.engine) as session:
        target = _target(session, project, run_id)
    found = records.read(path, kind, target, channel=channel, first_epoch=first_epoch)
    with transaction(server.database.engine) as session:

        def work() -> RecordsStored:
            run, announced = recording.held(session, project_id=project.id, run_id=run_id)
            closed = whole_epochs.write(
                session, run=run, recording=announced, channels=found.channels, epochs=found.epochs
            )
            return RecordsStored(
                num_records=found.num_records, epochs_written=sorted(found.epochs), epochs_closed=closed
            )

        asked = {"query": [kind, channel, first_epoch], "body": _digest(path) if once.key else ""}
        return replace(once, session=session).make(project, RecordsStored, asked, work)


def _target(session: Session, project: t.Project, run_id: int) -> records.Target:
    run, announced = recording.held(session, project_id=project.id, run_id=run_id, alone=False)
    dataset = datasets.get(session, project_id=project.id, dataset_id=run.dataset_id)
    keys = pa.array(examples.all_keys(session, dataset_id=dataset.id), pa.large_string())
    labels = examples.columns(session, dataset_id=dataset.id).labels
    return records.Target(run.num_rows, announced.channels, keys, labels, dataset.class_names)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
