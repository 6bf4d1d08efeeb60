"""⑤ Errors of habit: pairs of labels that go one way among the worst examples.

Classes that are merely alike are confused both ways. Where one is labelled as another by habit, the pair (given label,
class predicted) is far more frequent among the worst examples than its reverse, and the reverse says how many of them a
mere likeness accounts for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sondage.scores.base import mean_where_trained
from sondage.tagging.evidence import RunEvidence, taken_for
from sondage.tagging.pairs import LEAST_LOG_RATIO, SHARE_OF_SUSPECTS, one_way_pairs
from sondage.types import AnyArray


def chance_by_habit(of_runs: Sequence[RunEvidence]) -> AnyArray:
    """P(wrong) of suspects in a pair that goes one way: what the reverse pair does not account for. Shape (N,); 0…1.

    0 for all others: outside of the worst tenth, in pairs that go both ways, and where nothing was predicted.
    """
    runs = [one.run for one in of_runs]
    num = len(runs[0].trained)
    out = np.zeros(num)
    other = taken_for(runs)
    found = mean_where_trained([one.together[:num] for one in of_runs], [run.trained for run in runs])
    known = found[np.isfinite(found)]
    if other is None or not len(known):
        return out
    bad = (found - known.mean()) / (known.std() or 1.0)
    beyond = one_way_pairs(runs[0].labels[:num], other, bad)
    suspected = np.nan_to_num(bad, nan=-np.inf) >= np.quantile(bad[np.isfinite(bad)], 1 - SHARE_OF_SUSPECTS)
    against = suspected & (beyond > 0)
    out[against] = 1 - np.exp(-(beyond[against] + LEAST_LOG_RATIO))
    return out
