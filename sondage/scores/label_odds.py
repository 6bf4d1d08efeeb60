"""⑤ Left-out odds: how likely the given label is by the other examples, in the features of the end of the training."""

from __future__ import annotations

from sondage.curves import Curves
from sondage.scores.base import Score, of_last_look
from sondage.types import PerRow


def label_odds(curves: Curves) -> PerRow:
    """Log odds of the given label by classes fitted without the example, at the last look. Shape (rows,); low is bad.

    Source: linear discriminant analysis (Fisher 1936); leaving each example out is ours (`sondage.tagging.left_out`).
    """
    return of_last_look(curves["label_odds"])


SCORE = Score(
    "label_odds",
    ("label_odds",),
    "low",
    "Log odds of the given label by classes that were fitted without the example, at the last look.",
    "Linear discriminant analysis of the model's features (Fisher 1936), each example left out",
    label_odds,
)
