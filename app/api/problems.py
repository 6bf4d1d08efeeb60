"""⑥ Which problems a route may answer with, for its OpenAPI entry."""

from __future__ import annotations

from typing import Any

from sondage.wire import Problem

MEANINGS = {
    400: "The cursor does not belong to this list.",
    401: "A key is needed.",
    403: "The key, the path or the page may not do this.",
    404: "There is no such thing.",
    409: "What is there already forbids it.",
    413: "The body is too large.",
    415: "The body is of a kind that is not read here.",
    421: "The server does not answer to this name.",
    422: "What was sent is wrong; `errors` names the fields or rows.",
    426: "The recorder speaks another protocol than this server.",
    500: "The server failed; its log has the request's number.",
    503: "The database does not answer; try again.",
    507: "The server's disk is full.",
}
EVERYWHERE = (401, 403, 404, 421, 422, 500, 503)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem, "description": MEANINGS[status]} for status in statuses}


LIST = problems(400)
MAKE = problems(409, 413, 507)
DELETE = problems(409)


def binary(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    """A 200 that is not JSON."""
    schema = {"type": "string", "format": "binary"}
    return {200: {"description": description, "content": {media_type: {"schema": schema}}}}
