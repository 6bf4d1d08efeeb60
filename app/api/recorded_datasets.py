"""① Datasets without inputs: keys, labels and class names of examples that never leave the user's machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.problems import problems
from app.api.urls import of_project
from app.deps import OnceDep, RecordProject, Server, ServerDep, SessionDep
from app.errors import UnsupportedMedia
from app.idempotency import Once
from app.recording.bodies import ARROW, in_a_file, media_type
from app.recording.datasets import read_dataset
from app.recording.handshake import handshake
from sondage.wire import Dataset, Name
from store import datasets
from store import tables as t
from store.engine import transaction

router = APIRouter(
    prefix="/datasets", tags=["recording"], dependencies=[Depends(handshake)], responses=problems(426)
)
BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {ARROW: {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post(
    "/recorded",
    status_code=201,
    openapi_extra=BODY,
    responses=problems(409, 413, 415, 507)
    | {200: {"model": Dataset, "description": "It was there already."}},
)
async def make_recorded_dataset(
    project: RecordProject,
    server: ServerDep,
    session: SessionDep,
    once: OnceDep,
    request: Request,
    response: Response,
    name: Annotated[Name, Query()],
) -> Dataset:
    """A dataset version of an Arrow IPC stream with the column `label`, and `key` and `split` where there are any.

    `class_names` stand in the schema's metadata, as JSON. The same content under the same name is the same version.
    """
    if media_type(request) != ARROW:
        raise UnsupportedMedia(f"Send an Arrow IPC stream as {ARROW}.", field="content-type")
    await run_in_threadpool(session.commit)  # or a slow client holds a transaction open for hours
    limit = server.settings.max_upload_bytes
    async with in_a_file(request, server.settings.data_dir, max_bytes=limit) as path:
        made, is_new = await run_in_threadpool(_make, server, project, once, name, path)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = of_project(project, "datasets", made.id)
    return made


def _make(server: Server, project: t.Project, once: Once, name: str, path: Path) -> tuple[Dataset, bool]:
    new = read_dataset(path, name=name)
    is_new = False
    with transaction(server.database.engine) as session:

        def make() -> Dataset:
            nonlocal is_new
            dataset, is_new = datasets.add(session, project_id=project.id, new=new)
            session.refresh(dataset)
            return Dataset.model_validate(dataset)

        asked = {"name": name, "fingerprint": new.fingerprint}
        return replace(once, session=session).make(project, Dataset, asked, make), is_new
