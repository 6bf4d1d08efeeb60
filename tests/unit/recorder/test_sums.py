"""Sums by row in host memory, beside a slow loop; and how much memory a recording takes."""

import logging
import threading
import tracemalloc

import numpy as np
import pytest
import torch

import sondage
from sondage.errors import InvalidInput
from sondage.recorder import outbox, spool, sums
from sondage.recorder.figures import figures
from sondage.recorder.outbox import Outbox
from sondage.recorder.parcel import Parcel
from sondage.recorder.sums import HostSums
from sondage.torch import EpochBuffer
from sondage.torch.sums import DeviceSums

DTYPES = {"loss": "float32", "views": "int16", "count": "int32"}


@pytest.mark.parametrize("num_rows", [50, None])
@pytest.mark.parametrize("sizes", [[1] * 200, [7, 64, 65, 3], [200, 1, 63, 64]])
def test_sums_are_those_of_a_loop(monkeypatch, num_rows, sizes):
    monkeypatch.setattr(sums, "STAGED_VALUES", 64)
    monkeypatch.setattr(sums, "FIRST_CAPACITY", 4)
    rng, held = np.random.default_rng(0), HostSums(num_rows, DTYPES)
    for _ in range(2):  # the second epoch begins anew
        total, views, count = np.zeros(50), np.full(50, -1), np.zeros(50, int)
        for size in sizes:
            rows, loss = rng.integers(0, 50, size), rng.random(size).astype(np.float32)
            for row, value in zip(rows.tolist(), loss.tolist(), strict=True):
                count[row] += 1
                views[row] = row + 100
                total[row] += value
            arrays = {"loss": loss, "views": rows + 100}
            held.log(rows, arrays)
            rows[:], loss[:] = 0, 9.0  # they were copied
        found, seen = held.take()
        n = len(seen)
        assert seen.tolist() == count[:n].tolist()
        assert not count[n:].any()
        assert found["views"].tolist() == views[:n].tolist()
        np.testing.assert_allclose(found["loss"], total[:n], rtol=1e-5)


@pytest.mark.parametrize("size", [3, sums.STAGED_VALUES + 1])
@pytest.mark.parametrize("row", [-1, 10, -(2**63), 2**62])
def test_nothing_is_taken_of_a_batch_with_a_wrong_row(size, row):
    held = HostSums(10, {"loss": "float32"})
    rows = np.zeros(size, np.int64)
    rows[-1] = row
    with pytest.raises(InvalidInput, match="0…9"):
        held.log(rows, {"loss": np.ones(size, np.float32)})
    assert not held.take()[1].any()


@pytest.mark.parametrize("row", [-1, 50_000_000, 2**31, 2**62])
def test_rows_that_no_dataset_has_ask_for_no_memory(row):
    """Their number is not known, and memory grows with them: ids taken for rows would ask for all there is."""
    buffer, host = EpochBuffer(None, channels={"loss": "float32"}), HostSums(None, {"loss": "float32"})
    for log in (
        lambda: host.log(np.array([0, row]), {"loss": np.ones(2, np.float32)}),
        lambda: buffer.log(torch.tensor([0, row]), loss=torch.ones(2)),
    ):
        with pytest.raises(InvalidInput, match="50,000,000"):
            log()
    device = DeviceSums(None, {"loss": "float32"}, CPU)
    add(device, 3, 1.0)
    add(device, row, 1.0)
    assert device._capacity == sums.FIRST_CAPACITY
    with pytest.raises(InvalidInput, match="rows are 0…49999999"):
        device.take()
    add(device, 3, 5.0)
    assert device.take()[0]["loss"].tolist() == [0, 0, 0, 5]


def test_tensors_in_host_memory_are_copied():
    buffer, loss = EpochBuffer(3, channels={"loss": "float32"}), torch.tensor([1.0, 2.0], requires_grad=True)
    rows = torch.tensor([0, 2])
    buffer.log(rows, loss=loss * 1)
    given = torch.tensor([5.0])
    buffer.log(rows[1:], loss=given)
    given.zero_()
    np.testing.assert_array_equal(buffer.flush()["loss"], [1, np.nan, 3.5])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_losses_of_other_types_and_beyond_float32(dtype):
    buffer = EpochBuffer(3, channels={"loss": "float32"})
    buffer.log(torch.tensor([0, 1], dtype=torch.int32), loss=torch.tensor([1.5, torch.inf], dtype=dtype))
    if dtype is torch.float64:
        buffer.log(torch.tensor([2]), loss=torch.tensor([1e300], dtype=dtype))
    found = buffer.flush()["loss"]
    assert found[:2].tolist() == [1.5, np.inf]
    assert np.isinf(found[2]) if dtype is torch.float64 else np.isnan(found[2])


