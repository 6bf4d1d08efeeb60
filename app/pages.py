"""⑥ The dashboard's files: its build, and its one page for every address that is the dashboard's own."""

from __future__ import annotations

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.types import Receive, Scope, Send

DIST = Path(__file__).parent / "dashboard" / "dist"
FOR_EVER, ALWAYS_ASK = "public, max-age=31536000, immutable", "no-cache"
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sondage</title>
<h1>Sondage is running</h1>
<p>The dashboard has not been built here. Run <code>make dashboard</code> in the checkout, then reload this page.</p>
<p>The interface for programs is there: <a href="/api/v1/health">/api/v1/health</a>.</p>
</html>
"""


class Dashboard:
    """Answers what no route of the interface does."""

    def __init__(self, folder: Path = DIST) -> None:
        self.folder = folder.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == "/api" or path.startswith("/api/"):
            raise HTTPException(404)
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        response = await run_in_threadpool(self._response, path)
        await response(scope, receive, send)

    def _response(self, path: str) -> Response:
        """The file; else the page, which finds out by itself what an address means."""
        file = self._file(path)
        if file is not None:
            fixed = file.is_relative_to(self.folder / "assets")  # their names hold a digest of their content
            return FileResponse(file, headers={"Cache-Control": FOR_EVER if fixed else ALWAYS_ASK})
        if Path(path).suffix:
            raise HTTPException(404)
        page = self.folder / "index.html"
        if not page.is_file():
            return HTMLResponse(NOT_BUILT, headers={"Cache-Control": ALWAYS_ASK})
        return FileResponse(page, headers={"Cache-Control": ALWAYS_ASK})

    def _file(self, path: str) -> Path | None:
        if "\0" in path:
            return None
        file = (self.folder / path.lstrip("/")).resolve()
        return file if file.is_relative_to(self.folder) and file.is_file() else None
