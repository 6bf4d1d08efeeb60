"""A real Chromium before a dashboard that was really built.

Without either, the tests are skipped loudly; in CI that is a failure.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

from sondage.client import Client
from sondage.wire import Dataset, Noise, Tagging
from tests.browser.fake_api import create_app
from tests.browser.fake_world import State
from tests.databases import Databases
from tests.served import serving

DIST = Path(__file__).parents[2] / "app" / "dashboard" / "dist"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
TIMEOUT_MS = 10_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def missing(what: str) -> None:
    """Skip with a reason, or fail where every test must run."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def dashboard_dist() -> Path:
    if not (DIST / "index.html").is_file():
        missing("The dashboard is not built: run `npm ci && npm run build` in app/dashboard, or `make test`.")
    return DIST


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        missing("There is no Chromium: install one (apt-get install chromium) or set CHROMIUM to its path.")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@dataclass
class Watch:
    """What went wrong in a page. A test that provokes an error names a part of it in `expected`."""

    expected: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.seen.append(f"uncaught: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def unexpected(self) -> list[str]:
        return [line for line in self.seen if not any(part in line for part in self.expected)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.seen.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        # A request that the page itself gave up, by leaving or by asking anew, is no failure.
        if request.failure != "net::ERR_ABORTED":
            self.seen.append(f"failed: {request.url} {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.seen.append(f"answered {response.status}: {response.url}")


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def page(browser: Browser, watch: Watch) -> Iterator[Page]:
    """A fresh page; afterwards there must have been no error in it."""
    context = browser.new_context(viewport={"width": 1360, "height": 860})
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    watch.follow(page)
    yield page
    context.close()
    assert watch.unexpected() == []


class Fake:
    """The fake API with the built dashboard, and the state that the running test has set."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.state = State()


@pytest.fixture(scope="session")
def fake_server(dashboard_dist: Path) -> Iterator[Fake]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fake = Fake(f"http://127.0.0.1:{listener.getsockname()[1]}")
        app = create_app(lambda: fake.state, dashboard_dist)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield fake
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture
def fake(fake_server: Fake) -> Fake:
    fake_server.state = State()
    fake_server.state.add_run(1, "finished", epochs_done=12)
    fake_server.state.add_run(2, "finished", epochs_done=12)
    return fake_server


@dataclass(frozen=True)
class Demo:
    """A real server with a worker: digits with 8 % wrong labels, two short runs, one tagging."""

    url: str
    client: Client
    dataset: Dataset
    tagging: Tagging


@pytest.fixture(scope="session")
def served_demo(dashboard_dist: Path, databases: Databases) -> Iterator[Demo]:
    with databases.fresh() as database, serving(database) as url, Client(url) as client:
        dataset = client.datasets.add("digits", noise=Noise(share=0.08))
        started = client.runs.start(dataset.id, name="demo", recipe={"num_epochs": 5}).wait()
        assert started.tagging is not None
        yield Demo(url, client, dataset, started.tagging)
