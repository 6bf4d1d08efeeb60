"""⑤ Distance: how far from every class the features of an example are in the end. Foreign pictures are far."""

from __future__ import annotations

from sondage.curves import Curves
from sondage.scores.base import Score, of_last_look
from sondage.types import PerRow


def distance(curves: Curves) -> PerRow:
    """Distance to the nearest class at the last look at the features. Shape (rows,); from 0, high is bad.

    Source: Lee et al., NeurIPS 2018, section 2.1, of one layer; shrinking the covariance and leaving each example out
    are ours (`sondage.tagging.class_distance`).
    """
    return of_last_look(curves["distance"])


SCORE = Score(
    "distance",
    ("distance",),
    "high",
    "Distance to the nearest class in the model's features, at the last look.",
    "Lee et al., NeurIPS 2018, section 2.1",
    distance,
)
