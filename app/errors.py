"""⑥ Errors into answers, in one place: RFC 9457 problems with `code`, `detail`, `errors[]` and `request_id`."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, IntegrityError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sondage import errors
from sondage.wire import PROTOCOL, Problem, ProblemError

logger = logging.getLogger("app")

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "2"


class Unauthenticated(errors.SondageError):
    """No key was sent, or none that lives."""

    code = "unauthenticated"


class InvalidCursor(errors.InvalidInput):
    """A cursor that this list did not give out."""

    code = "invalid_cursor"


class UnsupportedMedia(errors.InvalidInput):
    """The body is of a kind that this route does not read."""

    code = "unsupported_media_type"


class ClientTooNew(errors.SondageError):
    """A recorder speaks a later protocol than this server."""

    code = "client_too_new"


class ClientTooOld(errors.SondageError):
    """A recorder speaks a protocol that this server has left behind."""

    code = "client_too_old"


STATUS: dict[type[errors.SondageError], int] = {
    InvalidCursor: 400,
    Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.JobFailed: 409,
    errors.JobAborted: 409,
    UnsupportedMedia: 415,
    errors.InvalidInput: 422,
    ClientTooNew: 426,
    ClientTooOld: 426,
    errors.DataFolderError: 500,
    errors.Unavailable: 503,
    errors.StorageFull: 507,
}
HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="sondage"'},
    426: {"Upgrade": f"Sondage/{PROTOCOL}", "Connection": "Upgrade", "Sondage-Protocol": str(PROTOCOL)},
    503: {"Retry-After": RETRY_AFTER_SECONDS},
}
CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    421: "foreign_host",
    422: "invalid_input",
}


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    request_id: str,
    faults: Sequence[ProblemError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        errors=list(faults),
        request_id=request_id,
    )
    sent = {**HEADERS.get(status, {}), **(headers or {})}
    return Response(body.model_dump_json(), status, sent, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Register the handlers. What none of them knows ends in `middleware.RequestContext` as a 500."""
    app.add_exception_handler(errors.SondageError, _sondage_error)  # type: ignore[arg-type]  # narrower than Exception
    app.add_exception_handler(RequestValidationError, _validation_error)  # type: ignore[arg-type]  # the same
    app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]  # the same
    app.add_exception_handler(DBAPIError, _database_error)  # type: ignore[arg-type]  # the same
    app.add_exception_handler(psycopg.Error, _driver_error)  # type: ignore[arg-type]  # the same
    app.add_exception_handler(OSError, _system_error)  # type: ignore[arg-type]  # the same


def request_id(request: Request) -> str:
    return str(request.state.request_id)


def _sondage_error(request: Request, fault: errors.SondageError) -> Response:
    status = next(STATUS[kind] for kind in (*type(fault).__mro__, _Unknown) if kind in STATUS)
    if status >= 500:
        logger.warning("%s %s: %s", request_id(request), fault.code, fault)
    return problem(status, fault.code, str(fault), request_id=request_id(request), faults=_faults(fault))


class _Unknown(errors.SondageError):
    """Stands for an error without a status of its own."""


STATUS[_Unknown] = 500


def _faults(fault: errors.SondageError) -> list[ProblemError]:
    if isinstance(fault, errors.InvalidRows):
        return [ProblemError(code=row.code, message=row.message, index=row.index) for row in fault.rows]
    if isinstance(fault, errors.InvalidInput) and fault.field:
        return [ProblemError(code=fault.code, message=str(fault), field=fault.field)]
    return []


def _validation_error(request: Request, fault: RequestValidationError) -> Response:
    faults = [
        ProblemError(code=one["type"], message=one["msg"], field=_field(one["loc"])) for one in fault.errors()
    ]
    words = "; ".join(f"{one.field}: {one.message}" if one.field else one.message for one in faults[:3])
    more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
    return problem(422, "invalid_input", words + more, request_id=request_id(request), faults=faults)


def _field(place: Sequence[object]) -> str | None:
    """`source.noise.share` from ("body", "source", "noise", "share")."""
    parts = [str(part) for part in place if part not in ("body", "query", "path", "header")]
    return ".".join(parts) or None


def _http_error(request: Request, fault: HTTPException) -> Response:
    # What FastAPI cannot parse at all it calls 400; to the caller it is one more thing sent wrongly.
    status = 422 if fault.status_code == 400 else fault.status_code
    code = CODES.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
    detail = fault.detail
    if status == 404 and detail == HTTPStatus(404).phrase:
        detail = f"There is nothing at {request.url.path}."
    elif status == 405:
        allowed = (fault.headers or {}).get("Allow", "others")
        detail = f"{request.method} is not possible at {request.url.path}; possible: {allowed}."
    return problem(status, code, detail, request_id=request_id(request), headers=fault.headers)


def _database_error(request: Request, fault: DBAPIError) -> Response:
    if isinstance(fault, IntegrityError):
        logger.warning("%s a constraint refused: %s", request_id(request), fault.orig)
        detail = "Something this request relies on was changed at the same moment; look again and repeat it."
        return problem(409, "conflict", detail, request_id=request_id(request))
    if isinstance(fault.orig, psycopg.Error):
        return _driver_error(request, fault.orig)
    raise fault


def _driver_error(request: Request, fault: psycopg.Error) -> Response:
    identity = request_id(request)
    if isinstance(fault, psycopg.errors.DiskFull):
        return problem(
            507, errors.StorageFull.code, "The database's disk is full; make room there.", request_id=identity
        )
    if isinstance(fault, psycopg.DataError):
        detail = "A value cannot be stored: a number is too large, or a text has a NUL character."
        return problem(422, "invalid_input", detail, request_id=identity)
    if isinstance(fault, psycopg.OperationalError | psycopg.InterfaceError):
        logger.warning("%s the database: %s", identity, fault)
        detail = "The database does not answer; try again in a moment."
        return problem(503, errors.Unavailable.code, detail, request_id=identity)
    raise fault


def _system_error(request: Request, fault: OSError) -> Response:
    if fault.errno in (errno.ENOSPC, errno.EDQUOT):
        detail = "The server's disk is full; nothing was kept. Make room in its data folder and try again."
        return problem(507, errors.StorageFull.code, detail, request_id=request_id(request))
    raise fault
