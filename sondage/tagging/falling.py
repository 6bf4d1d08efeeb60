"""⑤ What never rises along a ranking."""

from __future__ import annotations

import numpy as np

from sondage.types import AnyArray

MOST_FITTED = 20_000


def falling(values: AnyArray) -> AnyArray:
    """The nearest values that never rise along the ranking, by isotonic regression. NaN takes no part.

    Of long rankings means of neighbours are taken first: at most `MOST_FITTED` of them.
    """
    from sklearn.isotonic import IsotonicRegression

    if not np.isfinite(values).any():
        return np.zeros(len(values))
    size = -(-len(values) // MOST_FITTED)
    starts = np.arange(0, len(values), size)
    known = np.add.reduceat(np.isfinite(values).astype(np.float64), starts)
    total = np.add.reduceat(np.nan_to_num(values), starts)
    there = known > 0
    regression = IsotonicRegression(increasing=False, out_of_bounds="clip")
    regression.fit(starts[there], total[there] / known[there], sample_weight=known[there])
    fitted = np.asarray(regression.predict(starts), dtype=np.float64)
    return np.repeat(fitted, size)[: len(values)]
