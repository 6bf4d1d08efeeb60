"""A run from `init` to `finish` on a server that is well."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import sondage
from sondage.cli import main
from sondage.errors import Conflict, InvalidInput, NotFound, Unavailable
from sondage.torch import Indexed
from tests.recorder.conftest import Init
from tests.recorder.fake_server import FakeServer
from tests.recorder.six_examples import LABELS, expected_loss, logits_of, record


def test_what_is_logged_arrives_whole(init: Init, server: FakeServer) -> None:
    run = init(num_epochs=3)
    record(run, range(3))
    run.finish()
    assert server.run.state == "finished"
    np.testing.assert_allclose(server.run.curves("loss"), expected_loss(range(3)), rtol=1e-5)
    predicted = np.stack([logits_of(e).argmax(1).numpy() for e in range(3)], axis=1)
    assert server.run.curves("predicted").tolist() == predicted.tolist()
    assert server.run.body["channels"] == {"loss": "float32", "margin": "float32", "predicted": "int16"}
    assert run.num_unsent == 0


def test_the_spool_is_empty_once_the_server_has_it_all(init: Init, tmp_path) -> None:
    run = init()
    record(run, range(2))
    run.finish()
    assert list((tmp_path / "spool").iterdir()) == []


def test_the_dataset_is_made_from_ids_and_labels(init: Init, server: FakeServer) -> None:
    run = init(ids=[f"e{i}" for i in range(6)], splits=["train"] * 4 + ["test"] * 2)
    run.log(
        keys=["e3", "e0", "e1"], loss=np.array([3.0, 0, 1]), margin=np.zeros(3), predicted=np.zeros(3, int)
    )
    run.end_epoch()
    run.finish()
    table = server.tables["toy"]
    assert table["key"].to_pylist() == [f"e{i}" for i in range(6)]
    assert table["label"].to_pylist() == LABELS.tolist()
    assert table["split"].to_pylist() == ["train"] * 4 + ["test"] * 2
    np.testing.assert_array_equal(server.run.curves("loss")[:, 0], [0, 1, np.nan, 3, np.nan, np.nan])
    assert server.run.closed[0]["coverage"] == 0.75


def test_a_registered_dataset_needs_only_its_name(init: Init, server: FakeServer) -> None:
    server.add_dataset("known", 5, ["a", "b"])
    run = init(dataset="known", labels=None, class_names=None, channels=("loss",))
    run.log(rows=[4, 1], loss=np.array([4.0, 1.0]))
    with pytest.raises(InvalidInput, match="0…4"):
        run.log(rows=[5], loss=np.array([4.0]))
    run.end_epoch()
    run.finish()
    np.testing.assert_array_equal(server.run.curves("loss")[:, 0], [np.nan, 1, np.nan, np.nan, 4])


def test_nothing_but_rows_and_numbers_is_on_the_wire(init: Init, server: FakeServer) -> None:
    """The whole of what was sent is accounted for: nothing else left this machine."""
    secret = torch.full((6, 8), 424242.0)
    data = TensorDataset(secret, LABELS)
    run = init(ids=[f"id-{i}" for i in range(6)])
    for inputs, labels, rows in DataLoader(Indexed(data), batch_size=6):
        run.log(rows=rows, logits=inputs[:, :3] * 0, labels=labels)
    run.end_epoch(note="fine")
    run.finish()
    kinds = {
        ("POST", "/datasets/recorded"), ("GET", "/runs"), ("POST", "/runs/recorded"), ("POST", "/runs/1/finish"),
        ("POST", "/runs/1/epochs/0"), *(("PUT", f"/runs/1/curves/{c}/0/0") for c in ("loss", "margin", "predicted")),
    }  # fmt: skip
    assert {
        (one.method, one.path.removeprefix("/api/v1/projects/default")) for one in server.requests
    } == kinds
    for request in server.requests:
        assert request.headers["sondage-client"] == f"{sondage.__version__}; protocol=1"
        assert set(request.headers) <= {
            "host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length",
            "sondage-client", "idempotency-key",
        }  # fmt: skip
        assert np.float32(424242.0).tobytes() not in request.body
        if request.path.endswith("/datasets/recorded"):
            assert pa.ipc.open_stream(request.body).read_all().column_names == ["label", "key"]
        elif request.method == "PUT":
            assert len(request.body) == 6 * np.dtype(request.query["dtype"]).itemsize
        elif request.path.endswith("/epochs/0"):
            assert set(json.loads(request.body)) == {"rank", "metrics", "counts", "coverage", "force"}


def test_a_context_manager_says_how_it_ended(init: Init, server: FakeServer) -> None:
    with init() as run:
        record(run, range(1))
    assert server.run.state == "finished"
    with pytest.raises(ZeroDivisionError), init(run="broken"):
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), init(run="stopped"):
        raise KeyboardInterrupt
    assert [run.state for run in server.runs.values()] == ["finished", "failed", "aborted"]


def test_a_run_goes_on_where_it_was(init: Init, server: FakeServer) -> None:
    run = init()
    record(run, range(2))
    run.finish("failed")
    with pytest.raises(Conflict, match="already"):
        init()
    again = init(resume=True)
    assert again.next_epoch == 2
    record(again, range(2, 4))
    again.finish()
    np.testing.assert_allclose(server.run.curves("loss"), expected_loss(range(4)), rtol=1e-5)


def test_epochs_trained_again_stay_as_they_were_recorded_first(init: Init, server: FakeServer) -> None:
    run = init(channels=("loss",))
    for epoch, loss in ((0, 0.0), (1, 1.0), (1, 9.0), (2, 2.0)):
        run.log(rows=[0], loss=np.array([loss]))
        run.end_epoch(epoch=epoch)
    with pytest.raises(InvalidInput, match="none may be left out"):
        run.end_epoch(epoch=7)
    run.finish()
    assert server.run.curves("loss")[0].tolist() == [0, 1, 2]


def test_nothing_is_recorded_after_the_end(init: Init) -> None:
    run = init()
    run.finish()
    run.finish()
    with pytest.raises(InvalidInput, match="resume=True"):
        run.log(rows=[0], logits=np.zeros((1, 3)))
    with pytest.raises(InvalidInput, match="resume=True"):
        run.end_epoch()


def test_tags_need_an_end_and_a_server_that_has_it_all(init: Init) -> None:
    with pytest.raises(Conflict, match="finish"):
        init().tag()
    run = init(run="offline", mode="offline")
    record(run, range(1))
    run.finish()
    with pytest.raises(Unavailable, match="sondage sync"):
        run.tag(timeout_seconds=0.1)


def test_a_dataset_that_is_not_there_is_said_at_once(init: Init) -> None:
    with pytest.raises(NotFound, match="unheard"):
        init(dataset="unheard", labels=None, class_names=None)


def test_a_count_that_disagrees_is_said_at_once(init: Init, server: FakeServer) -> None:
    server.add_dataset("known", 5, ["a", "b"])
    with pytest.raises(InvalidInput, match="5 examples"):
        init(dataset="known", labels=None, class_names=None, num_examples=7)


def test_two_processes_do_not_record_one_run(init: Init, tmp_path) -> None:
    import subprocess
    import sys

    init(mode="offline")
    program = (
        "import sondage\n"
        "try:\n"
        f"    sondage.init(dataset='toy', run='r', labels=[0, 1], mode='offline', spool={str(tmp_path / 'spool')!r})\n"
        "except sondage.Conflict as fault:\n"
        "    print(fault)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "another process records this run" in done.stdout


def test_a_disabled_run_does_nothing(server: FakeServer, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with sondage.init(dataset="toy", mode="disabled") as run:
        run.log(rows="whatever", loss=None)
        run.end_epoch(accuracy=1)
    assert len(run.tag().wait().to_pandas()) == 0
    assert (run.next_epoch, run.num_unsent, run.num_lost) == (0, 0, 0)
    assert server.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_copy_in_another_process_records_nothing(init: Init, server: FakeServer) -> None:
    run = init()
    before = len(server.requests)
    copy = pickle.loads(pickle.dumps(run))  # noqa: S301  # our own bytes
    copy.log(rows=[0], logits=np.zeros((1, 3)))
    copy.end_epoch()
    copy.finish()
    assert copy.name == run.name
    assert len(server.requests) == before


def planted(row: int, source: int, label: int) -> dict[str, object]:
    return {
        "row": row, "category": "noisy", "role": "fit", "source_row": source, "label": label, "generator": "flip",
    }  # fmt: skip


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_planted_probes_have_rows_behind_the_examples(
    init: Init, server: FakeServer, tmp_path, mode: str
) -> None:
    run = init(mode=mode)
    probes = [planted(6, 2, 0), planted(7, 3, 1)]
    run.plant(probes)
    rows = torch.tensor([0, 1, 4, 5, 6, 7])
    logits = torch.eye(3)[torch.tensor([0, 1, 1, 2, 0, 1])]
    run.log(rows=rows, logits=logits)  # labels of probes are known, too
    with pytest.raises(Conflict, match="before the first batch"):
        run.plant(probes)
    run.end_epoch()
    run.finish()
    if mode == "offline":
        assert main(["--url", server.url, "sync", str(tmp_path / "spool")]) == 0
    assert server.run.probes == probes
    np.testing.assert_array_equal(server.run.curves("margin")[:, 0], [1, 1, np.nan, np.nan, 1, 1, 1, 1])
    assert server.run.closed[0]["coverage"] == 1


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"num_epochs": -1}, "num_epochs is -1: a whole number from 1"),
        ({"num_epochs": 0}, "num_epochs is 0"),
        ({"num_epochs": "many"}, "num_epochs is 'many'"),
        ({"num_epochs": 1_000_001}, "1,000,000"),
        ({"channels": ["loss", *(f"c{number}" for number in range(32))]}, "names 33.*at most 32"),
        ({"rank": 0, "world_size": 4_097}, "at most 4096"),
        ({"dataset": "\ud800"}, "dataset is"),
    ],
)
def test_what_the_server_would_refuse_is_refused_offline(
    init: Init, tmp_path, arguments: dict[str, object], match: str
) -> None:
    with pytest.raises(InvalidInput, match=match):
        init(mode="offline", **arguments)
    assert not (tmp_path / "spool").exists()
