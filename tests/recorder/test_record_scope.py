"""A key of the scope `record` alone: enough for all that a training does, and for nothing beyond."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import sondage
from sondage.cli import main
from sondage.client import Client
from sondage.errors import Forbidden
from store.engine import Database
from tests.recorder.keyed_server import KeyedServer, serving

LABELS = [0, 1, 1]


@pytest.fixture(scope="module")
def keyed(
    make_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KeyedServer]:
    with serving(make_database(), tmp_path_factory.mktemp("data")) as server:
        yield server


@pytest.fixture
def recording(keyed: KeyedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyedServer:
    """The server, and a key of the scope `record` in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SONDAGE_URL", keyed.url)
    monkeypatch.setenv("SONDAGE_KEY", keyed.key(["record"]))
    return keyed


def train(run: sondage.Run, epochs: range) -> None:
    for epoch in epochs:
        run.log(rows=[0, 1, 2], loss=np.full(3, epoch, np.float32))
        run.end_epoch()


def curves(server: KeyedServer, run: str) -> list[list[float]]:
    with Client(server.url, server.key(["read"])) as client:
        found: list[list[float]] = client.runs.curves(run).tolist()
        return found


def test_begin_train_finish_and_go_on(recording: KeyedServer, caplog: pytest.LogCaptureFixture) -> None:
    for epochs in (range(2), range(2, 3)):
        run = sondage.init(
            dataset="scoped", run="one", labels=LABELS, channels=("loss",), resume=epochs.start > 0
        )
        assert run.next_epoch == epochs.start
        train(run, epochs)
        run.finish()
    assert [one.getMessage() for one in caplog.records if one.name == "sondage"] == []
    assert curves(recording, "one") == [[0, 1, 2]] * 3


def test_on_a_dataset_that_is_there_by_name(recording: KeyedServer) -> None:
    with Client() as client:
        sondage.init(dataset="by-name", run="two", labels=LABELS, channels=("loss",)).finish()
        assert client.recording.dataset("by-name", None).num_examples == 3
    run = sondage.init(dataset="by-name", run="three", channels=("loss",))
    assert run.num_examples == 3
    train(run, range(1))
    run.finish()
    assert curves(recording, "three") == [[0]] * 3
    sondage.init(dataset="by-name", run="four", ids=range(3), channels=("loss",)).finish()
    with pytest.raises(sondage.InvalidInput, match="not the keys of dataset by-name"):
        sondage.init(dataset="by-name", run="five", ids=[2, 1, 0], channels=("loss",))
    with pytest.raises(sondage.NotFound, match="nothing-here"):
        sondage.init(dataset="nothing-here", channels=("loss",))


def test_several_ranks_and_sync_after_offline(recording: KeyedServer) -> None:
    for rank in (0, 1):
        run = sondage.init(
            dataset="scoped", run="ranks", labels=LABELS, channels=("loss",), mode="offline", rank=rank, world_size=2
        )  # fmt: skip
        run.log(rows=[rank], loss=np.full(1, rank, np.float32))
        run.end_epoch()
        run.finish()
    assert main(["sync"]) == 0
    np.testing.assert_array_equal(curves(recording, "ranks"), [[0], [1], [np.nan]])


def test_a_name_that_is_taken_is_refused_at_once(recording: KeyedServer) -> None:
    sondage.init(dataset="scoped", run="taken", labels=LABELS, channels=("loss",)).finish()
    other = sondage.init(dataset="scoped", run="taken", labels=LABELS, channels=("loss",), resume=True)
    train(other, range(1))
    other.finish()
    with pytest.raises(sondage.Conflict, match="resume=True"):
        sondage.init(dataset="scoped", run="taken", labels=LABELS, channels=("loss",))


def test_looking_and_tagging_say_which_key_they_want(recording: KeyedServer) -> None:
    run = sondage.init(dataset="scoped", run="looked-at", labels=LABELS, channels=("loss",))
    train(run, range(1))
    run.finish()
    with pytest.raises(Forbidden, match="read,record"):
        run.tag(suite="any")
    with Client() as client:
        for look in (
            lambda: client.runs.curves("looked-at"),
            lambda: list(client.runs.list()),
            lambda: list(client.datasets.list()),
            lambda: list(client.taggings.list()),
        ):
            with pytest.raises(Forbidden, match="lacks the scope 'read'"):
                look()
