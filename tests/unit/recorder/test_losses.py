"""Loss, margin and predicted class against loops over single examples."""

import math

import pytest
import torch
from torch.nn import functional

from sondage.torch import margin, per_example_loss
from sondage.torch.losses import margin_and_predicted


def slow_loss(logits, label):
    return math.log(sum(math.exp(z - logits[label]) for z in logits))


def slow_margin(logits, label):
    return logits[label] - max(z for c, z in enumerate(logits) if c != label)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(50, 7, generator=generator)
    return logits, torch.randint(0, 7, (50,), generator=generator)


def test_loss_equals_a_slow_loop(batch):
    logits, labels = batch
    expected = [slow_loss(z, y) for z, y in zip(logits.double().tolist(), labels.tolist(), strict=True)]
    torch.testing.assert_close(per_example_loss(logits, labels), torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_margin_equals_a_slow_loop(batch):
    logits, labels = batch
    expected = [slow_margin(z, y) for z, y in zip(logits.tolist(), labels.tolist(), strict=True)]
    torch.testing.assert_close(margin(logits, labels), torch.tensor(expected))


def test_predicted_is_the_largest_logit(batch):
    logits, labels = batch
    assert torch.equal(margin_and_predicted(logits, labels)[1], logits.argmax(dim=1))


def test_a_tie_counts_as_wrong():
    logits = torch.tensor([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    difference, predicted = margin_and_predicted(logits, torch.tensor([1, 0]))
    assert difference.tolist() == [0, 0]
    assert predicted.tolist() == [2, 1]


def test_half_precision_logits_are_worked_out_in_float32():
    logits = torch.tensor([[0.0, 12.0], [30.0, 0.0]], dtype=torch.bfloat16)
    labels = torch.tensor([1, 0])
    loss = per_example_loss(logits, labels)
    assert loss.dtype == torch.float32
    # In bfloat16 the first would round to 0.
    torch.testing.assert_close(loss[0], torch.tensor(math.log1p(math.exp(-12))), rtol=1e-2, atol=0)
    assert margin(logits, labels).dtype == torch.float32


def test_large_logits_give_a_finite_loss():
    logits = torch.tensor([[1e4, -1e4]])
    assert per_example_loss(logits, torch.tensor([1])).item() == pytest.approx(2e4)


def test_integer_labels_of_any_width(batch):
    logits, labels = batch
    for dtype in (torch.int16, torch.int32, torch.uint8):
        assert torch.equal(
            per_example_loss(logits, labels.to(dtype)),
            functional.cross_entropy(logits, labels, reduction="none"),
        )
