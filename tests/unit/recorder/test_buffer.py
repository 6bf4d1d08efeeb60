"""The buffer of an epoch: what is logged in pieces comes out by row."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from sondage.errors import InvalidInput
from sondage.torch import EpochBuffer, buffer


@pytest.fixture
def epoch():
    """Rows in a shuffled order, their logits and labels."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randperm(300, generator=generator)
    return rows, torch.randn(300, 5, generator=generator), torch.randint(0, 5, (300,), generator=generator)


def log_in_batches(target, rows, logits, labels, size, losses=None):
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        target.log(rows[part], logits[part], labels[part], None if losses is None else losses[part])


def expected_by_row(rows, logits, labels):
    loss, margin, predicted = np.empty(300), np.empty(300), np.empty(300)
    for row, z, y in zip(rows.tolist(), logits.double().numpy(), labels.tolist(), strict=True):
        loss[row] = np.log(np.exp(z).sum()) - z[y]
        margin[row] = z[y] - np.delete(z, y).max()
        predicted[row] = z.argmax()
    return {"loss": loss, "margin": margin, "predicted": predicted}


@pytest.mark.parametrize("size", [1, 7, 300])
def test_values_land_on_their_rows(epoch, size):
    target = EpochBuffer(300, 5)
    log_in_batches(target, *epoch, size)
    channels = target.flush()
    for name, values in expected_by_row(*epoch).items():
        np.testing.assert_allclose(channels[name], values, rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_full_queue_is_worked_out_before_the_flush(epoch, monkeypatch):
    monkeypatch.setattr(buffer, "_MAX_PENDING_VALUES", 100)
    target = EpochBuffer(300, 5)
    log_in_batches(target, *epoch, 16)
    assert len(target._pending) < 2
    np.testing.assert_allclose(target.flush()["loss"], expected_by_row(*epoch)["loss"], rtol=1e-5, atol=1e-5)


def test_types_and_marks_of_rows_not_seen():
    target = EpochBuffer(4, 10)
    target.log(torch.tensor([2]), torch.zeros(1, 10), torch.tensor([3]))
    channels = target.flush()
    assert [channels[name].dtype.name for name in ("loss", "margin", "predicted")] == [
        "float32",
        "float32",
        "int16",
    ]
    assert np.isnan(channels["loss"]).tolist() == [True, True, False, True]
    assert np.isnan(channels["margin"]).tolist() == [True, True, False, True]
    assert (channels["predicted"] == -1).tolist() == [True, True, False, True]


@pytest.mark.parametrize(("num_classes", "dtype"), [(32_768, "int16"), (32_769, "int32"), (None, "int32")])
def test_the_integer_holds_the_largest_class(num_classes, dtype):
    assert EpochBuffer(1, num_classes).flush()["predicted"].dtype == dtype


def test_the_next_epoch_starts_empty(epoch):
    target = EpochBuffer(300, 5)
    log_in_batches(target, *epoch, 50)
    first = target.flush()
    second = target.flush()
    assert np.isnan(second["loss"]).all()
    assert (second["predicted"] == -1).all()
    assert np.isfinite(first["loss"]).all(), "a flush must not change what an earlier one returned"


def test_reset_forgets_what_was_logged(epoch):
    target = EpochBuffer(300, 5)
    log_in_batches(target, *epoch, 50)
    target.reset()
    assert np.isnan(target.flush()["loss"]).all()


def test_a_given_loss_is_taken_as_it_is(epoch):
    rows, logits, labels = epoch
    losses = functional.cross_entropy(logits, labels, reduction="none") + 100
    target = EpochBuffer(300, 5)
    log_in_batches(target, rows, logits, labels, 50, losses)
    assert np.array_equal(target.flush()["loss"][rows.numpy()], losses.numpy())


def test_no_graph_is_kept(epoch):
    rows, logits, labels = epoch
    target = EpochBuffer(300, 5)
    target.log(rows, logits.requires_grad_(), labels)
    assert not target._pending[0].logits.requires_grad


def test_inference_mode_is_no_obstacle(epoch):
    rows, logits, labels = epoch
    target = EpochBuffer(300, 5)
    with torch.inference_mode():
        target.log(rows, logits + 0, labels)
    assert np.isfinite(target.flush()["loss"]).all()


def test_losses_that_are_not_finite_are_kept_and_told_from_unseen():
    target = EpochBuffer(3, 2)
    logits = torch.tensor([[torch.nan, 0.0], [torch.inf, 0.0]])
    target.log(torch.tensor([0, 1]), logits, torch.tensor([0, 1]))
    channels = target.flush()
    assert not np.isfinite(channels["loss"]).any()
    assert (channels["predicted"] >= 0).tolist() == [True, True, False]


def test_a_tensor_changed_after_logging_is_refused(epoch):
    rows, logits, labels = epoch
    target = EpochBuffer(300, 5)
    target.log(rows, logits, labels)
    logits.div_(2)
    with pytest.raises(InvalidInput, match="clone"):
        target.flush()


def test_small_views_do_not_hold_large_tensors():
    target, rng = EpochBuffer(60, 2), torch.Generator().manual_seed(0)
    tokens, expected = torch.arange(1 << 16).remainder(2).view(1 << 8, 1 << 8), []
    for row in range(60):
        wide = torch.randn(4, 64, 2000, generator=rng)
        rows = torch.arange(1 << 16)[row : row + 1]
        target.log(rows, wide[:1, -1, :2], tokens[:1, row])
        expected.append(functional.cross_entropy(wide[:1, -1, :2], tokens[:1, row]).item())
    kept = [tensor for one in target._pending for tensor in (one.rows, one.logits, one.labels)]
    assert len(kept) == 180
    assert sum(tensor.untyped_storage().nbytes() for tensor in kept) < 10_000
    np.testing.assert_allclose(target.flush()["loss"], expected, rtol=1e-5)


def test_whole_tensors_are_kept_by_reference(epoch):
    rows, logits, labels = epoch
    target = EpochBuffer(300, 5)
    target.log(rows, logits, labels)
    kept = target._pending[0]
    assert [one.data_ptr() for one in (kept.rows, kept.logits, kept.labels)] == [
        one.data_ptr() for one in epoch
    ]


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_out_of_range_is_refused(row):
    with pytest.raises(InvalidInput, match="0…2"):
        EpochBuffer(3, 2).log(torch.tensor([row]), torch.zeros(1, 2), torch.tensor([0]))


@pytest.mark.parametrize(
    ("rows", "logits", "labels", "field"),
    [
        (torch.arange(2), torch.zeros(3, 2), torch.arange(3), "rows"),
        (torch.arange(3), torch.zeros(3, 2), torch.zeros(3, 1), "labels"),
        (torch.arange(3), torch.zeros(3, 1), torch.zeros(3), "logits"),
        (torch.arange(3), torch.zeros(3), torch.zeros(3), "logits"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_at_once(rows, logits, labels, field):
    with pytest.raises(InvalidInput) as caught:
        EpochBuffer(3, 2).log(rows, logits, labels)
    assert caught.value.field == field


def test_a_buffer_needs_rows():
    with pytest.raises(InvalidInput, match="at least one row"):
        EpochBuffer(0, 2)
