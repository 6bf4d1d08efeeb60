"""What `log` takes: types, devices, layouts, examples drawn again, batches that cannot be worked out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from sondage.errors import InvalidInput
from sondage.recorder.sums import HostSums
from sondage.torch import Indexed
from tests.recorder.conftest import Init
from tests.recorder.fake_server import FakeServer
from tests.recorder.six_examples import LABELS, expected_loss, logits_of


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
    """Of changing sizes, until the compiler gives up making a version for each: here after three."""
    num_rows = 130
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
        with torch._dynamo.config.patch(recompile_limit=3):
            for rows in torch.arange(num_rows).split([4, 4, *range(5, 14), 32, 9]):
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
