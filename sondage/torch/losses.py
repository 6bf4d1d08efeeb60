"""What one forward pass says of each example: loss, margin, predicted class (③ curves)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def per_example_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Plain cross-entropy of each example against its given label.

    Parameters
    ----------
    logits : Tensor, shape (B, C), any floating dtype
    labels : Tensor, shape (B,), integers in 0…C−1

    Returns
    -------
    Tensor, shape (B,), float32
        In nats, from 0 (certain and right) upwards; high is bad. The arithmetic is float32 whatever the
        precision of the logits, so that curves of mixed-precision trainings compare with others.
    """
    return functional.cross_entropy(logits.float(), labels.long(), reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The given label's logit minus the largest other logit: z_y − max_{c≠y} z_c.

    Returns
    -------
    Tensor, shape (B,), float32
        Above 0 where the prediction agrees with the given label; low is bad.

    Source: Pleiss et al. 2020, "Identifying mislabeled data using the area under the margin ranking", eq. 1.
    """
    return margin_and_predicted(logits, labels)[0]


def margin_and_predicted(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Margin and predicted class together, from one maximum over the other classes.

    Returns
    -------
    margin : Tensor, shape (B,), float32
    predicted : Tensor, shape (B,), int64
        The given label exactly where the margin is above 0. A tie goes to the other class, so that
        "correct" and "margin above 0" never disagree.
    """
    logits, index = logits.float(), labels.long().unsqueeze(1)
    given = logits.gather(1, index).squeeze(1)
    best_other, other = logits.scatter(1, index, -torch.inf).max(dim=1)
    difference = given - best_other
    return difference, torch.where(difference > 0, index.squeeze(1), other)
