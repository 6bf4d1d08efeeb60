"""⑤ Errors of habit: pairs of labels that go one way among the worst examples.

Classes that are merely alike are confused both ways. Where one is labelled as another by habit, the pair (given label,
class predicted) is far more frequent among the worst examples than its reverse, and the reverse says how many of them a
mere likeness accounts for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sondage.scores.base import mean_where_trained
from sondage.tagging.evidence import LEAST_LOG_RATIO, SHARE_OF_SUSPECTS, one_way_pairs
from sondage.tagging.prepare import Prepared
from sondage.tagging.suggest import most_frequent_other
from sondage.types import AnyArray


def chance_by_habit(runs: Sequence[Prepared], of_runs: Sequence[AnyArray]) -> AnyArray:
    """P(wrong) of suspects in a pair that goes one way: what the reverse pair does not account for. Shape (N,); 0…1.

    0 for all others: outside of the worst tenth, in pairs that go both ways, and where nothing was predicted. `of_runs`
    are the runs' own evidence (`evidence_of_run`).
    """
    num = len(runs[0].trained)
    out = np.zeros(num)
    if not all("predicted" in run.curves for run in runs):
        return out
    trained = [run.trained for run in runs]
    given = runs[0].labels[:num]
    other, _ = most_frequent_other([run.curves["predicted"][:num] for run in runs], given, trained)
    found = mean_where_trained([of_run[:num] for of_run in of_runs], trained)
    known = found[np.isfinite(found)]
    if not len(known):
        return out
    bad = (found - known.mean()) / (known.std() or 1.0)
    beyond = one_way_pairs(given, other, bad)
    suspected = np.nan_to_num(bad, nan=-np.inf) >= np.quantile(bad[np.isfinite(bad)], 1 - SHARE_OF_SUSPECTS)
    against = suspected & (beyond > 0)
    out[against] = 1 - np.exp(-(beyond[against] + LEAST_LOG_RATIO))
    return out
