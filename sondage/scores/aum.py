"""⑤ AUM: how far, on average over the training, the given label stood above the best other class."""

from __future__ import annotations

from sondage.curves import Curves
from sondage.scores.base import Score, mean_over_epochs
from sondage.types import PerRow


def aum(curves: Curves) -> PerRow:
    """Mean over epochs of the margin, logit of the given label less the largest other. Shape (rows,); low is bad.

    Source: Pleiss et al., NeurIPS 2020, section 3.1. They stop before the learning rate first drops; this takes
    all epochs: pass `curves.epochs(slice(0, n))` for a window.
    """
    return mean_over_epochs(curves["margin"])


SCORE = Score(
    "aum", ("margin",), "low", "Mean margin over the epochs.", "Pleiss et al., NeurIPS 2020, section 3.1", aum
)
