"""⑥ Datasets: registering, listing, deleting."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api.deletion import DeletionDep
from app.api.problems import DELETE, LIST, MAKE
from app.api.sources import check_source
from app.api.urls import job_url
from app.deps import (
    AdminProject,
    Number,
    OnceDep,
    PagingDep,
    ReadProject,
    RecordProject,
    ServerDep,
    SessionDep,
)
from sondage.wire import Dataset, DatasetCreate, Deleted, Job, Page
from store import datasets, jobs

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.get("", responses=LIST)
def list_datasets(
    project: ReadProject,
    session: SessionDep,
    paging: PagingDep,
    name: Annotated[str | None, Query(max_length=200)] = None,
) -> Page[Dataset]:
    """All versions, newest first."""
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


@router.delete("/{dataset_id}", responses=DELETE)
def delete_dataset(
    project: AdminProject, session: SessionDep, dataset_id: Number, deletion: DeletionDep
) -> Deleted:
    """Name what depends on it (409), or with `cascade` delete all."""
    datasets.get(session, project_id=project.id, dataset_id=dataset_id)
    return deletion.delete(project, "dataset", dataset_id)
