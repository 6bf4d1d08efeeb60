"""An embedded server in a folder of its own, new or used before."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.embedded import EmbeddedServer
from tests.database.embedded.processes import processes_in, short_folder


@pytest.fixture(scope="session")
def used() -> Iterator[Path]:
    """The folder of a server that has run and ended: a copy of it spares a test its initdb."""
    place = short_folder()
    server = EmbeddedServer(place / "postgres")
    server.ensure()
    server.stop()
    yield place / "postgres"
    shutil.rmtree(place)


@pytest.fixture
def place() -> Iterator[Path]:
    path = short_folder()
    yield path
    for process in processes_in(path):
        process.kill()
    shutil.rmtree(path)


@pytest.fixture
def new_server(place: Path) -> Iterator[EmbeddedServer]:
    """A server without a folder yet."""
    embedded = EmbeddedServer(place / "postgres")
    yield embedded
    embedded.stop()


@pytest.fixture
def server(new_server: EmbeddedServer, used: Path) -> EmbeddedServer:
    """A server that has been used before and is down."""
    subprocess.run(["cp", "-a", used, new_server.folder.path], check=True)
    return new_server
