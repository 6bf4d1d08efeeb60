"""⑤ Evidence against each given label, from what training recorded: the order of the default tagger.

Three things, in standard deviations of the examples: a low margin while the model trained, in the epochs in which
known wrong labels stand out; low odds by a classifier that was fitted without the example, on the model's own
features, which count the less the more of the known wrong labels these have learned by heart; and a pair of labels
(given, predicted) that the worst examples have much more often than its reverse, as when one class was labelled as
another by habit. Chosen and weighed on ten data sets under eight kinds of noise (docs/benchmarks/truth.md). Of the
data at hand only the known wrong labels, which a suite plants, have a say: in which epochs count, and how much the
features do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sondage.scores.base import mean_over_runs, mean_where_trained
from sondage.tagging.pairs import OneWayPairs
from sondage.tagging.prepare import Prepared
from sondage.tagging.suggest import most_frequent_other
from sondage.types import AnyArray, Mask, Rows

SEPARATION_POWER = 12
FEWEST_KNOWN_WRONG = 5
"""With fewer the epochs all count alike, and the left-out odds as much as the margin."""
LEFT_OUT_WEIGHT = 5.0
"""Of left-out odds that agree with the margin, on features that have learned no known wrong label by heart."""
LEARNED_POWER = 3
AGREEMENT_POWER = 2
PAIR_WEIGHT = 1.2
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
        The epoch whose look counts: in whose left-out odds they stand out most; without any known the first, as the
        safest.
    learned : float
        Of that look, the share of known wrong labels that the features have learned by heart, 0 to 1 (`_learned`).
    left_out_weight : float
        What its left-out odds count, beside 1 for the margin: the less, the more was learned by heart and the less
        the two agree.
    margin : float64 array, shape (rows,)
        Less the margin, a mean of the epochs by their weights, or else the loss; standardised by what the run trained.
        High is bad; NaN without a curve.
    left_out : float64 array, shape (rows,)
        Less the left-out log odds of that look, standardised likewise; NaN where nobody looked.
    """

    run: Prepared
    separations: AnyArray
    look: int | None
    learned: float
    left_out_weight: float
    margin: AnyArray
    left_out: AnyArray

    @classmethod
    def of(cls, run: Prepared) -> RunEvidence:
        separations = separation(run, "margin" if "margin" in run.curves else "loss")
        look, margin = _best_look(run), _badness(run, separations)
        learned, weight, left_out = 0.0, 1.0, np.full(run.num_rows, np.nan)
        if look is not None:
            left_out = _standardised(-run.looks[look].astype(np.float64), run.trained)
            learned = _learned(run, run.looks[look])
            if len(run.known_wrong) >= FEWEST_KNOWN_WRONG:
                agreement = _correlation(margin, left_out, run.trained) ** AGREEMENT_POWER
                weight = LEFT_OUT_WEIGHT * agreement * (1 - learned) ** LEARNED_POWER
        return cls(run, separations, look, learned, weight, margin, left_out)

    @property
    def together(self) -> AnyArray:
        """Shape (rows,), high is bad. For comparing flips with examples (`sondage.tagging.probe_calibration`)."""
        return np.asarray(self.margin + self.left_out_weight * np.nan_to_num(self.left_out))

    def to_dict(self) -> dict[str, Any]:
        """The separation and the weight of each epoch, the look that counts, and how much. JSON-able; epochs from 0."""
        return {
            "run": self.run.name,
            "separation": self.separations.round(3).tolist(),
            "weights": epoch_weights(self.separations).round(4).tolist(),
            "look_epoch": self.look,
            "look_weight": None if self.look is None else round(self.left_out_weight, 4),
            "learned_by_heart": None if self.look is None else round(self.learned, 4),
        }


@dataclass(frozen=True)
class Gathered:
    """Evidence against each label, of all runs together, and what it is made of.

    Parameters
    ----------
    strength : float64 array, shape (N,)
        High is bad; in standard deviations. By the runs that trained the example; where none did, by those that scored
        it all the same; else NaN.
    margin, left_out : float arrays, shape (N,)
        Means over the runs of what each says (`RunEvidence`).
    pairs : OneWayPairs or None
        They count where every run has recorded the channel `predicted`.
    """

    strength: AnyArray
    margin: AnyArray
    left_out: AnyArray
    pairs: OneWayPairs | None


