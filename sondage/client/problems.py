"""⑥ From what the server says went wrong to an exception of `sondage.errors`."""

from __future__ import annotations

from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from sondage.errors import (
    Conflict,
    DataFolderError,
    Forbidden,
    InvalidInput,
    InvalidRows,
    JobAborted,
    JobFailed,
    NotFound,
    RowError,
    SondageError,
    Unavailable,
    Unsupported,
)
from sondage.wire import Problem

Body = TypeVar("Body", bound=BaseModel)

_BY_CODE: dict[str, type[SondageError]] = {
    kind.code: kind
    for kind in (
        Conflict,
        DataFolderError,
        Forbidden,
        InvalidInput,
        JobAborted,
        JobFailed,
        NotFound,
        Unavailable,
        Unsupported,
    )
}
_BY_STATUS: dict[int, type[SondageError]] = {
    400: InvalidInput,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: InvalidInput,
    415: InvalidInput,
    421: Forbidden,
    422: InvalidInput,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: Unavailable,
}


def fault_of(response: httpx.Response) -> SondageError:
    """The exception that an answer of 300 or more stands for. The answer must have been read."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return not_sondage(response)
    rows = [RowError(e.index, e.code, e.message) for e in problem.errors if e.index is not None]
    if rows:
        return InvalidRows(problem.detail, rows)
    kind = _BY_CODE.get(problem.code) or _BY_STATUS.get(problem.status, SondageError)
    if issubclass(kind, InvalidInput):
        return kind(_with_errors(problem), field=next((e.field for e in problem.errors if e.field), None))
    if problem.status >= 500:
        return kind(f"{problem.detail} (request {problem.request_id} in the server's log)")
    return kind(problem.detail)


def _with_errors(problem: Problem) -> str:
    """The detail, and what it says of single fields unless it has said so already."""
    said = [f"{e.field}: {e.message}" if e.field else e.message for e in problem.errors]
    more = [
        line
        for line, e in zip(said, problem.errors, strict=True)
        if e.message.rstrip(".") not in problem.detail
    ]
    return "\n  ".join([problem.detail, *more])


def not_sondage(response: httpx.Response) -> Unavailable:
    """Something answers there, but it does not speak this API: a proxy, or another program on the port."""
    where = response.headers.get("location")
    moved = f" It points to {where}." if where else ""
    return Unavailable(
        f"{response.request.url} answered {response.status_code} and not as a Sondage server does.{moved} "
        "Look at what listens there, or set SONDAGE_URL to the address of the server."
    )


def checked(model: type[Body], **values: object) -> Body:
    """A request's body, made of what a caller passed in.

    Raises
    ------
    InvalidInput
        A value is not allowed; `field` names it.
    """
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        given = f" (got {first['input']!r})" if isinstance(first["input"], str | int | float) else ""
        raise InvalidInput(f"{field}: {first['msg']}{given}.", field=field) from None
