"""A run from `init` to `finish` on a server that is well."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import sondage
from sondage.cli import main
from sondage.errors import Conflict, InvalidInput, NotFound, Unavailable
from sondage.recorder.sums import HostSums
from sondage.torch import Indexed
from tests.recorder.conftest import Init
from tests.recorder.fake_server import FakeServer

LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def logits_of(epoch: int) -> torch.Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(epoch))


def record(run: sondage.Run, epochs: range, size: int = 4) -> None:
    for epoch in epochs:
        for start in range(0, 6, size):
            rows = torch.arange(start, min(start + size, 6))
            run.log(rows=rows, logits=logits_of(epoch)[rows], labels=LABELS[rows])
        run.end_epoch()


def expected_loss(epochs: range) -> np.ndarray:
    return np.stack(
        [functional.cross_entropy(logits_of(e), LABELS, reduction="none").numpy() for e in epochs], axis=1
    )


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_floating_type(init: Init, server: FakeServer, dtype: torch.dtype) -> None:
    run = init()
    logits = logits_of(0).to(dtype)
    run.log(rows=torch.arange(6), logits=logits, labels=LABELS.to(torch.uint8))
    run.end_epoch()
    run.finish()
    expected = functional.cross_entropy(logits.float(), LABELS, reduction="none")
    np.testing.assert_allclose(server.run.curves("loss")[:, 0], expected, rtol=1e-6)


def test_numpy_and_torch_record_the_same(init: Init, server: FakeServer) -> None:
    for name, convert in (("numpy", lambda tensor: tensor.numpy()), ("torch", lambda tensor: tensor)):
        run = init(run=name)
        run.log(rows=convert(torch.arange(6)), logits=convert(logits_of(0)), labels=convert(LABELS))
        run.end_epoch()
        run.finish()
    by_name = {run.body["name"]: run for run in server.runs.values()}
    for channel in ("loss", "margin"):
        np.testing.assert_allclose(
            by_name["numpy"].curves(channel), by_name["torch"].curves(channel), rtol=1e-5, atol=1e-6
        )
    assert np.array_equal(by_name["numpy"].curves("predicted"), by_name["torch"].curves("predicted"))


def test_labels_of_the_dataset_serve_batches_without(init: Init, server: FakeServer) -> None:
    run = init()
    run.log(rows=[5, 0, 3], logits=logits_of(0)[[5, 0, 3]])
    run.end_epoch()
    run.finish()
    np.testing.assert_allclose(
        server.run.curves("loss")[[0, 3, 5], 0], expected_loss(range(1))[[0, 3, 5], 0], rtol=1e-5
    )


@pytest.mark.parametrize("as_torch", [True, False])
def test_examples_drawn_several_times_get_the_mean_and_a_count(
    init: Init, server: FakeServer, as_torch: bool
) -> None:
    run = init(channels=("loss", "count"))
    for loss in (np.array([1.0, 5.0, 3.0]), np.array([2.0, 7.0, 6.0])):
        rows = np.array([2, 4, 2])
        run.log(
            rows=torch.from_numpy(rows) if as_torch else rows,
            loss=torch.from_numpy(loss) if as_torch else loss,
        )
    run.end_epoch()
    run.finish()
    np.testing.assert_array_equal(server.run.curves("loss")[:, 0], [np.nan, np.nan, 3, np.nan, 6, np.nan])
    assert server.run.curves("count")[:, 0].tolist() == [0, 0, 4, 0, 2, 0]
    metrics = server.run.closed[0]["metrics"]
    assert (metrics["num_seen"], metrics["num_repeated"]) == (2, 2)


def test_channels_by_name_in_their_own_numbers(init: Init, server: FakeServer) -> None:
    run = init(channels={"loss": "float16", "norm": "float32", "views": "int8"})
    run.log(rows=[0, 1], loss=np.array([1e6, np.inf]), norm=np.array([0.5, 2.0]), views=np.array([3, 4]))
    run.end_epoch()
    run.finish()
    assert server.run.curves("loss")[:2, 0].tolist() == [65504.0, np.inf]
    assert server.run.curves("norm")[:2, 0].tolist() == [0.5, 2.0]
    assert server.run.curves("views")[:, 0].tolist() == [3, 4, -1, -1, -1, -1]


def test_losses_that_are_not_finite_are_recorded_and_counted(init: Init, server: FakeServer) -> None:
    run = init(channels=("loss",))
    run.log(rows=[0, 1, 2], loss=np.array([np.nan, np.inf, 1.5]))
    run.end_epoch(validation_accuracy=torch.tensor(0.25), broken=float("nan"))
    run.finish()
    assert np.isinf(server.run.curves("loss")[1, 0])
    closed = server.run.closed[0]
    assert closed["metrics"]["num_nonfinite"] == 2
    assert closed["metrics"]["train_loss"] == 1.5
    assert closed["metrics"]["validation_accuracy"] == 0.25
    assert closed["metrics"]["broken"] is None
    assert closed["counts"] == {"loss": 3}


def test_the_training_loss_is_not_what_is_recorded(init: Init, server: FakeServer) -> None:
    run = init(training_loss="label smoothing")
    run.log(rows=torch.arange(6), loss=torch.full((6,), 99.0), logits=logits_of(0), labels=LABELS)
    run.end_epoch()
    run.finish()
    np.testing.assert_allclose(server.run.curves("loss"), expected_loss(range(1)), rtol=1e-5)
    assert server.run.body["protocol"] == {
        "pass": "training", "loss": "cross-entropy from logits", "training_loss": "label smoothing",
    }  # fmt: skip
    with pytest.raises(InvalidInput):
        init(run="other", training_loss="mixup").log(rows=[0], loss=np.array([1.0]))


def test_a_loop_with_workers_shuffling_and_a_short_last_batch(init: Init, server: FakeServer) -> None:
    data = TensorDataset(torch.arange(6.0).reshape(6, 1), LABELS)
    run = init()
    generator = torch.Generator().manual_seed(0)
    loader = DataLoader(Indexed(data), batch_size=4, shuffle=True, num_workers=2, generator=generator)
    for _ in range(2):
        for inputs, labels, rows in loader:
            run.log(rows=rows, logits=torch.cat([inputs, 0 * inputs, 0 * inputs], dim=1), labels=labels)
        run.end_epoch()
    run.finish()
    assert server.run.closed[1]["coverage"] == 1
    assert server.run.curves("margin")[:, 0].tolist() == [0, -1, -2, 3, -4, -5]
    assert server.run.curves("margin")[:, 1].tolist() == [0, -1, -2, 3, -4, -5]


def test_a_dropped_last_batch_leaves_rows_not_seen(init: Init, server: FakeServer) -> None:
    run = init()
    run.log(rows=torch.arange(4), logits=logits_of(0)[:4], labels=LABELS[:4])
    run.end_epoch()
    run.finish()
    assert np.isnan(server.run.curves("loss")[4:, 0]).all()
    assert server.run.curves("predicted")[4:, 0].tolist() == [-1, -1]
    assert server.run.closed[0]["coverage"] == pytest.approx(4 / 6)


def test_many_rows_go_in_shards(init: Init, server: FakeServer) -> None:
    n = 70_000
    run = init(labels=np.arange(n) % 3, channels=("loss",))
    run.log(rows=np.arange(n)[::-1], loss=np.arange(n, dtype=np.float64)[::-1])
    run.end_epoch()
    run.finish()
    assert [len(server.run.parts[0, 0, "loss", shard]) for shard in (0, 1)] == [65_536, n - 65_536]
    assert np.array_equal(server.run.curves("loss")[:, 0], np.arange(n))


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


def test_what_is_no_array_is_said_at_once(init: Init) -> None:
    run = init(channels=("loss",))
    for rows, loss, field in (
        (["x"], [1.0], "rows"),
        ([[0], [1, 2]], [1.0], "rows"),
        ([0], object(), "loss"),
    ):
        with pytest.raises(InvalidInput) as caught:
            run.log(rows=rows, loss=loss)
        assert caught.value.field == field
    with pytest.raises(InvalidInput, match="one of them"):
        run.log(rows=[0], keys=[0], loss=[1.0])
    with pytest.raises(InvalidInput, match="not one number"):
        run.end_epoch(accuracy=torch.zeros(3))


def test_a_device_without_memory_costs_the_batch_and_not_the_training(
    init: Init, server: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = init(channels=("loss",))
    with monkeypatch.context() as patch:
        patch.setattr(HostSums, "log", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("no memory")))
        run.log(rows=torch.tensor([0]), loss=torch.tensor([1.0]))
    run.log(rows=torch.tensor([1]), loss=torch.tensor([2.0]))
    run.end_epoch()
    run.finish()
    np.testing.assert_array_equal(server.run.curves("loss")[:2, 0], [np.nan, 2])
    assert server.run.closed[0]["metrics"]["num_lost_batches"] == 1
    assert "no memory" in caplog.text


def test_numpy_arrays_beside_tensors_may_be_used_again(init: Init) -> None:
    run = init()
    rows, labels, loss = np.zeros(2, np.int64), np.zeros(2, np.int64), np.zeros(2, np.float32)
    for start in (0, 2, 4):
        rows[:] = [start, start + 1]
        labels[:] = LABELS[start : start + 2]
        loss[:] = start
        run.log(rows=rows, logits=logits_of(0)[start : start + 2], labels=labels, loss=loss)
    channels, count, _ = run._epoch.collect()
    assert count.tolist() == [1] * 6
    assert channels["loss"].tolist() == [0, 0, 2, 2, 4, 4]
    each = torch.arange(6)
    others = logits_of(0).index_put((each, LABELS), torch.tensor(-torch.inf)).amax(1)
    np.testing.assert_allclose(channels["margin"], logits_of(0)[each, LABELS] - others, rtol=1e-6)


@pytest.mark.parametrize(
    "rows", [np.arange(6)[::-1], np.broadcast_to(np.int64(3), 1)], ids=["backwards", "read-only"]
)
def test_numpy_arrays_of_any_layout_beside_tensors(init: Init, rows: np.ndarray) -> None:
    run = init()
    run.log(rows=rows, logits=logits_of(0)[: len(rows)], labels=LABELS[: len(rows)])
    assert run._epoch.collect()[1][rows].tolist() == [1] * len(rows)


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute:UserWarning"
)  # the compiler's own, where a call is left out
@pytest.mark.parametrize("channels", [("loss",), ("loss", "margin", "predicted")])
def test_a_compiled_step_records_every_batch(
    init: Init, channels: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Of changing sizes, until the compiler gives up making a version for each."""
    num_rows = 240
    labels = torch.arange(num_rows).remainder(2)
    run = init(labels=labels, class_names=["a", "b"], channels=channels)
    model, inputs = torch.nn.Linear(3, 2), torch.randn(num_rows, 3)

    @torch.compile(backend="eager", dynamic=False)
    def step(x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        logits = model(x)
        loss = functional.cross_entropy(logits, y, reduction="none")
        run.log(rows=rows, loss=loss, logits=logits, labels=y)
        return loss.mean()

    try:
        for rows in torch.arange(num_rows).split([4, 4, *range(5, 21), 32]):
            step(inputs[rows], labels[rows], rows).backward()
    finally:
        torch.compiler.reset()
    found, count, figures = run._epoch.collect()
    assert count.tolist() == [1] * num_rows
    assert "num_lost_batches" not in figures
    expected = functional.cross_entropy(model(inputs), labels, reduction="none").detach()
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-4, atol=1e-6)
    assert "could not be recorded" not in caplog.text


