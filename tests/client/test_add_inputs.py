"""① Recorded first, inputs later: from `sondage.init` to thumbnails and a training of the worker's, for real."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import sondage as library
from sondage.client import Client
from sondage.errors import Conflict, InvalidInput, JobFailed

Sondage = Callable[..., int]
NUM = 80
LABELS = np.arange(NUM) % 2


def picture(row: int) -> bytes:
    """Cats are dark, dogs are bright."""
    out = io.BytesIO()
    Image.new("L", (8, 8), int(40 + 150 * LABELS[row] + row % 7)).save(out, "PNG")
    return out.getvalue()


def recorded(url: str, name: str, folder: Path) -> int:
    """A run of a loop of one's own, on examples that the server knows by id and label alone."""
    ids = [f"img-{row}" for row in range(NUM)]
    run = library.init(
        dataset=name, run=name, labels=LABELS, ids=ids, class_names=["cat", "dog"], channels=("loss",),
        url=url, spool=folder / "spool",
    )  # fmt: skip
    run.log(rows=np.arange(NUM), loss=np.linspace(0, 1, NUM, dtype=np.float32))
    run.end_epoch()
    run.finish()
    with Client(url) as client:
        return client.datasets.get(name).id


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    order = np.random.default_rng(0).permutation(NUM)
    file = tmp_path_factory.mktemp("files") / "pictures.parquet"
    pd.DataFrame({
        "id": [f"img-{row}" for row in order],
        "image": [{"bytes": picture(row), "path": None} for row in order],
        "label": [("cat", "dog")[LABELS[row]] for row in order],
    }).to_parquet(file)  # fmt: skip
    return file


def test_pictures_come_later(
    sondage: Sondage, client: Client, server_url: str, pictures: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    number = recorded(server_url, "later", tmp_path)
    assert sondage("dataset", "show", "later") == 0
    assert "labels only" in capsys.readouterr().out
    before = client.datasets.get(number)
    assert sondage("dataset", "add-inputs", "later", pictures, "--key-column", "id") == 0
    out = capsys.readouterr()
    assert "image" in out.out
    assert "already" not in out.err
    after = client.datasets.get(number)
    assert (after.modality, after.fingerprint, after.version) == ("image", before.fingerprint, before.version)
    assert client.runs.get("later").epochs_done == 1
    for row in (0, 1, NUM - 1):
        shown = Image.open(io.BytesIO(client.datasets.thumbnail(number, row)))
        assert shown.convert("L").getpixel((0, 0)) == 40 + 150 * LABELS[row] + row % 7
    assert recorded(server_url, "later-again", tmp_path) != number
    assert sondage("dataset", "add-inputs", "later", pictures, "--key-column", "id") == 0
    assert "It had these inputs already." in capsys.readouterr().err
    started = client.runs.start(number, name="ours", suite=None, seeds=[0], recipe={"num_epochs": 2}).wait()
    assert client.runs.curves(started.runs[0]).shape == (NUM, 2)


def test_what_does_not_fit_is_said_in_words(
    sondage: Sondage, client: Client, server_url: str, pictures: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    number = recorded(server_url, "unfit", tmp_path)
    with pytest.raises(JobFailed, match=r"name its ids with key_column"):
        client.datasets.add_inputs(number, pictures)
    with pytest.raises(InvalidInput, match="limit"):
        client.datasets.add_inputs(number, pictures, limit=3)  # type: ignore[call-overload]
    assert sondage("dataset", "add-inputs", "unfit", pictures, "--match", "place") == 2
    frame = pd.read_parquet(pictures)
    frame["label"] = frame["label"].where(frame["id"] != "img-7", "cat")
    frame.to_parquet(tmp_path / "other.parquet")
    capsys.readouterr()
    assert sondage("dataset", "add-inputs", "unfit", tmp_path / "other.parquet", "--key-column", "id") == 1
    said = capsys.readouterr().err
    assert "its label is 'cat'; that of example 'img-7' is 'dog'" in said
    assert "--ignore-labels" in said
    assert client.datasets.get(number).modality == "none"
    options = ("--key-column", "id", "--ignore-labels")
    assert sondage("dataset", "add-inputs", "unfit", tmp_path / "other.parquet", *options) == 0
    assert client.datasets.example(number, 7).label_name == "dog", "what was recorded stays"
    digits = client.datasets.add("digits", name="with-inputs", limit=100)
    with pytest.raises(Conflict, match="registered with its inputs"):
        client.datasets.add_inputs(digits, pictures, key_column="id")
