"""A fake server, a spool of this test's own, and the shortest pauses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sondage
from sondage.recorder import sender
from tests.recorder.fake_server import FakeServer, running
from tests.recorder.sixty_examples import CHANNELS, GIVEN

Init = Callable[..., sondage.Run]
Begin = Callable[..., sondage.Run]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running() as started:
        yield started


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(sender, "LONGEST_PAUSE_SECONDS", 0.2)
    monkeypatch.delenv("SONDAGE_KEY", raising=False)
    monkeypatch.delenv("SONDAGE_URL", raising=False)


@pytest.fixture
def init(server: FakeServer, tmp_path: Path) -> Iterator[Init]:
    """`sondage.init` on the fake server with six examples of three classes; runs left open are ended."""
    begun: list[sondage.Run] = []

    def begin(**changes: Any) -> sondage.Run:
        usual: dict[str, Any] = {
            "dataset": "toy", "run": "r", "labels": [0, 1, 2, 0, 1, 2], "class_names": ["a", "b", "c"],
            "url": server.url, "spool": tmp_path / "spool",
        }  # fmt: skip
        begun.append(sondage.init(**{**usual, **changes}))
        return begun[-1]

    yield begin
    for run in begun:
        run.finish(timeout_seconds=0.1)


@pytest.fixture
def begin(init: Init) -> Begin:
    """`init` of sixty examples, recording looks."""
    usual: dict[str, Any] = {"labels": GIVEN, "channels": CHANNELS, "num_epochs": 3}
    return lambda **changes: init(**{**usual, **changes})
