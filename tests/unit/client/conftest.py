"""A client of a server that gives the answers it is told."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from sondage.client import Client, http, jobs
from tests.unit.client.answers import Server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(http, "PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(jobs, "FIRST_PAUSE_SECONDS", 0.0)
    for name in ("SONDAGE_URL", "SONDAGE_KEY"):
        monkeypatch.delenv(name, raising=False)
    return Server()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client("http://127.0.0.1:1", transport=httpx.MockTransport(server)) as opened:
        yield opened
