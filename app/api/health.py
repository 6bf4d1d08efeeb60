"""⑥ `/api/v1/health`: does the server work? Open to all; who has no key is told no more than that."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from fastapi.security import HTTPAuthorizationCredentials
from sqlalchemy.exc import DBAPIError

from app import auth
from app.deps import Server, ServerDep, bearer
from app.errors import Unauthenticated
from app.version import VERSION
from sondage.errors import Conflict, SondageError
from sondage.wire import Health
from store import jobs
from store.engine import check_migrated, transaction

router = APIRouter(tags=["health"])
NOT_OK: dict[int | str, dict[str, Any]] = {
    503: {"model": Health, "description": "The database does not answer, or is not migrated."}
}
Database = Literal["ok", "unreachable", "not_migrated"]


@router.get("/health", responses=NOT_OK)
def health(
    server: ServerDep,
    response: Response,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Health:
    """Is the database there, and when was a worker last seen?"""
    database, seen = _look(server, credentials.credentials if credentials else None)
    if database != "ok":
        response.status_code = 503
    status: Literal["ok", "degraded"] = "ok" if database == "ok" else "degraded"
    return Health(status=status, version=VERSION, database=database, worker_seen_at=seen)


def _look(server: Server, secret: str | None) -> tuple[Database, datetime | None]:
    try:
        check_migrated(server.database.engine)
        with transaction(server.database.engine) as session:
            if not server.settings.is_open:
                auth.by_key(session, secret)
            return "ok", jobs.worker_seen_at(session)
    except Unauthenticated:
        return "ok", None
    except Conflict:
        return "not_migrated", None
    except (SondageError, DBAPIError):
        return "unreachable", None
