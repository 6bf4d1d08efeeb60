"""Curves go to the examples they are of: ids are the dataset's keys, and nothing of a former attempt gets in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sondage
from sondage.cli import main
from sondage.errors import Conflict, InvalidInput
from sondage.recorder.spool import RunFolder
from tests.recorder.conftest import Init
from tests.recorder.fake_server import FakeServer
from tests.recorder.six_examples import LABELS

IDS = [f"e{number}" for number in range(6)]


def train(run: sondage.Run, *losses: float) -> None:
    for loss in losses:
        run.log(rows=np.arange(6), loss=np.full(6, float(loss)))
        run.end_epoch()


def died(run: sondage.Run) -> Path:
    """The process ends without `finish`."""
    path = run._parts.outbox.folder.path
    run._parts.outbox.wait_until_spooled(5)
    run.give_way()
    return path


def registered(init: Init) -> dict[str, Any]:
    """A dataset with ids is on the server; what records another run on it by name."""
    init(ids=IDS, run="first", channels=("loss",)).finish()
    return {"labels": None, "class_names": None, "channels": ("loss",)}


# ---- ids of a dataset that is there already


def test_ids_are_the_keys_of_the_dataset_in_its_order(init: Init, server: FakeServer) -> None:
    by_name = registered(init)
    for wrong in (IDS[::-1], [f"z{number}" for number in range(6)]):
        with pytest.raises(InvalidInput, match="not the keys of dataset toy") as caught:
            init(ids=wrong, **by_name)
        assert caught.value.field == "ids"
    run = init(ids=IDS, **by_name)
    run.log(keys=["e3"], loss=np.array([3.0]))
    run.end_epoch()
    run.finish()
    recorded = next(one for one in server.runs.values() if one.body["name"] == "r")
    np.testing.assert_array_equal(recorded.curves("loss")[:, 0], [np.nan, np.nan, np.nan, 3, np.nan, np.nan])


def test_other_ids_are_found_out_when_the_run_is_sent(
    init: Init, server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_name = registered(init)
    run = init(ids=IDS[::-1], mode="offline", **by_name)
    train(run, 1)
    run.finish()
    assert main(["--url", server.url, "sync", str(tmp_path / "spool")]) == 1
    assert "error: run r: The ids that init was given are not the keys" in capsys.readouterr().err
    assert len(list((tmp_path / "spool").rglob("*.epoch"))) == 1
    assert [one.body["name"] for one in server.runs.values() if one.closed] == []


def test_a_server_that_comes_back_refuses_other_ids(
    init: Init, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    by_name = registered(init)
    server.stop()
    run = init(ids=IDS[::-1], **by_name)
    train(run, 1)
    server.start()
    run.finish()
    assert "not the keys of dataset toy" in caplog.records[-1].getMessage()
    assert run.num_unsent == 1


# ---- what an attempt left that recorded nothing


def planted() -> list[dict[str, object]]:
    return [
        {"row": 6, "category": "noisy", "role": "fit", "source_row": 2, "label": 0, "generator": "flip"},
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_probes_of_an_attempt_that_recorded_nothing_are_none(
    init: Init, server: FakeServer, tmp_path: Path, mode: str
) -> None:
    first = init(mode=mode, channels=("loss",))
    first.plant(planted())
    assert (died(first) / "probes.json").exists()
    run = init(mode=mode, channels=("loss",))
    train(run, 1)
    run.finish()
    assert main(["--url", server.url, "sync", str(tmp_path / "spool")]) == 0
    assert server.run.probes == []
    assert server.run.curves("loss")[:, 0].tolist() == [1] * 6
    assert server.run.closed[0]["coverage"] == 1


def test_the_dataset_of_an_attempt_that_recorded_nothing_is_none(init: Init, server: FakeServer) -> None:
    server.add_dataset("known", 6, ["a", "b"])
    path = died(init(mode="offline", dataset="other", ids=IDS, channels=("loss",)))
    assert (path / "dataset.arrow").exists()
    run = init(dataset="known", labels=None, class_names=None, channels=("loss",))
    assert not (path / "dataset.arrow").exists()
    train(run, 1)
    run.finish()
    assert set(server.datasets) == {"known"}
    assert server.run.body["dataset_id"] == 1


def test_resume_goes_on_with_an_attempt_that_recorded_nothing(init: Init) -> None:
    first = init(mode="offline", channels=("loss",))
    first.plant(planted())
    path = died(first)
    again = init(mode="offline", channels=("loss",), resume=True)
    assert len(RunFolder(path, 0).probes()) == again._parts.spec.num_made == 1
    died(again)
    other = init(mode="offline", channels=("loss",), labels=LABELS.tolist()[::-1], resume=True)
    assert RunFolder(path, 0).probes() == []
    assert other._parts.spec.num_made == 0


def test_a_rank_takes_over_what_another_one_of_its_training_wrote(init: Init) -> None:
    """It is not a former attempt's; and one that waits for the folder does not clear what the first has written."""
    first = init(mode="offline", channels=("loss",), rank=0, world_size=2)
    first.plant(planted())
    second = init(mode="offline", channels=("loss",), rank=1, world_size=2)
    assert second._parts.spec.num_made == 1
    assert (second._parts.outbox.folder.path / "probes.json").exists()


# ---- resume


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"ids": IDS[::-1]}, "ids"),
        ({"labels": [0, 1, 2, 0, 2, 1]}, "labels"),
        ({"class_names": ["a", "c", "b"]}, "class_names"),
        ({"splits": ["train"] * 5 + ["test"]}, "splits"),
    ],
)
def test_resume_with_other_examples_is_refused(init: Init, changed: dict[str, Any], named: str) -> None:
    usual = {"ids": IDS, "mode": "offline", "channels": ("loss",)}
    first = init(**usual)
    train(first, 1)
    died(first)
    with pytest.raises(Conflict, match=f"differs in {named}: resume it with what it was begun with"):
        init(**{**usual, **changed}, resume=True)
    assert init(**usual, resume=True).next_epoch == 1


def test_resume_by_name_alone_goes_on_with_what_was_said(init: Init, tmp_path: Path) -> None:
    usual = {"mode": "offline", "channels": ("loss",)}
    first = init(ids=IDS, **usual)
    train(first, 1)
    path = died(first)
    died(init(**usual, labels=None, class_names=None, resume=True))
    assert set(RunFolder(path, 0).spec().examples) == {"ids", "labels", "class_names"}  # type: ignore[union-attr]
    with pytest.raises(Conflict, match="ids"):
        init(ids=IDS[::-1], **usual, resume=True)


def test_labels_for_a_run_on_a_registered_dataset_are_refused(init: Init) -> None:
    usual = {"mode": "offline", "channels": ("loss",)}
    first = init(num_examples=6, labels=None, class_names=None, **usual)
    train(first, 1)
    died(first)
    with pytest.raises(Conflict, match="differs in labels"):
        init(**usual, resume=True)
    assert init(ids=IDS, labels=None, class_names=None, **usual, resume=True).next_epoch == 1
