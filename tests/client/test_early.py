"""Tags of a training under way and comparisons, from the client and the command line, on a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sondage
from sondage.client import Client
from sondage.errors import Conflict, InvalidInput

Command = Callable[..., int]


@pytest.fixture(scope="module")
def dataset(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> int:
    rng = np.random.default_rng(1)
    y = np.arange(160) % 2
    file = tmp_path_factory.mktemp("files") / "early.npz"
    np.savez(file, x_train=(rng.normal(size=(160, 4)) + 3 * y[:, None]).astype("float32"), y_train=y)
    with Client(server_url) as client:
        return client.datasets.add(file).id


def test_a_training_under_way_is_tagged_and_its_tags_are_compared(
    client: Client, sondage: Command, dataset: int, capsys: pytest.CaptureFixture[str]
) -> None:
    started = client.runs.start(dataset, name="early", seeds=[0, 1], recipe={"num_epochs": 10_000})
    run, waiting = started.runs
    try:
        wait_for_epochs(client, run.name, 3)
        with pytest.raises(Conflict, match="completed no epoch yet"):
            client.taggings.create(waiting.id, now=True)
        with pytest.raises(InvalidInput, match="were asked for"):
            client.taggings.create(run.id, epochs=9_999)
        first = client.taggings.create(run.id, epochs=2)
        assert (first.state, first.epochs, first.of_epochs) == ("finished", 2, 10_000)
        assert first.held_out_accuracy is not None
        assert sondage("tag", run.id, "--now", "--json") == 0
        second = json.loads(capsys.readouterr().out)
        assert second["state"] == "finished"
        assert 3 <= second["epochs"] < 10_000
        assert client.runs.get(run.id).state == "running"
    finally:
        for one in started.runs:
            client.runs.abort(one)
    assert sondage("report", first.id) == 0
    assert "2 of 10000 epochs" in capsys.readouterr().out
    looks_the_same_to_both(client, sondage, first.id, second["id"], capsys)


def looks_the_same_to_both(
    client: Client, sondage: Command, first: int, second: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = client.taggings.compare(first, second)
    assert found.num_examples == sum(map(sum, found.counts)) == 160
    changes = list(client.taggings.changes(first, second, limit=3))
    assert len(changes) == 3
    assert sondage("compare", first, second, "--limit", "3", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["comparison"] == found.model_dump(mode="json")
    assert [one["first"]["index"] for one in said["changes"]] == [one.first.index for one in changes]
    assert sondage("compare", first, second) == 0
    assert "rank correlation" in capsys.readouterr().out
    assert sondage("tags", first, "--in-all-seeds") == 2
    assert "one run" in capsys.readouterr().err


def test_a_training_of_ones_own_is_tagged_while_it_records(
    server_url: str, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SONDAGE_URL", server_url)
    num, hard = 200, np.arange(200) % 10 == 0
    run = sondage.init(
        dataset="own-early", run="own-early", labels=np.arange(num) % 2, channels=("loss",), num_epochs=6
    )
    known = {str(at): "noisy" if hard[at] else "prototypical" for at in range(0, num, 2)}

    def train(epochs: range) -> None:
        for epoch in epochs:
            run.log(rows=np.arange(num), loss=np.where(hard, 3.0, 2.0 / (1 + epoch)).astype(np.float32))
            run.end_epoch()
        wait_for_epochs(client, "own-early", epochs.stop)

    train(range(3))
    suite = client.suites.upload(known, name="own-early", dataset="own-early")
    early = client.taggings.create("own-early", suite=suite, now=True)
    assert (early.epochs, early.of_epochs, early.held_out_accuracy) == (3, 6, 1.0)
    assert client.runs.get("own-early").state == "running"
    before = list(client.tags(early))
    train(range(3, 6))
    run.finish()
    whole = client.taggings.create("own-early", suite=suite)
    assert (whole.epochs, whole.state) == (None, "finished")
    assert list(client.tags(early)) == before
    assert client.taggings.compare(early, whole).num_examples == num


def wait_for_epochs(client: Client, name: str, num: int) -> None:
    deadline = time.monotonic() + 60
    while not any(run.name == name and run.epochs_done >= num for run in client.runs.list()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
