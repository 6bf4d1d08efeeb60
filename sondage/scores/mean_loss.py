"""⑤ Mean loss: how badly an example fitted over the whole training."""

from __future__ import annotations

from sondage.curves import Curves
from sondage.scores.base import Score, mean_over_epochs
from sondage.types import PerRow


def mean_loss(curves: Curves) -> PerRow:
    """Mean over epochs of the loss, in nats. Shape (rows,); from 0, high is bad."""
    return mean_over_epochs(curves["loss"])


SCORE = Score("mean_loss", ("loss",), "high", "Mean loss over the epochs.", "Baseline", mean_loss)
