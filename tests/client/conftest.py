"""The client and the command line, on the server of all tests (`server_url`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sondage.cli import main
from sondage.client import Client

Sondage = Callable[..., int]


@pytest.fixture
def client(server_url: str) -> Iterator[Client]:
    with Client(server_url) as opened:
        yield opened


@pytest.fixture
def sondage(server_url: str, monkeypatch: pytest.MonkeyPatch) -> Sondage:
    """Runs a command on the server; returns its exit code."""
    monkeypatch.setenv("SONDAGE_URL", server_url)
    monkeypatch.delenv("SONDAGE_KEY", raising=False)
    return lambda *words: main([str(word) for word in words])
