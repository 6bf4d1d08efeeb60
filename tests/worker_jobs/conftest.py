"""Worlds with a worker of their own. A module's tests share one; who kills things makes a new one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.engine import Database, migrate, open_database
from store.tables import Dataset
from tests.worker_jobs.worlds import World, kill


@pytest.fixture(scope="module")
def world(make_database, short_folder: Path) -> Iterator[World]:
    """A fresh database on the server of all tests, and a data folder."""
    made = World(make_database(), Path(tempfile.mkdtemp(prefix="w", dir=short_folder)))
    yield made
    _leave_nothing(made)


@pytest.fixture(scope="module")
def busy_world(world: World) -> Iterator[World]:
    """With a worker that serves all tests of the module."""
    with world.worker():
        yield world


@pytest.fixture(scope="module")
def digits(world: World) -> Dataset:
    """Some digits."""
    return world.digits()


@pytest.fixture
def own_server(short_folder: Path) -> Iterator[World]:
    """A world with an embedded Postgres of its own, which a test may kill."""
    folder = Path(tempfile.mkdtemp(prefix="w", dir=short_folder))
    folder.chmod(0o755)
    database: Database = open_database(None, folder)
    migrate(database.engine)
    made = World(database, folder)
    yield made
    _leave_nothing(made)
    assert database.embedded is not None
    database.embedded.stop()
    database.close()


def _leave_nothing(world: World) -> None:
    try:
        world.assert_nobody_left()
    finally:
        for process in world.processes():
            kill(process)
