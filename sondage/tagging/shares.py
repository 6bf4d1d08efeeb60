"""⑤ Shares of counts with an interval, and differences of two shares."""

from __future__ import annotations

import numpy as np

from sondage.types import AnyArray

NORMAL_90 = 1.645
"""Of a normal: 5 % lie above it."""


def interval(part: AnyArray, whole: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Wilson's 90 % interval of `part / whole`, elementwise; 0 and 1 where there is nothing.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    n = np.asarray(whole, dtype=np.float64)
    p = np.asarray(part) / np.maximum(n, 1)
    middle = p + NORMAL_90**2 / (2 * np.maximum(n, 1))
    wide = NORMAL_90 * np.sqrt(
        p * (1 - p) / np.maximum(n, 1) + NORMAL_90**2 / (4 * np.square(np.maximum(n, 1)))
    )
    scale = 1 + NORMAL_90**2 / np.maximum(n, 1)
    low, high = (middle - wide) / scale, (middle + wide) / scale
    return np.where(n > 0, np.clip(low, 0, 1), 0.0), np.where(n > 0, np.clip(high, 0, 1), 1.0)


def least_difference(part: int, whole: int, other_part: int, other_whole: int) -> float:
    """Lower bound (95 %, one-sided) of one share less another; −1…1.

    Source: R. G. Newcombe, Interval estimation for the difference between independent proportions, Statistics in
    Medicine 17 (1998), method 10: the square-and-add of two Wilson intervals.
    """
    one, other = part / max(whole, 1), other_part / max(other_whole, 1)
    low = float(interval(np.array(part), np.array(whole))[0])
    high = float(interval(np.array(other_part), np.array(other_whole))[1])
    return one - other - float(np.hypot(one - low, high - other))
