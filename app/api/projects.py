"""⑥ Projects: what a key opens."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.problems import LIST, problems
from app.deps import Administrator, PagingDep, Reader, SessionDep
from sondage.errors import Forbidden
from sondage.wire import Page, Project, ProjectCreate
from store import projects

router = APIRouter(prefix="/projects", tags=["projects"])


@router.get("", responses=LIST)
def list_projects(principal: Reader, session: SessionDep, paging: PagingDep) -> Page[Project]:
    """Those that the key opens, newest first."""
    found, place = projects.listed(session, only=principal.project_id, below=paging.place, limit=paging.limit)
    return paging.page([Project.model_validate(project) for project in found], place)


@router.post("", status_code=201, responses=problems(409))
def create_project(body: ProjectCreate, principal: Administrator, session: SessionDep) -> Project:
    """A project without anything in it."""
    if principal.project_id is not None:
        raise Forbidden("A key of one project makes no other; use one that opens all.")
    return Project.model_validate(projects.create(session, name=body.name))
