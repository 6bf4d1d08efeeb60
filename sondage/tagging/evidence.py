"""⑤ Evidence against each given label, from what training recorded: the order of the default tagger.

Three things, in standard deviations of the examples: a low mean margin; neighbours in the model's own features whose
labels are others; and a pair of labels (given, predicted) that the worst examples have much more often than its
reverse, as when one class was labelled as another by habit. Chosen and weighed on Fashion-MNIST and TREC under nine
kinds of noise (docs/benchmarks/truth.md); none of it is fitted to the data at hand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sondage.curves import NOT_SEEN
from sondage.scores.base import mean_over_runs, mean_where_trained
from sondage.tagging.prepare import Prepared
from sondage.tagging.suggest import most_frequent_other
from sondage.types import AnyArray, Labels, Mask, Rows

AGREEMENT_WEIGHT = 0.4
PAIR_WEIGHT = 0.8
SHARE_OF_SUSPECTS = 0.1
"""The worst examples, whose pairs are counted; more of them bring in hard examples that are right."""
STEEPNESS = 4.0
"""Of the border between suspects and others, per standard deviation."""
PRIOR_COUNT = 2.0
LEAST_LOG_RATIO = 1.5
"""A pair counts where it is e^1.5 = 4.5 times as frequent as its reverse: classes that are merely alike are confused in
both directions."""
LEAST_DEVIATIONS = 3.0


def evidence(runs: Sequence[Prepared]) -> AnyArray:
    """How strongly the runs speak against the given labels.

    Parameters
    ----------
    runs : sequence of Prepared
        Their channel `margin`, or else `loss`; `predicted` for the pairs, in every run or in none; `agreement` where it
        is known.

    Returns
    -------
    float64 array, shape (N,)
        High is bad; in standard deviations. By the runs that trained the example; where none did, by those that scored
        it all the same; else NaN.
    """
    num_examples = len(runs[0].trained)
    trained = [run.trained for run in runs]
    bad = _standardised(mean_where_trained([_badness(run)[:num_examples] for run in runs], trained))
    # A run that did not train an example looks at it out of sample, which is as good as a look can be.
    disagreement = _standardised(mean_over_runs([_disagreement(run)[:num_examples] for run in runs]))
    found = bad + AGREEMENT_WEIGHT * np.nan_to_num(disagreement)
    if all("predicted" in run.curves for run in runs):
        given = runs[0].labels[:num_examples]
        predicted = [run.curves["predicted"][:num_examples] for run in runs]
        other, _ = most_frequent_other(predicted, given, trained)
        found = found + PAIR_WEIGHT * one_way_pairs(given, other, _standardised(found))
    return np.asarray(found, dtype=np.float64)


def evidence_of_run(run: Prepared) -> AnyArray:
    """What one run alone says of each of its rows, planted ones too: all but the pairs. Shape (rows,); high is bad.

    NaN where the run has no curve. For comparing flips with examples (`sondage.tagging.probe_calibration`).
    """
    return np.asarray(_badness(run) + AGREEMENT_WEIGHT * np.nan_to_num(_disagreement(run)))


def one_way_pairs(given: Labels, other: Rows, suspicion: AnyArray) -> AnyArray:
    """Log ratio of each example's pair (given label, other class) to the reverse pair among the suspects.

    Parameters
    ----------
    other : int64 array, shape (N,)
        The class predicted most often beside the given label; −1 where there is none.
    suspicion : float array, shape (N,)
        Standardised; NaN for examples that are not counted. Suspects are told softly, so that no single one decides.

    Returns
    -------
    float64 array, shape (N,)
        What lies beyond ±`LEAST_LOG_RATIO`, where it is beyond chance: above 0 for the frequent direction of a pair,
        below for its reverse, else 0.
    """
    out = np.zeros(len(given))
    counted = np.flatnonzero((other != NOT_SEEN) & np.isfinite(suspicion))
    if not len(counted):
        return out
    given, other = given[counted].astype(np.int64), other[counted]
    border = np.quantile(suspicion[counted], 1 - SHARE_OF_SUSPECTS)
    weight = 1 / (1 + np.exp(-STEEPNESS * (suspicion[counted] - border)))
    num_classes = int(max(given.max(), other.max())) + 1
    both = np.concatenate([given * num_classes + other, other * num_classes + given])
    codes, place = np.unique(both, return_inverse=True)
    forth = np.bincount(place[: len(given)], weight, minlength=len(codes))
    back = np.bincount(place[len(given) :], weight, minlength=len(codes))
    ratio = np.log((forth + PRIOR_COUNT) / (back + PRIOR_COUNT))
    deviations = np.abs(forth - back) / np.sqrt(np.maximum(forth + back, 1e-9))
    beyond = np.sign(ratio) * np.maximum(0, np.abs(ratio) - LEAST_LOG_RATIO)
    out[counted] = np.where(deviations > LEAST_DEVIATIONS, beyond, 0.0)[place[: len(given)]]
    return out


def _badness(run: Prepared) -> AnyArray:
    """Less the mean margin, or else the mean loss, standardised by the examples that the run trained. Shape (rows,)."""
    by_loss = _standardised(run.curves["loss"].mean(axis=1, dtype=np.float64), run.trained)
    if "margin" not in run.curves:
        return by_loss
    by_margin = _standardised(-run.curves["margin"].mean(axis=1, dtype=np.float64), run.trained)
    return np.asarray(np.where(np.isnan(by_margin), by_loss, by_margin))


def _disagreement(run: Prepared) -> AnyArray:
    """Standardised likewise; NaN where nobody looked. Shape (rows,)."""
    if run.agreement is None:
        return np.full(run.num_rows, np.nan)
    return _standardised(-run.agreement.astype(np.float64), run.trained)


def _standardised(values: AnyArray, trained: Mask | None = None) -> AnyArray:
    """In standard deviations of the examples that were trained, the first of the rows; or of all."""
    known = values if trained is None else values[: len(trained)][trained]
    known = known[np.isfinite(known)]
    if not len(known):
        return values
    return np.asarray((values - known.mean()) / (known.std() or 1.0))
