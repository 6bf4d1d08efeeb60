"""⑥ Jobs: the state of long work, and its end before its time."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from app.api.problems import LIST
from app.deps import Number, PagingDep, ReadProject, RecordProject, SessionDep
from sondage.wire import Job, JobState, Page
from store import jobs

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.get("", responses=LIST)
def list_jobs(
    project: ReadProject,
    session: SessionDep,
    paging: PagingDep,
    state: Annotated[JobState | None, Query()] = None,
    kind: Annotated[Literal["register", "train", "tag"] | None, Query()] = None,
) -> Page[Job]:
    """Newest first."""
    found, place = jobs.listed(
        session, project_id=project.id, state=state, kind=kind, below=paging.place, limit=paging.limit
    )
    return paging.page([Job.model_validate(job) for job in found], place)


@router.get("/{job_id}")
def get_job(project: ReadProject, session: SessionDep, job_id: Number) -> Job:
    """Its state, how far it is, and in the end its result or its error."""
    return Job.model_validate(jobs.get(session, project_id=project.id, job_id=job_id))


@router.post("/{job_id}/abort")
def abort_job(project: RecordProject, session: SessionDep, job_id: Number) -> Job:
    """A queued job ends at once, a running one within seconds; one that has ended stays as it is."""
    return Job.model_validate(jobs.request_abort(session, project_id=project.id, job_id=job_id))
