"""Fixtures that many tests share: one embedded Postgres for all of them, and a fresh migrated database for each."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import Session

from store.embedded import EmbeddedServer
from store.engine import Database, make_engine, migrate, transaction

TEMPLATE = "migrated_template"
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
    """Address of a real Postgres for this session of tests; its database `migrated_template` has our schema."""
    server = EmbeddedServer(short_folder / "postgres")
    url = server.ensure()
    # Nothing here has to outlive a power cut, and making a database per test waits for the disk otherwise.
    _administer(
        url,
        "ALTER SYSTEM SET fsync = off",
        "ALTER SYSTEM SET full_page_writes = off",
        "SELECT pg_reload_conf()",
    )
    _administer(url, f"CREATE DATABASE {TEMPLATE}")
    engine = make_engine(_named(url, TEMPLATE))
    migrate(engine)
    engine.dispose()
    yield url
    server.stop()


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _administer(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@contextmanager
def _fresh_database(url: str) -> Iterator[Database]:
    name = f"test_{uuid.uuid4().hex}"
    # Files copied as they are, a third cheaper than page by page through the log, since nothing waits for the disk.
    _administer(url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    database = Database(make_engine(_named(url, name)))
    try:
        yield database
    finally:
        database.close()
        _administer(url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """A migrated database of this test's own."""
    with _fresh_database(postgres_url) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def make_database(postgres_url: str) -> Iterator[MakeDatabase]:
    """Makes migrated databases that live as long as the module's tests."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(_fresh_database(postgres_url))


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """A session on `database`, committed at the end."""
    with transaction(database.engine) as opened:
        yield opened
