"""Tags of a training under way and comparisons, from the client and the command line, on a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
import pytest

from sondage.client import Client
from sondage.errors import Conflict, InvalidInput

Sondage = Callable[..., int]


@pytest.fixture(scope="module")
def dataset(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> int:
    rng = np.random.default_rng(1)
    y = np.arange(160) % 2
    file = tmp_path_factory.mktemp("files") / "early.npz"
    np.savez(file, x_train=(rng.normal(size=(160, 4)) + 3 * y[:, None]).astype("float32"), y_train=y)
    with Client(server_url) as client:
        return client.datasets.add(file).id


def test_a_training_under_way_is_tagged_and_its_tags_are_compared(
    client: Client, sondage: Sondage, dataset: int, capsys: pytest.CaptureFixture[str]
) -> None:
    started = client.runs.start(dataset, name="early", seeds=[0, 1], recipe={"num_epochs": 10_000})
    run, waiting = started.runs
    try:
        deadline = time.monotonic() + 60
        while client.runs.get(run.id).epochs_done < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
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
    client: Client, sondage: Sondage, first: int, second: int, capsys: pytest.CaptureFixture[str]
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