def gather(of_runs: Sequence[RunEvidence]) -> Gathered:
    """How strongly the runs speak against the given labels."""
    runs = [one.run for one in of_runs]
    num_examples = len(runs[0].trained)
    trained = [run.trained for run in runs]
    margin = mean_where_trained([one.margin[:num_examples] for one in of_runs], trained)
    # A look leaves the example out, whether or not the run trained it.
    left_out = mean_over_runs([one.left_out[:num_examples] for one in of_runs])
    weights = [one.left_out_weight for one in of_runs if one.look is not None]
    found = _standardised(margin) + (
        np.mean(weights) * np.nan_to_num(_standardised(left_out)) if weights else 0
    )
    other, pairs = taken_for(runs), None
    if other is not None:
        pairs = OneWayPairs.of(runs[0].labels[:num_examples], other, _standardised(found))
        found = found + PAIR_WEIGHT * pairs.of_examples
    return Gathered(np.asarray(found, dtype=np.float64), margin, left_out, pairs)


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

    Of the channel `margin` or `loss`. It falls once the model has learned the wrong labels by heart. Zeros where fewer
    than 5 wrong labels are known.
    """
    towards = 1 if channel == "loss" else -1
    return np.asarray(np.maximum(0, towards * _above(run, run.curves[channel])))


def _best_look(run: Prepared) -> int | None:
    if not run.looks:
        return None
    return max(sorted(run.looks), key=lambda epoch: -_above(run, run.looks[epoch][:, None])[0])


def _learned(run: Prepared, left_out: AnyArray) -> float:
    """How many of the known wrong labels a look has learned by heart, as a share, beyond what chance gives back.

    Given back is a label that is more likely than not (log odds above 0). A classifier that was fitted without an
    example, on features that know nothing of its label, gives back a wrong one no oftener than it finds any one class
    but its own more likely than not. Where few labels are more likely than not, as on hard data, this is a lower bound.
    """
    back, own = left_out[run.known_wrong], left_out[: len(run.trained)][run.trained]
    back, own = back[np.isfinite(back)], own[np.isfinite(own)]
    if len(back) < FEWEST_KNOWN_WRONG or not len(own):
        return 0.0
    num_classes = len(np.unique(run.labels[: len(run.trained)]))
    return max(0.0, float((back > 0).mean() - (own < 0).mean() / max(1, num_classes - 1)))


def _correlation(one: AnyArray, other: AnyArray, trained: Mask) -> float:
    """Of the examples that were trained, 0 and above; 0 where one of the two says nothing."""
    one, other = one[: len(trained)][trained], other[: len(trained)][trained]
    both = np.isfinite(one) & np.isfinite(other)
    if not both.any() or min(one[both].std(), other[both].std()) == 0:
        return 0.0
    return max(0.0, float(np.corrcoef(one[both], other[both])[0, 1]))


def _above(run: Prepared, values: AnyArray) -> AnyArray:
    """How far known wrong labels lie above the examples: d′, shape (columns,).

    The difference of the means over the root of the mean variance. Zeros where fewer than 5 wrong labels are known.
    Where there are many examples, one in so many, some 65,536 in all, stand for them.
    """
    if len(run.known_wrong) < FEWEST_KNOWN_WRONG:
        return np.zeros(values.shape[1])
    trained = np.flatnonzero(run.trained)
    mean, variance = _moments(values, trained[:: max(1, len(trained) // _CHUNK_ROWS)])
    of_wrong, their_variance = _moments(values, run.known_wrong)
    return np.asarray((of_wrong - mean) / np.sqrt((variance + their_variance) / 2 + 1e-12))


def epoch_weights(separations: AnyArray) -> AnyArray:
    """Weights of the epochs, sum 1, shape (epochs,): the twelfth power of the separation; equal where there is none."""
    highest = separations.max(initial=0)
    if not highest > 0:
        return np.full(len(separations), 1 / len(separations))
    powers = (separations / highest) ** SEPARATION_POWER
    return np.asarray(powers / powers.sum())


def _badness(run: Prepared, separations: AnyArray) -> AnyArray:
    """Of the first channel by these separations; where the margin is not known, of the loss by its own."""
    if "margin" not in run.curves:
        return _standardised(weighted(run, "loss", separations), run.trained)
    by_margin = _standardised(-weighted(run, "margin", separations), run.trained)
    unknown = np.isnan(by_margin)
    if unknown.any():
        by_loss = weighted(run, "loss", separation(run, "loss"))
        by_margin[unknown] = _standardised(by_loss, run.trained)[unknown]
    return by_margin


def weighted(run: Prepared, channel: str, separations: AnyArray) -> AnyArray:
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


def scale_of(values: AnyArray, trained: Mask | None = None) -> tuple[float, float] | None:
    """Mean and deviation of the examples that were trained, the first of the rows; or of all. None without values."""
    known = values if trained is None else values[: len(trained)][trained]
    known = known[np.isfinite(known)]
    return (known.mean(), known.std() or 1.0) if len(known) else None


def _standardised(values: AnyArray, trained: Mask | None = None) -> AnyArray:
    """In standard deviations of `scale_of`."""
    scale = scale_of(values, trained)
    return values if scale is None else np.asarray((values - scale[0]) / scale[1])
