"""⑥ One server over HTTP: addresses, retries, pages, files. Knows no noun."""

from __future__ import annotations

import ipaddress
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from sondage import __version__
from sondage.client.problems import fault_of, not_sondage
from sondage.errors import InvalidInput, NotFound, Unavailable
from sondage.wire import PROTOCOL, Page, Upload

Model = TypeVar("Model", bound=BaseModel)
Parameters = Mapping[str, Any]
OnUpload = Callable[[int, int], None]
"""Gets the bytes sent and the bytes in all."""

PAUSES_SECONDS = (0.25, 0.75)
"""Before the second and the third attempt: a server that restarts is back after about a second."""
CONNECT_SECONDS = 5.0
PAGE_ITEMS = 500
CHUNK_BYTES = 1 << 20
UPLOAD_ANSWER_SECONDS = 600.0
"""The server answers when the file is safe on its disk; that takes a while for tens of gigabytes."""
_BUSY = (502, 503, 504)


class Http:
    """One server, one project, one pool of connections.

    A request that never reached the server is tried again; one that may have reached it only when doing it twice
    does no harm: it reads, or it carries an `Idempotency-Key`.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        project: str,
        *,
        timeout_seconds: float,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = _checked_url(url)
        self.project = project
        self._timeout_seconds = timeout_seconds
        headers = {
            "User-Agent": f"sondage/{__version__}",
            "Accept": "application/json",
            "Sondage-Client": f"{__version__}; protocol={PROTOCOL}",
        }
        if checked := _checked_key(key):
            headers["Authorization"] = f"Bearer {checked}"
        self._client = httpx.Client(
            base_url=self.url,
            headers=headers,
            transport=transport,
            trust_env=not _is_loopback(
                self.url
            ),  # a proxy for the outside must not be asked for this machine
        )
        # Results that fetch later hold it, and nobody closes those.
        weakref.finalize(self, self._client.close)

    def close(self) -> None:
        self._client.close()

    def of_project(self, *parts: object) -> str:
        """The path of a thing in this project."""
        return "/".join(["/api/v1/projects", _quoted(self.project), *map(_quoted, parts)])

    # ---- JSON

    def get(
        self, model: type[Model], path: str, *, read_seconds: float | None = None, **parameters: Any
    ) -> Model:
        """Fetch JSON. `read_seconds`: of an answer that takes the server longer than others."""
        return _parsed(model, self._send("GET", path, parameters, again=True, read_seconds=read_seconds))

    def post(self, model: type[Model], path: str, body: object = None, **parameters: Any) -> Model:
        """Send JSON (a model, or a list of them). With a body it may be tried again: it carries a key."""
        if body is None:
            return _parsed(model, self._send("POST", path, parameters))
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        content = TypeAdapter(Any).dump_json(body)
        return _parsed(model, self._send("POST", path, parameters, headers, lambda: content, again=True))

    def delete(self, model: type[Model], path: str, **parameters: Any) -> Model:
        return _parsed(model, self._send("DELETE", path, parameters))

    def pages(
        self, model: type[Model], path: str, *, limit: int | None = None, **parameters: Any
    ) -> Iterator[Model]:
        """The items of a list, page by page as they are used; at most `limit`."""
        left = limit
        cursor = None
        while left is None or left > 0:
            size = PAGE_ITEMS if left is None else min(left, PAGE_ITEMS)
            page = self.get(Page[model], path, limit=size, cursor=cursor, **parameters)  # type: ignore[valid-type]  # a class at run time
            items = page.items[:left]
            yield from items
            left = None if left is None else left - len(items)
            cursor = page.next_cursor
            if cursor is None:
                return

    def newest_named(self, model: type[Model], path: str, name: str) -> Model:
        """The newest thing of a name: lists are newest first."""
        for thing in self.pages(model, path, name=name):
            if getattr(thing, "name", None) == name:
                return thing
        noun = model.__name__.lower()
        raise NotFound(
            f"There is no {noun} {name!r} in project {self.project!r}. `sondage {noun} list` shows what there is."
        )

    # ---- bytes and files

    def send(
        self,
        model: type[Model],
        method: str,
        path: str,
        content: bytes,
        headers: Mapping[str, str],
        **parameters: Any,
    ) -> Model:
        """Send bytes that may be sent again: doing it twice does no harm."""
        return _parsed(model, self._send(method, path, parameters, headers, lambda: content, again=True))

    def fetch(self, path: str, **parameters: Any) -> httpx.Response:
        return self._send("GET", path, parameters, again=True)

    @contextmanager
    def download(self, path: str, **parameters: Any) -> Iterator[Iterator[bytes]]:
        """The pieces of a file as they come."""
        response = self._send("GET", path, parameters, again=True, stream=True)
        try:
            yield self._pieces(response)
        finally:
            response.close()

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_bytes(CHUNK_BYTES)
        except httpx.TransportError as broken:
            raise Unavailable(f"The download from {self.url} broke off ({broken}); try it again.") from broken

    def upload(self, file: Path, on_upload: OnUpload | None = None) -> Upload:
        """Send a file as it is read; memory holds 1 MiB of it."""
        size = _size_of(file)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        response = self._send(
            "POST",
            self.of_project("uploads"),
            {"filename": file.name},
            headers,
            lambda: _chunks(file, size, on_upload),
            read_seconds=max(self._timeout_seconds, UPLOAD_ANSWER_SECONDS),
        )
        return _parsed(Upload, response)

    # ---- attempts

    def _send(
        self,
        method: str,
        path: str,
        parameters: Parameters,
        headers: Mapping[str, str] | None = None,
        content: Callable[[], bytes | Iterator[bytes]] | None = None,
        *,
        again: bool = False,
        stream: bool = False,
        read_seconds: float | None = None,
    ) -> httpx.Response:
        """Send until it works or no attempt is left. `again`: doing it twice does no harm."""
        given = {name: value for name, value in parameters.items() if value is not None}
        patience = self._patience(read_seconds or self._timeout_seconds)
        for pause in (*PAUSES_SECONDS, None):
            body = content() if content else None
            request = self._client.build_request(
                method, path, params=given, headers=headers, content=body, timeout=patience
            )
            try:
                response = self._client.send(request, stream=stream)
            except httpx.TransportError as broken:
                unsent = isinstance(broken, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                if pause is None or not (unsent or again):
                    raise self._unavailable(broken, unsent) from broken
            else:
                if response.status_code not in _BUSY or not again or pause is None:
                    return _good(response)
                response.close()
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _patience(self, read_seconds: float) -> httpx.Timeout:
        seconds = self._timeout_seconds
        return httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds), read=read_seconds)

    def _unavailable(self, broken: httpx.TransportError, unsent: bool) -> Unavailable:
        if unsent:
            return Unavailable(
                f"No Sondage server answers at {self.url}. Start it with `make up` in a checkout of Sondage, "
                "or set SONDAGE_URL to the address of one that runs."
            )
        if isinstance(broken, httpx.TimeoutException):
            return Unavailable(
                f"{self.url} did not answer within {self._timeout_seconds:g} s. Try again, or give it longer: "
                "Client(timeout_seconds=…)."
            )
        return Unavailable(
            f"The connection to {self.url} broke ({broken}). Whether the request was done is not known: look "
            "before you try it again."
        )


def _good(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    response.read()
    response.close()
    raise fault_of(response)


def _parsed(model: type[Model], response: httpx.Response) -> Model:
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        raise not_sondage(response) from None


def _quoted(part: object) -> str:
    return quote(str(part), safe="")


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(
            f"{url!r} is no address of a server; write it as http://127.0.0.1:8000.", field="url"
        )
    return url.rstrip("/")


def _checked_key(key: str | None) -> str:
    """Without the white space around it, as of a file's last line. What is no key is named in no message: it may be
    one, but for a sign."""
    stripped = (key or "").strip()
    if not all("!" <= sign <= "~" for sign in stripped):
        raise InvalidInput(
            "The key holds signs that no key has, such as a space, a line's end or a letter beyond ASCII: copy it "
            "once more, into SONDAGE_KEY or key=.",
            field="key",
        )
    return stripped


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as fault:
        raise InvalidInput(f"{file} cannot be read: {fault.strerror}.", field="source") from None


def _chunks(file: Path, size: int, on_upload: OnUpload | None) -> Iterator[bytes]:
    """The file's first `size` bytes: one that grows meanwhile is sent as it was announced."""
    sent = 0
    with file.open("rb") as opened:
        while sent < size and (chunk := opened.read(min(CHUNK_BYTES, size - sent))):
            yield chunk
            sent += len(chunk)
            if on_upload is not None:
                on_upload(sent, size)