@pytest.mark.parametrize("wrong", [[np.nan], [np.inf], [np.inf, -np.inf], [np.nan] * 3])
def test_figures_count_what_is_not_finite(wrong):
    losses = np.array([*wrong, 1.0, 2.0, 0.0], np.float32)
    count = np.array([*[1] * len(wrong), 1, 2, 0], np.int32)
    found = figures({"loss": losses, "margin": losses}, count)
    assert found["num_nonfinite"] == len(wrong)
    assert found["train_loss"] == 1.5
    assert (found["num_seen"], found["num_repeated"]) == (len(wrong) + 2, 1)
    assert figures({"loss": losses[:1]}, np.zeros(1))["train_loss"] is None


def test_memory_is_one_epoch_and_a_bounded_queue(monkeypatch, tmp_path):
    """The disk is full and the server away: the worst that the queue can hold."""
    monkeypatch.setattr(outbox, "KEPT_BYTES", 0)
    monkeypatch.setattr(logging.getLogger("sondage"), "disabled", True)
    num_rows, batch = 400_000, 4096
    labels = np.arange(num_rows) % 2
    run = sondage.init(
        dataset="d", run="r", labels=labels, channels=("loss",), mode="offline", spool=tmp_path
    )

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    tried = threading.Semaphore(0)
    written = Outbox._written

    def counted(self: Outbox, parcel: Parcel) -> bool:
        try:
            return written(self, parcel)
        finally:
            tried.release()

    with monkeypatch.context() as patch:
        patch.setattr(spool, "_write", full)
        patch.setattr(Outbox, "_written", counted)
        loss = np.ones(batch, np.float32)
        tracemalloc.start()
        try:
            for _ in range(outbox.KEPT_EPOCHS + 4):
                for start in range(0, num_rows - batch, batch):
                    run.log(rows=np.arange(start, start + batch), loss=loss)
                run.end_epoch()
                # The content of a file that is being written comes on top for a moment: not at any time, but now.
                assert tried.acquire(timeout=2 * outbox.RETRY_DISK_SECONDS)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert run.num_lost == 4
    per_row = 4
    # Sums and counts of the epoch under way, the loss of each epoch that waits and of the one that is handed over;
    # two masks of its rows, and what is staged.
    epochs = num_rows * per_row * (2 + outbox.KEPT_EPOCHS + 2)
    assert peak < epochs + 2 * num_rows + (2 << 20)
    run.finish(timeout_seconds=0.1)


CPU = torch.device("cpu")


def add(held, row, loss):
    rows, losses = torch.tensor([row]), torch.tensor([loss])
    held.add(held.within(rows), {"loss": losses})


@pytest.mark.parametrize("num_rows", [3000, None])
def test_sums_begun_in_inference_mode_go_on_outside(num_rows):
    with torch.inference_mode():
        held = DeviceSums(num_rows, {"loss": "float32"}, CPU)
        add(held, 0, 1.0)
    add(held, 0, 2.0)
    with torch.inference_mode():
        add(held, 2999, 4.0)
    add(held, 2999, 8.0)
    for begun_inside in (False, True):
        sums, count = held.take()
        assert sums["loss"][[0, 2999]].tolist() == [3, 12]
        assert (count[0], count[2999], count.sum()) == (2, 2, 4)
        with torch.inference_mode(begun_inside):
            for row, loss in ((0, 3.0), (0, 0.0), (2999, 12.0), (2999, 0.0)):
                add(held, row, loss)


def test_no_graph_grows_in_the_sums():
    held = DeviceSums(3, {"loss": "float32"}, CPU)
    with torch.inference_mode():
        add(held, 0, 1.0)
    held.add(held.within(torch.tensor([1])), {"loss": torch.tensor([1.0], requires_grad=True)})
    assert not held._store["loss"].requires_grad


@pytest.mark.parametrize("wrong", [300, -129, 2**40])
def test_integers_that_do_not_fit_are_said_when_the_epoch_is_taken_from_a_device(wrong):
    held = DeviceSums(3, {"views": "int8"}, CPU)
    held.add(held.within(torch.tensor([0, 1])), {"views": torch.tensor([wrong, 5])})
    with pytest.raises(InvalidInput, match=r"^1 numbers .* views \(int8\) -128…127.*ignore_index"):
        held.take()
    held.add(held.within(torch.tensor([0, 1])), {"views": torch.tensor([-128, 127])})
    assert held.take()[0]["views"].tolist() == [-128, 127, -1]
