"""Calibration by reviews through the client and the command line, on a real server: the guide, done as it says."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sondage.client import Client
from sondage.errors import NotFound

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "review.md"
NUM, NUM_WRONG = 600, 90
Sondage = Callable[..., int]


def wrong(index: int) -> bool:
    """Every seventh of the first 630, roughly: spread over both classes."""
    return index % 20 in (3, 10, 16)


@pytest.fixture(scope="module")
def tagging(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Vectors of two classes that a model learns at once; 15 % of the labels are wrong."""
    rng = np.random.default_rng(0)
    truth = np.arange(NUM) % 2
    given = np.where([wrong(index) for index in range(NUM)], 1 - truth, truth)
    assert (given != truth).sum() == NUM_WRONG
    file = tmp_path_factory.mktemp("files") / "flipped.npz"
    np.savez(file, x_train=(rng.normal(size=(NUM, 4)) + 4 * truth[:, None]).astype("float32"), y_train=given)
    with Client(server_url) as client:
        dataset = client.datasets.add(file)
        started = client.runs.start(dataset, name="flipped", recipe={"num_epochs": 4})
        started.wait()
        return client.taggings.get("flipped").id


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.M | re.S)


def test_the_guide_in_python(tagging: int, server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONDAGE_URL", server_url)
    names: dict[str, Any] = {"ask": lambda one: "exclude" if wrong(one.index) else "keep"}
    for text in blocks("python"):
        exec(compile(text, GUIDE.name, "exec"), names)  # noqa: S102  # our own page
    share = names["found"].share_wrong
    assert share.low <= NUM_WRONG / NUM <= share.high
    assert names["frame"]["probability_wrong"].mean() == pytest.approx(share.value, abs=0.03)
    assert set(names["frame"]["calibration"]) == {"reviews"}
    names["client"].close()


def test_the_guide_at_the_terminal(
    tagging: int,
    sondage: Sondage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    first, *others = [shlex.split(line)[1:] for block in blocks("sh") for line in block.splitlines()]
    assert sondage(*first) == 0
    rows = list(csv.DictReader(Path("sample.csv").read_text().splitlines()))
    assert len(rows) == 100
    for row in rows:
        row["decision"] = "relabel" if wrong(int(row["index"])) else "keep"
        row["label"] = {"0": "1", "1": "0"}[row["label_name"]] if row["decision"] == "relabel" else ""
    with Path("sample.csv").open("w", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    capsys.readouterr()
    for words in others:
        assert sondage(*words) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.count("wrong labels") == 2
    assert sondage("review", "sample", "latest", "--size", "150", "--format", "csv") == 0
    assert len(capsys.readouterr().out.splitlines()) == 151


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,word\n1,keep\n", "no column 'decision'"),
        ("index,decision,label\n1,relabel,horse\n", "no class 'horse'"),
        ("index,decision\n1,maybe\n", "decision"),
    ],
)
def test_a_file_that_is_wrong_is_refused(
    tagging: int,
    sondage: Sondage,
    tmp_path: Path,
    text: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text)
    assert sondage("review", "submit", str(file), str(tagging)) == 2
    assert message in capsys.readouterr().err


def test_what_is_not_there_is_said(tagging: int, client: Client) -> None:
    fresh = client.taggings.create("flipped")
    reviews = client.taggings.reviews(fresh)
    with pytest.raises(NotFound, match="not calibrated"):
        reviews.calibration()
    assert reviews.sample().size == 0
    client.taggings.delete(fresh)
