"""⑤ Evidence against each given label, from what training recorded: the order of the default tagger.

Three things, in standard deviations of the examples: a low margin while the model trained, in the epochs in which
known wrong labels stand out; a low margin by a classifier that was fitted without the example, on the model's own
features; and a pair of labels (given, predicted) that the worst examples have much more often than its reverse, as when
one class was labelled as another by habit. Chosen and weighed on four data sets under eight kinds of noise
(docs/benchmarks/truth.md). Of the data at hand only the known wrong labels, which a suite plants, have a say: in which
epochs count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sondage.curves import NOT_SEEN
from sondage.scores.base import mean_over_runs, mean_where_trained
from sondage.tagging.prepare import Prepared
from sondage.tagging.suggest import most_frequent_other
from sondage.types import AnyArray, Labels, Mask, Rows

SEPARATION_POWER = 4
FEWEST_KNOWN_WRONG = 5
"""With fewer the epochs all count alike."""
LEFT_OUT_WEIGHT = 1.0
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
_CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class RunEvidence:
    """What one run alone says of each of its rows, planted ones too: all but the pairs.

    Parameters
    ----------
    run : Prepared
        Its channel `margin`, or else `loss`; `looks` and `known_wrong` where there are any.
    separations : float64 array, shape (epochs,)
        In which epochs known wrong labels stand out.
    look : int or None
        The epoch whose look counts: where they stand out most; without any known the first, as the safest.
    margin : float64 array, shape (rows,)
        Less the margin, a mean of the epochs by their weights, or else the loss; standardised by what the run trained.
        High is bad; NaN without a curve.
    left_out : float64 array, shape (rows,)
        Less the left-out margin of that look, standardised likewise; NaN where nobody looked.
    """

    run: Prepared
    separations: AnyArray
    look: int | None
    margin: AnyArray
    left_out: AnyArray

    @classmethod
    def of(cls, run: Prepared) -> RunEvidence:
        separations = separation(run, "margin" if "margin" in run.curves else "loss")
        look = max(sorted(run.looks), key=lambda epoch: separations[epoch]) if run.looks else None
        nobody = np.full(run.num_rows, np.nan)
        return cls(
            run=run,
            separations=separations,
            look=look,
            margin=_badness(run, separations),
            left_out=nobody
            if look is None
            else _standardised(-run.looks[look].astype(np.float64), run.trained),
        )

    @property
    def together(self) -> AnyArray:
        """Shape (rows,), high is bad. For comparing flips with examples (`sondage.tagging.probe_calibration`)."""
        return np.asarray(self.margin + LEFT_OUT_WEIGHT * np.nan_to_num(self.left_out))

    def to_dict(self) -> dict[str, Any]:
        """The separation and the weight of each epoch, and the look that counts. JSON-able; epochs from 0."""
        return {
            "run": self.run.name,
            "separation": self.separations.round(3).tolist(),
            "weights": epoch_weights(self.separations).round(4).tolist(),
            "look_epoch": self.look,
        }


def evidence(of_runs: Sequence[RunEvidence]) -> AnyArray:
    """How strongly the runs speak against the given labels.

    The pairs count where every run has recorded the channel `predicted`.

    Returns
    -------
    float64 array, shape (N,)
        High is bad; in standard deviations. By the runs that trained the example; where none did, by those that scored
        it all the same; else NaN.
    """
    runs = [one.run for one in of_runs]
    num_examples = len(runs[0].trained)
    trained = [run.trained for run in runs]
    bad = _standardised(mean_where_trained([one.margin[:num_examples] for one in of_runs], trained))
    # A look leaves the example out, whether or not the run trained it.
    left_out = _standardised(mean_over_runs([one.left_out[:num_examples] for one in of_runs]))
    found = bad + LEFT_OUT_WEIGHT * np.nan_to_num(left_out)
    other = taken_for(runs)
    if other is not None:
        found = found + PAIR_WEIGHT * one_way_pairs(
            runs[0].labels[:num_examples], other, _standardised(found)
        )
    return np.asarray(found, dtype=np.float64)


def taken_for(runs: Sequence[Prepared]) -> Rows | None:
    """The class that the runs which trained an example predicted most often beside its label; −1 for none. Shape (N,).

    None where some run has recorded no predictions.
    """
    if not all("predicted" in run.curves for run in runs):
        return None
    num_examples = len(runs[0].trained)
    predicted = [run.curves["predicted"][:num_examples] for run in runs]
    return most_frequent_other(predicted, runs[0].labels[:num_examples], [run.trained for run in runs])[0]


def separation(run: Prepared, channel: str) -> AnyArray:
    """In which epochs known wrong labels stand out from the examples: d′, shape (epochs,), 0 and above.

    The difference of the means over the root of the mean variance, of the channel `margin` or `loss`. It falls once the
    model has learned the wrong labels by heart. Zeros where fewer than 5 wrong labels are known. Where there are many
    examples, one in so many, some 65,536 in all, stand for them.
    """
    values = run.curves[channel]
    if len(run.known_wrong) < FEWEST_KNOWN_WRONG:
        return np.zeros(values.shape[1])
    trained = np.flatnonzero(run.trained)
    mean, variance = _moments(values, trained[:: max(1, len(trained) // _CHUNK_ROWS)])
    of_wrong, their_variance = _moments(values, run.known_wrong)
    towards = of_wrong - mean if channel == "loss" else mean - of_wrong
    return np.maximum(0, towards / np.sqrt((variance + their_variance) / 2 + 1e-12))


def epoch_weights(separations: AnyArray) -> AnyArray:
    """Weights of the epochs, sum 1, shape (epochs,): the fourth power of the separation; equal where there is none."""
    powers = separations**SEPARATION_POWER
    whole = powers.sum()
    return np.asarray(powers / whole if whole > 0 else np.full(len(powers), 1 / len(powers)))


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


def _badness(run: Prepared, separations: AnyArray) -> AnyArray:
    """Of the first channel by these separations; where the margin is not known, of the loss by its own."""
    if "margin" not in run.curves:
        return _standardised(_weighted(run, "loss", separations), run.trained)
    by_margin = _standardised(-_weighted(run, "margin", separations), run.trained)
    unknown = np.isnan(by_margin)
    if unknown.any():
        by_loss = _weighted(run, "loss", separation(run, "loss"))
        by_margin[unknown] = _standardised(by_loss, run.trained)[unknown]
    return by_margin


def _weighted(run: Prepared, channel: str, separations: AnyArray) -> AnyArray:
    """Mean over the epochs by their weights, shape (rows,)."""
    weights, values = epoch_weights(separations), run.curves[channel]
    return np.concatenate(
        [values[start : start + _CHUNK_ROWS] @ weights for start in range(0, len(values), _CHUNK_ROWS)]
    )


def _moments(values: AnyArray, rows: Rows) -> tuple[AnyArray, AnyArray]:
    """Mean and variance of the finite values of some rows, each of shape (epochs,)."""
    part = values[rows].astype(np.float64)
    there = np.isfinite(part)
    num = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, part, 0).sum(axis=0) / num
    return mean, np.where(there, np.square(part - mean), 0).sum(axis=0) / num


def _standardised(values: AnyArray, trained: Mask | None = None) -> AnyArray:
    """In standard deviations of the examples that were trained, the first of the rows; or of all."""
    known = values if trained is None else values[: len(trained)][trained]
    known = known[np.isfinite(known)]
    if not len(known):
        return values
    return np.asarray((values - known.mean()) / (known.std() or 1.0))