def test_tensors_written_to_cost_their_batches_and_not_the_training(
    init: Init, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    run = init(labels=torch.zeros(200, dtype=torch.int64), class_names=["a", "b"])
    for row in range(100):
        logits = torch.zeros(1, 2)
        run.log(rows=torch.tensor([row]), logits=logits, labels=torch.zeros(1, dtype=torch.int64))
        if row % 10 == 0:
            logits.add_(torch.tensor([1.0, 0.0]))
    run.end_epoch()
    run.finish()
    losses = server.run.curves("loss")[:, 0]
    assert np.flatnonzero(np.isfinite(losses)).tolist() == [row for row in range(100) if row % 10]
    np.testing.assert_allclose(losses[np.isfinite(losses)], np.log(2), rtol=1e-6)
    assert server.run.closed[0]["metrics"]["num_lost_batches"] == 10
    said = [one for one in caplog.records if one.name == "sondage" and one.levelname == "WARNING"]
    assert ["clone" in one.getMessage() for one in said] == [True]


def test_all_batches_that_could_not_be_worked_out_are_counted(
    init: Init, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = init()
    for row in range(6):
        run.log(rows=torch.tensor([row]), logits=logits_of(0)[row : row + 1])
    with monkeypatch.context() as patch:
        patch.setattr(torch, "cat", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("no memory")))
        _, count, figures = run._epoch.collect()
    assert figures["num_lost_batches"] == 6
    assert not count.any()
    run.log(rows=torch.arange(6), logits=logits_of(0))
    _, count, figures = run._epoch.collect()
    assert "num_lost_batches" not in figures
    assert count.tolist() == [1] * 6
