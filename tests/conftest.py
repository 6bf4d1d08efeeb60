"""Fixtures that many tests share: one embedded Postgres for all of them, a fresh migrated database for each,
and one server for those that need no server of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from store.embedded import EmbeddedServer
from store.engine import Database, transaction
from tests.databases import Databases, administer
from tests.served import serving

MakeDatabase = Callable[[], Database]
LONGEST_FIRST = ("worker_jobs", "integrations", "client", "recorder", "test_demo.py", "browser")
"""Folders whose few tests start servers and trainings, and take most of the time."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several processes take files in this order: the longest first, so that none is alone with them at the end."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    root = Path(__file__).parent
    items.sort(key=lambda item: places.get(item.path.relative_to(root).parts[0], len(places)))


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for a socket; pytest's own are too long."""
    folder = Path(tempfile.mkdtemp(prefix="sdg-", dir="/tmp"))  # mkdtemp makes it ours alone
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(short_folder: Path) -> Iterator[str]:
    """Address of a real Postgres for this session of tests."""
    server = EmbeddedServer(short_folder / "postgres")
    url = server.ensure()
    # Nothing here has to outlive a power cut, and making a database per test waits for the disk otherwise.
    administer(
        url,
        "ALTER SYSTEM SET fsync = off",
        "ALTER SYSTEM SET full_page_writes = off",
        "SELECT pg_reload_conf()",
    )
    yield url
    server.stop()


@pytest.fixture(scope="session")
def databases(postgres_url: str) -> Databases:
    return Databases(postgres_url)


@pytest.fixture(scope="session")
def server_url(databases: Databases) -> Iterator[str]:
    """Address of a real server with a real worker, on one database for this session of tests."""
    with databases.fresh() as fresh, serving(fresh) as url:
        yield url


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    """A migrated database of this test's own."""
    with databases.fresh() as fresh:
        yield fresh


@pytest.fixture(scope="module")
def make_database(databases: Databases) -> Iterator[MakeDatabase]:
    """Makes migrated databases that live as long as the module's tests."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(databases.fresh())


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """A session on `database`, committed at the end."""
    with transaction(database.engine) as opened:
        yield opened
