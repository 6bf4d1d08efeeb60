"""⑥ What surrounds every request: its number, who may ask by which name, how large it may be, safe headers."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import problem
from app.settings import is_loopback

logger = logging.getLogger("app")

STREAMED = ("/uploads", "/datasets/recorded", "/records")
"""Routes that write their body to a file as it comes."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class RequestContext:
    """Numbers the request, adds the headers, and turns what nobody caught into a 500 without its traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        number = asked if REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = number
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(MutableHeaders(scope=message), number)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            logger.info("%s %s %s: the client went away", number, scope["method"], scope["path"])
        except Exception:
            logger.exception("%s %s %s failed", number, scope["method"], scope["path"])
            if started:
                raise
            detail = f"Something went wrong in the server; its log has it under {number}."
            response = problem(500, "internal_error", detail, request_id=number)
            await response(scope, receive, send_with_headers)


def _add_headers(headers: MutableHeaders, number: str) -> None:
    headers["X-Request-ID"] = number
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)


class HostGuard:
    """Answers only to the server's own names, so that no web page can reach it through the browser.

    A page of another site can make a browser send requests here, under its own `Origin`, or, by pointing its
    name at this machine, under its own `Host`. Neither is answered.

    Parameters
    ----------
    names
        Allowed besides the loopback names.
    any_name
        A server that demands keys and was given no names answers to all: without a key there is nothing to reach.
    """

    def __init__(self, app: ASGIApp, *, names: Iterable[str], any_name: bool) -> None:
        self.app = app
        self.names = {name.lower().rstrip(".") for name in names}
        self.any_name = any_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = self._refusal(Headers(scope=scope), scope["path"])
            if refusal is not None:
                response = problem(*refusal, request_id=Request(scope).state.request_id)
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _refusal(self, headers: Headers, path: str) -> tuple[int, str, str] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self.any_name and not self._is_own(host):
            return 421, "foreign_host", f"This server does not answer to the name {host!r}; use localhost."
        if origin is not None and not self._is_own_page(origin, host):
            return 403, "foreign_origin", f"Pages of {origin!r} may not use this server."
        site = headers.get("sec-fetch-site", "same-origin")
        if path.startswith("/api/") and site not in ("same-origin", "none"):
            return 403, "foreign_origin", "Pages of other sites may not use this server."
        return None

    def _is_own(self, host: str) -> bool:
        name = _name_of(f"//{host}")
        return is_loopback(name) or name in self.names

    def _is_own_page(self, origin: str, host: str) -> bool:
        """Of the very server, port included, or of a name it was given (a proxy may send on another `Host`)."""
        return origin.lower().partition("//")[2] == host.lower() or _name_of(origin) in self.names


def _name_of(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return ""


class BodyLimit:
    """Refuses bodies that are too large: by what they announce, and by what then comes."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, max_upload_bytes: int) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.max_upload_bytes if scope["path"].endswith(STREAMED) else self.max_body_bytes
        detail = f"The body is larger than the {limit:,} bytes that this server takes here."
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            response = problem(413, "too_large", detail, request_id=Request(scope).state.request_id)
            await response(scope, receive, send)
            return
        received = 0

        async def receive_up_to_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, detail)
            return message

        await self.app(scope, receive_up_to_limit, send)
