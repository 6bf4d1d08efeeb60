"""⑤ Certainty: how sure the model is of the class that it predicts, whatever the label. Foreign inputs have little."""

from __future__ import annotations

import numpy as np

from sondage.curves import Curves
from sondage.scores.base import Score, nanmean
from sondage.types import AnyArray, PerRow

_CHUNK_ROWS = 65_536


def certainty(curves: Curves) -> PerRow:
    """Mean over the later half of the epochs of the probability of the likeliest class. Shape (rows,); 0…1, low is bad.

    A wrong label is learned late, but the model is sure of another class; of an input that belongs to no class it is
    sure of none. With p_y = exp(−loss) and the margin m to the best other class, the likeliest has
    p_y · exp(max(0, −m)).

    Source: Hendrycks and Gimpel, ICLR 2017, for one trained model; the mean over epochs is ours.
    """
    loss, margin = curves["loss"], curves["margin"]
    later = slice(curves.num_epochs // 2, None)
    out = np.empty(len(loss), dtype=np.float32)
    for start in range(0, len(loss), _CHUNK_ROWS):
        block = slice(start, start + _CHUNK_ROWS)
        out[block] = nanmean(_likeliest(loss[block, later], margin[block, later]), axis=1)
    return out


def _likeliest(loss: AnyArray, margin: AnyArray) -> AnyArray:
    """NaN where either is; where the training diverged too, of which nothing is known."""
    with np.errstate(invalid="ignore"):
        log = np.maximum(0, -margin) - loss
    return np.where(np.isfinite(loss) & np.isfinite(margin), np.exp(np.minimum(0, log)), np.nan)


SCORE = Score(
    "certainty",
    ("loss", "margin"),
    "low",
    "Mean probability of the likeliest class over the later half of the epochs.",
    "Hendrycks and Gimpel, ICLR 2017, section 3",
    certainty,
)
