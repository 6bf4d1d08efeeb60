"""⑥ What routes ask for: the session of the request's one transaction, the project its key opens, a page of a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Path, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from sqlalchemy.orm import Session

from app import auth, cursors
from app.auth import Principal
from app.columns import Columns
from app.idempotency import Once
from app.payloads import Payloads
from app.settings import AppSettings
from sondage.errors import NotFound
from sondage.wire import Page
from store import projects
from store.engine import Database, transaction
from store.tables import Project

Item = TypeVar("Item")

LARGEST_NUMBER = 2**63 - 1
Number = Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]
Place = Annotated[int, Path(ge=0, le=LARGEST_NUMBER)]


@dataclass(frozen=True)
class Server:
    """What all requests share; made when the server starts."""

    settings: AppSettings
    database: Database
    columns: Columns
    payloads: Payloads


async def get_server(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


ServerDep = Annotated[Server, Depends(get_server)]


def get_session(server: ServerDep) -> Iterator[Session]:
    """The request's one transaction. Committed before the answer is sent: what was answered is kept."""
    with transaction(server.database.engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session, scope="function")]
bearer = HTTPBearer(auto_error=False, description="A key from `python -m app keys create`.")


def get_principal(
    scopes: SecurityScopes,
    server: ServerDep,
    session: SessionDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Principal:
    if server.settings.is_open:
        return auth.on_this_machine(server.settings.reviewer)
    principal = auth.by_key(session, credentials.credentials if credentials else None)
    for scope in scopes.scopes:
        principal.require(scope)
    return principal


PrincipalDep = Annotated[Principal, Security(get_principal)]
Reader = Annotated[Principal, Security(get_principal, scopes=["read"])]
Administrator = Annotated[Principal, Security(get_principal, scopes=["admin"])]


def get_project(
    project: Annotated[str, Path(max_length=63)], principal: PrincipalDep, session: SessionDep
) -> Project:
    """A project the key does not open is answered like one that is not there."""
    try:
        found = projects.by_name(session, name=project)
    except NotFound:
        found = None
    if found is None or not principal.may_open(found.id):
        raise NotFound(f"There is no project {project!r}; `GET /api/v1/projects` lists yours.")
    return found


ReadProject = Annotated[Project, Security(get_project, scopes=["read"])]
RecordingProject = Annotated[Project, Security(get_project, scopes=["read|record"])]
"""For what a recorder has to know of the run that it records."""
RecordProject = Annotated[Project, Security(get_project, scopes=["record"])]
ReviewProject = Annotated[Project, Security(get_project, scopes=["review"])]
AdminProject = Annotated[Project, Security(get_project, scopes=["admin"])]


def get_project_by_name(
    request: Request, principal: PrincipalDep, project: Annotated[Project, Depends(get_project)]
) -> Project:
    """Who may only record does not see what there is, but what has the name they ask for."""
    if not request.query_params.get("name"):
        principal.require("read")
    return project


NamedProject = Annotated[Project, Security(get_project_by_name, scopes=["read|record"])]


@dataclass(frozen=True)
class Paging:
    """`limit` and `cursor` of a list: `place` is where the page before ended."""

    limit: int
    place: int | None
    digest: bytes

    def next_cursor(self, place: int | None) -> str | None:
        return None if place is None else cursors.encode(place, self.digest)

    def page(self, items: Sequence[Item], place: int | None) -> Page[Item]:
        return Page[Any](items=list(items), next_cursor=self.next_cursor(place))


def get_paging(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000, description="Items of a page, at most.")] = 100,
    cursor: Annotated[
        str | None, Query(max_length=100, description="`next_cursor` of the page before.")
    ] = None,
) -> Paging:
    filters = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in ("limit", "cursor", "fields")
    ]
    digest = cursors.list_digest(request.url.path, filters)
    return Paging(limit, None if cursor is None else cursors.decode(cursor, digest), digest)


PagingDep = Annotated[Paging, Depends(get_paging)]


def get_once(
    request: Request,
    session: SessionDep,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            description="A word of your own for this request: sent again with it, it takes effect once.",
        ),
    ] = None,
) -> Once:
    return Once(session, f"{request.method} {request.url.path}", key)


OnceDep = Annotated[Once, Depends(get_once)]
