"""Two machines begin runs of one name while the server is away: both get there. On a real server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import sondage
from sondage.cli import main
from sondage.client import Client
from sondage.errors import Conflict, InvalidInput
from sondage.recorder.sync import rename
from tests.recorder.conftest import Init
from tests.recorder.fake_server import FakeServer


@pytest.fixture
def two_machines(server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Their spools, each with a run `clash` that has ended."""
    monkeypatch.setenv("SONDAGE_URL", server_url)
    spools = [tmp_path / "first", tmp_path / "second"]
    for place, spool in enumerate(spools):
        run = offline(spool, "clash")
        train(run, place)
        run.finish()
    return spools


def offline(spool: Path, name: str, **more: object) -> sondage.Run:
    return sondage.init(
        dataset="clashing",
        run=name,
        labels=[0, 1, 1],
        channels=("loss",),
        mode="offline",
        spool=spool,
        **more,
    )


def train(run: sondage.Run, loss: float) -> None:
    run.log(rows=[0, 1, 2], loss=np.full(3, loss, np.float32))
    run.end_epoch()


def test_the_later_one_is_sent_under_another_name(
    two_machines: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = map(str, two_machines)
    assert main(["sync", first]) == 0
    assert main(["sync", second]) == 1
    (waits,) = two_machines[1].iterdir()
    assert f"sondage sync {waits} --rename NAME" in capsys.readouterr().err
    assert main(["sync", second, "--rename", "clash-too"]) == 0
    assert list(two_machines[1].iterdir()) == []
    with Client() as client:
        assert client.runs.curves("clash").tolist() == [[0]] * 3
        assert client.runs.curves("clash-too").tolist() == [[1]] * 3


def test_a_renamed_run_can_be_gone_on_with(tmp_path: Path) -> None:
    run = offline(tmp_path, "old")
    train(run, 0)
    run.give_way()
    renamed = rename(tmp_path, "new")
    assert json.loads((renamed / "run.json").read_text())["run"] == "new"
    again = offline(tmp_path, "new", resume=True)
    assert again.next_epoch == 1
    again.finish()
    assert list(tmp_path.iterdir()) == [renamed]


def test_what_cannot_be_renamed(tmp_path: Path) -> None:
    runs = [offline(tmp_path, name) for name in ("one", "two")]
    for run in runs:
        train(run, 0)
    folders = sorted(tmp_path.iterdir())
    with pytest.raises(Conflict, match="in use"):
        rename(folders[0], "three")
    for run in runs:
        run.finish()
    with pytest.raises(InvalidInput, match="2 runs, and one"):
        rename(tmp_path, "three")
    with pytest.raises(InvalidInput, match="no runs"):
        rename(tmp_path / "nowhere", "three")
    with pytest.raises(InvalidInput, match="no slash"):
        rename(folders[0], "a/b")
    with pytest.raises(Conflict, match="choose another name"):
        rename(folders[0], "two")
    state = folders[0] / "rank0.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "sent_epochs": 1}))
    with pytest.raises(Conflict, match="server has 1 epochs of run 'one'"):
        rename(folders[0], "three")
    assert sorted(tmp_path.iterdir()) == folders


def test_a_training_whose_name_was_taken_meanwhile_says_how_to_keep_it(
    init: Init, server: FakeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    early = init(channels=("loss",), spool=tmp_path / "elsewhere")
    train(early, 0)
    early.finish()
    server.stop()
    late = init(channels=("loss",))
    train(late, 1)
    server.start()
    late.finish()
    (waits,) = (tmp_path / "spool").iterdir()
    said = caplog.records[-1].getMessage()
    assert "There is a run 'r' already" in said
    assert said.endswith(f"sondage sync {waits} --rename NAME")
    assert main(["--url", server.url, "sync", str(waits), "--rename", "late"]) == 0
    assert {run.body["name"]: run.curves("loss")[0].tolist() for run in server.runs.values()} == {
        "r": [0], "late": [1],
    }  # fmt: skip
