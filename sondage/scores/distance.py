"""⑤ Distance: how far from every class the features of an example are in the end. Foreign pictures are far."""

from __future__ import annotations

import numpy as np

from sondage.curves import Curves
from sondage.scores.base import Score
from sondage.types import PerRow


def distance(curves: Curves) -> PerRow:
    """Distance to the nearest class at the last look at the features. Shape (rows,); from 0, high is bad.

    The channel is of a few epochs; the last one in which any row has it counts, for all rows: NaN for those that were
    not looked at then.

    Source: Lee et al., NeurIPS 2018, section 2.1, of one layer; shrinking the covariance and leaving each example out
    are ours (`sondage.tagging.class_distance`).
    """
    values = curves["distance"]
    for epoch in reversed(range(values.shape[1])):
        if not np.isnan(values[:, epoch]).all():
            return np.array(values[:, epoch], dtype=np.float32)
    return np.full(len(values), np.nan, dtype=np.float32)


SCORE = Score(
    "distance",
    ("distance",),
    "high",
    "Distance to the nearest class in the model's features, at the last look.",
    "Lee et al., NeurIPS 2018, section 2.1",
    distance,
)
