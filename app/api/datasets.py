"""⑥ Datasets: registering, listing, deleting."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from app.api.deletion import DeletionDep
from app.api.problems import DELETE, LIST, MAKE, binary
from app.api.sources import check_source
from app.api.urls import job_url
from app.deps import (
    AdminProject,
    NamedProject,
    Number,
    OnceDep,
    PagingDep,
    ReadProject,
    RecordingProject,
    RecordProject,
    Server,
    ServerDep,
    SessionDep,
)
from sondage.errors import Conflict
from sondage.wire import Dataset, DatasetCreate, Deleted, InputsAdd, Job, KeysDigest, Page
from store import datasets, examples, jobs
from store.engine import transaction

router = APIRouter(prefix="/datasets", tags=["datasets"])
KEYS_AT_ONCE = 65_536
KEYS = binary("text/plain", "The keys as UTF-8, each with a line's end behind it.")


@router.get("", responses=LIST)
def list_datasets(
    project: NamedProject,
    session: SessionDep,
    paging: PagingDep,
    name: Annotated[str | None, Query(max_length=200)] = None,
) -> Page[Dataset]:
    """All versions, newest first. A key of the scope `record` alone may ask by `name`."""
    found, place = datasets.listed(
        session, project_id=project.id, name=name, below=paging.place, limit=paging.limit
    )
    return paging.page([Dataset.model_validate(dataset) for dataset in found], place)


@router.post("", status_code=202, responses=MAKE)
def register_dataset(
    body: DatasetCreate,
    project: RecordProject,
    session: SessionDep,
    server: ServerDep,
    once: OnceDep,
    response: Response,
) -> Job:
    """Read a source into a new dataset version. `result.dataset_id` of the job names it when the job has succeeded."""

    def make() -> Job:
        check_source(body.source, server.settings)
        arguments = body.model_dump(mode="json")
        return Job.model_validate(
            jobs.create(session, project_id=project.id, kind="register", arguments=arguments)
        )

    job = once.make(project, Job, body, make)
    response.headers["Location"] = job_url(project, job.id)
    return job


@router.get("/{dataset_id}")
def get_dataset(project: ReadProject, session: SessionDep, dataset_id: Number) -> Dataset:
    """One immutable version."""
    return Dataset.model_validate(datasets.get(session, project_id=project.id, dataset_id=dataset_id))


@router.get("/{dataset_id}/keys", response_class=Response, responses=KEYS)
def get_keys(project: ReadProject, session: SessionDep, server: ServerDep, dataset_id: Number) -> Response:
    """All keys, in order of the index, one per line: what a program needs to find its own examples again.

    `X-Num-Rows` says how many there are; an answer with fewer lines broke off.
    """
    dataset = datasets.get(session, project_id=project.id, dataset_id=dataset_id)
    headers = {"X-Num-Rows": str(dataset.num_examples)}
    lines = _key_lines(server, dataset.id, dataset.num_examples)
    return StreamingResponse(lines, headers=headers, media_type="text/plain; charset=utf-8")


@router.get("/{dataset_id}/keys/digest")
def get_keys_digest(project: RecordingProject, session: SessionDep, dataset_id: Number) -> KeysDigest:
    """Are these my keys, in this order? For a recorder, which may compare what it has and see nothing else."""
    dataset = datasets.get(session, project_id=project.id, dataset_id=dataset_id)
    digest = hashlib.sha256()
    for start in range(0, dataset.num_examples, KEYS_AT_ONCE):
        stop = start + KEYS_AT_ONCE
        digest.update(examples.key_lines(session, dataset_id=dataset.id, start=start, stop=stop))
    return KeysDigest(num_keys=dataset.num_examples, sha256=digest.hexdigest())


def _key_lines(server: Server, dataset_id: int, num_examples: int) -> Iterator[bytes]:
    """Each piece in a transaction of its own: one who reads slowly holds no connection. A version does not change."""
    for start in range(0, num_examples, KEYS_AT_ONCE):
        with transaction(server.database.engine) as session:
            piece = examples.key_lines(session, dataset_id=dataset_id, start=start, stop=start + KEYS_AT_ONCE)
        yield piece


@router.post("/{dataset_id}/inputs", status_code=202, responses=MAKE)
def add_inputs(
    body: InputsAdd,
    project: RecordProject,
    session: SessionDep,
    server: ServerDep,
    once: OnceDep,
    response: Response,
    dataset_id: Number,
) -> Job:
    """Read the inputs of a dataset that was made of keys and labels alone. The version stays what it is.

    All examples get theirs, or none does. The same inputs once more are nothing new (`result.is_new`), others fail.
    """
    dataset = datasets.get(session, project_id=project.id, dataset_id=dataset_id)

    def make() -> Job:
        check_source(body.source, server.settings)
        if dataset.modality != "none" and datasets.INPUTS not in dataset.source:
            raise Conflict(
                f"Dataset {dataset.id} ({dataset.name}) was registered with its inputs; those of a version never "
                "change. Register these as a dataset of their own."
            )
        body_of_job = body.model_dump(mode="json")
        arguments = {"source": body_of_job.pop("source"), "inputs": body_of_job}
        job = jobs.create(
            session, project_id=project.id, kind="register", arguments=arguments, dataset_id=dataset.id
        )
        return Job.model_validate(job)

    job = once.make(project, Job, body, make)
    response.headers["Location"] = job_url(project, job.id)
    return job


@router.delete("/{dataset_id}", responses=DELETE)
def delete_dataset(
    project: AdminProject, session: SessionDep, dataset_id: Number, deletion: DeletionDep
) -> Deleted:
    """Name what depends on it (409), or with `cascade` delete all."""
    datasets.get(session, project_id=project.id, dataset_id=dataset_id)
    return deletion.delete(project, "dataset", dataset_id)
