"""The guides to the integrations, done from top to bottom on a real server."""

from __future__ import annotations

import re
import shlex
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sondage.cli import main
from sondage.client import Client
from sondage.errors import InvalidInput, InvalidRows

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's and the Trainer's own


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each block."""
    return re.findall(r"^```(python|sh)\n(.*?)^```", (GUIDES / page).read_text(), re.M | re.S)


@pytest.fixture
def do(server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Does a page; the names it made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SONDAGE_URL", server_url)
    monkeypatch.delenv("SONDAGE_KEY", raising=False)

    def page(name: str) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": "__main__"}
        for language, text in blocks(name):
            if language == "python":
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    exec(compile(text, name, "exec"), names)  # noqa: S102  # our own page
                continue
            for words in map(shlex.split, text.splitlines()):
                if words and words[0] == "sondage":
                    assert main(words[1:]) == 0, words
        return names

    return page


@pytest.fixture
def client(server_url: str) -> Any:
    with Client(server_url) as opened:
        yield opened


def finished_curves(client: Client, dataset: str) -> np.ndarray:
    run = next(client.runs.list(dataset=dataset))
    assert run.state == "finished"
    return client.runs.curves(run, "loss")


def test_lightning(do, client) -> None:
    pytest.importorskip("lightning")
    do("lightning.md")
    loss = finished_curves(client, "guide-lightning")
    assert loss.shape == (120, 3)
    assert np.isfinite(loss).all()


def test_transformers(do, client) -> None:
    pytest.importorskip("transformers")
    do("transformers.md")
    assert np.isfinite(finished_curves(client, "guide-transformers")).all()


def test_scikit_learn(do, client) -> None:
    do("scikit-learn.md")
    runs = list(client.runs.list(dataset="guide-sklearn"))
    assert [run.epochs_done for run in runs] == [4, 5]
    assert len({run.dataset_id for run in runs}) == 1


def test_bring_your_own_records(do, client) -> None:
    names = do("bring-your-own-records.md")
    loss = client.runs.curves("losses", "loss")
    np.testing.assert_allclose(loss, names["frame"]["loss"].to_numpy().reshape(5, 60).T, rtol=1e-6)
    np.testing.assert_array_equal(client.runs.curves("losses-again", "loss"), loss)
    assert names["tagging"].state == "finished"
    examples = list(client.datasets.examples("guide-records"))
    assert [(one.key, one.label_name) for one in examples[:2]] == [("r0", "cat"), ("r1", "dog")]

    names["frame"]["key"] = "x" + names["frame"]["key"]
    names["frame"].to_parquet("others.parquet")
    with pytest.raises(InvalidRows, match="x"):
        client.import_records("others.parquet", dataset="guide-records")
    names["frame"].drop(columns="label").to_parquet("others.parquet")
    with pytest.raises(InvalidInput, match="no labels"):
        client.import_records("others.parquet", dataset="not-there")


def test_probes_in_your_own_loop(do, client) -> None:
    names = do("probes-in-your-own-loop.md")
    run = client.runs.get("guide-one")
    probes = list(client.runs.probes(run))
    assert [probe.row for probe in probes] == list(range(400, run.num_rows))
    loss = client.runs.curves(run, "loss")
    displaced = [probe.source_row for probe in probes]
    assert np.isnan(loss[displaced]).all()
    trained = np.setdiff1d(np.arange(run.num_rows), displaced)
    assert np.isfinite(loss[trained]).all()
    wrong = [probe.row for probe in probes if probe.category == "noisy"]
    assert loss[wrong, -1].mean() > 2 * np.nanmean(loss[:400, -1])
    assert len(names["tags"]) > 0
    assert names["again"].tagging.state == "finished"


def test_own_examples(do, client) -> None:
    names = do("own-examples.md")
    suite = names["suite"]
    assert (suite.kind, suite.version, suite.num_members) == ("examples", 1, 24)
    assert client.datasets.get("stripes-examples").num_examples == 24
    (tagging,) = (one for one in client.taggings.list(dataset="guide-own") if len(one.run_ids) == 2)
    assert tagging.state == "finished"
    assert set(tagging.categories) == {"prototypical", "noisy", "ood"}
    assert len(names["probes"]) == 24
    # Two seeds by the worker, and one in the loop: nobody but the sources of flips is displaced.
    for name in ("own-s0", "own-s1", "own-loop", "own-at-home"):
        run = client.runs.get(name)
        assert run.num_rows == 400 + 20 + 24
        loss = client.runs.curves(run, "loss")
        assert np.isnan(loss).all(axis=1).sum() == 20
        assert np.isfinite(loss[400:]).all()
    in_loop = [probe for probe in client.runs.probes("own-loop") if probe.source_row is None]
    assert [probe.example_index for probe in in_loop] == list(range(24))
    assert {probe.label for probe in in_loop} > {0}, "drawn at random"
    stayed = [probe for probe in client.runs.probes("own-at-home") if probe.source_row is None]
    assert [probe.example_index for probe in stayed] == [None] * 24
    assert names["result"].tagging.state == names["again"].tagging.state == "finished"
    assert names["result"].tagging.suite_id == suite.id
    for index in range(400):
        why = client.taggings.explanation(names["result"].tagging, index)
        mine = [near for near in why.neighbours if near.probe.source_row is None]
        if mine:
            break
    assert (
        f"/datasets/{suite.examples_dataset_id}/examples/{mine[0].probe.example_index}/"
        in mine[0].picture_url
    )
    planned = client.datasets.delete("stripes-examples", dry_run=True)
    assert {one.kind for one in planned.dependants} >= {"suite", "run", "tagging"}
