"""⑤ Learnability: how early and how surely an example is learned."""

from __future__ import annotations

import numpy as np

from sondage.curves import Curves
from sondage.scores.base import Score, mean_over_epochs
from sondage.types import PerRow


def learnability(curves: Curves) -> PerRow:
    """Mean over epochs of the probability of the given label, exp(−loss). Shape (rows,); 0…1, low is bad.

    Averaged over runs by `score_runs`.

    Source: Lee et al., AAAI 2019.
    """
    return mean_over_epochs(curves["loss"], lambda loss: np.exp(-loss))


SCORE = Score(
    "learnability",
    ("loss",),
    "low",
    "Mean probability of the given label over the epochs.",
    "Lee et al., AAAI 2019",
    learnability,
)
