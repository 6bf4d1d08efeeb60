"""A server over nothing, or over the small world of `worlds.py`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.main import prepare
from app.settings import AppSettings
from store.engine import Database
from tests.api.worlds import BASE, Client, World, fill, make_settings, served


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SONDAGE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> AppSettings:
    return make_settings(tmp_path / "data")


@pytest.fixture
def empty(settings: AppSettings, database: Database) -> Iterator[World]:
    """A server with nothing in it."""
    prepare(database, settings)
    with Client(served(settings, database), base_url=BASE) as client:
        yield World(client, database, settings)


@pytest.fixture
def world(empty: World) -> World:
    """A server with the small world in it, for tests that change it."""
    return fill(empty)


@pytest.fixture(scope="module")
def read_world(
    make_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """The same for a whole module of tests that only read."""
    settings, database = make_settings(tmp_path_factory.mktemp("data")), make_database()
    prepare(database, settings)
    with Client(served(settings, database, scope="module"), base_url=BASE) as client:
        yield fill(World(client, database, settings))
