"""⑤ Last loss: the loss when the training ended; blind to errors that were memorised by then."""

from __future__ import annotations

import numpy as np

from sondage.curves import Curves
from sondage.scores.base import Score
from sondage.types import PerRow


def last_loss(curves: Curves) -> PerRow:
    """Loss in the last epoch, in nats. Shape (rows,); from 0, high is bad; NaN for rows not seen in it."""
    return np.array(curves["loss"][:, -1], dtype=np.float32)


SCORE = Score("last_loss", ("loss",), "high", "Loss in the last epoch.", "Baseline", last_loss)
