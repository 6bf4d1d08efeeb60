"""⑤ Evidence against each given label, from what training recorded: the order of the default tagger.

Three things, in standard deviations of the examples: a low mean margin; neighbours in the model's own features whose
labels are others; and a pair of labels (given, predicted) that the worst examples have much more often than its
reverse, as when one class was labelled as another by habit. Chosen and weighed on Fashion-MNIST and TREC under nine
kinds of noise (docs/benchmarks/truth.md); none of it is fitted to the data at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sondage.curves import NOT_SEEN, Curves
from sondage.scores.base import mean_over_runs
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
_CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class RunEvidence:
    """What one run recorded of rows, and how it is read.

    Parameters
    ----------
    curves : Curves
        Filled. `loss`; `margin`, which counts in its place; `predicted` for the pairs.
    labels : int array, shape (rows,)
        The label each row was trained with.
    trained : bool array, shape (N,)
        The examples that this run trained.
    agreement : float array, shape (rows,), optional
        −1…1: share of the neighbours' votes for the given label less that for the best other one; NaN where it was
        not looked at.
    """

    curves: Curves
    labels: Labels
    trained: Mask
    agreement: AnyArray | None = None


def evidence(runs: Sequence[RunEvidence]) -> tuple[AnyArray, list[AnyArray]]:
    """How strongly the runs speak against the given labels.

    Returns
    -------
    of_examples : float64 array, shape (N,)
        High is bad; in standard deviations. Mean over the runs that trained the example; where none did, over those
        that scored it all the same; else NaN.
    of_rows : list of float64 arrays, shape (rows,)
        The same of every row, probes too, by each run alone.
    """
    num_examples = len(runs[0].trained)
    alone = [_plus(_badness(run), _disagreement(run)) for run in runs]
    together = _plus(
        _standardised(_mean_where_trained([_badness(run)[:num_examples] for run in runs], runs)),
        # A run that did not train an example looks at it out of sample, which is as good as a look can be.
        _standardised(_mean([_disagreement(run)[:num_examples] for run in runs])),
    )
    others = [_predicted_other(run.curves, run.labels) for run in runs]
    if any(other is None for other in others):
        return together, alone
    of_runs = [other for other in others if other is not None]
    candidate = _most_predicted_other(runs, num_examples)
    given = runs[0].labels[:num_examples]
    candidate = _most_predicted_other(runs, num_examples)
    pairs = PairTable.count(given, candidate, _standardised(together))
    together = together + PAIR_WEIGHT * pairs(given, candidate)
    rows = [
        one + PAIR_WEIGHT * pairs(run.labels, other)
        for one, run, other in zip(alone, runs, of_runs, strict=True)
    ]
    return together, rows


@dataclass(frozen=True)
class PairTable:
    """Log ratios of pairs (given label, other label) to their reverses, where they are beyond chance and likeness.

    Parameters
    ----------
    codes : int64 array, ascending
        given · C + other.
    values : float64 array
        Above 0 for the frequent direction of a pair, below for its reverse.
    num_classes : int
        C.
    """

    codes: AnyArray
    values: AnyArray
    num_classes: int

    @classmethod
    def count(cls, given: Labels, other: Rows, suspicion: AnyArray) -> PairTable:
        """From examples whose `suspicion` is standardised; softly, so that no single one decides."""
        there = (other != NOT_SEEN) & np.isfinite(suspicion)
        given, other, suspicion = (
            given[there].astype(np.int64),
            other[there].astype(np.int64),
            suspicion[there],
        )
        if not len(given):
            return cls(np.zeros(0, np.int64), np.zeros(0), 1)
        num_classes = int(max(given.max(), other.max())) + 1
        border = np.quantile(suspicion, 1 - SHARE_OF_SUSPECTS)
        weight = 1 / (1 + np.exp(-STEEPNESS * (suspicion - border)))
        forth = np.concatenate([given * num_classes + other, other * num_classes + given])
        codes, place = np.unique(forth, return_inverse=True)
        times = np.bincount(place[: len(given)], weight, minlength=len(codes))
        back = np.bincount(place[len(given) :], weight, minlength=len(codes))
        ratio = np.log((times + PRIOR_COUNT) / (back + PRIOR_COUNT))
        deviations = np.abs(times - back) / np.sqrt(np.maximum(times + back, 1e-9))
        beyond = np.sign(ratio) * np.maximum(0, np.abs(ratio) - LEAST_LOG_RATIO)
        return cls(codes, np.where(deviations > LEAST_DEVIATIONS, beyond, 0.0), num_classes)

    def __call__(self, given: Labels, other: Rows) -> AnyArray:
        """The value of each row's pair, 0 for a pair without one. Shape (rows,)."""
        if not len(self.codes):
            return np.zeros(len(given))
        asked = given.astype(np.int64) * self.num_classes + other
        place = np.minimum(np.searchsorted(self.codes, asked), len(self.codes) - 1)
        known = (self.codes[place] == asked) & (other != NOT_SEEN) & (given < self.num_classes)
        return np.where(known & (other < self.num_classes), self.values[place], 0.0)


def _badness(run: RunEvidence) -> AnyArray:
    """Less the mean margin, or else the mean loss, standardised by the examples that the run trained. Shape (rows,)."""
    by_loss = _standardised(run.curves["loss"].mean(axis=1, dtype=np.float64), run.trained)
    if "margin" not in run.curves:
        return by_loss
    by_margin = _standardised(-run.curves["margin"].mean(axis=1, dtype=np.float64), run.trained)
    return np.asarray(np.where(np.isnan(by_margin), by_loss, by_margin))


def _disagreement(run: RunEvidence) -> AnyArray:
    """Standardised likewise; NaN where nobody looked. Shape (rows,)."""
    if run.agreement is None:
        return np.full(run.curves.num_rows, np.nan)
    return _standardised(-run.agreement.astype(np.float64), run.trained)


def _plus(bad: AnyArray, disagreement: AnyArray) -> AnyArray:
    """The sum by weight; without a look at the features it adds nothing."""
    return np.asarray(bad + AGREEMENT_WEIGHT * np.where(np.isfinite(disagreement), disagreement, 0.0))


def _mean(per_run: Sequence[AnyArray]) -> AnyArray:
    return np.asarray(mean_over_runs(list(per_run)), dtype=np.float64)


def _standardised(values: AnyArray, trained: Mask | None = None) -> AnyArray:
    """In standard deviations of the examples that were trained, the first of the rows; or of all."""
    mean, deviation = _moments(values if trained is None else values[: len(trained)][trained])
    return np.asarray((values - mean) / deviation)


def _moments(values: AnyArray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    return float(finite.mean()), float(finite.std()) or 1.0


def _predicted_other(curves: Curves, labels: Labels) -> Rows | None:
    """Per row the class that was predicted most often beside the given one; −1 where there is none."""
    if "predicted" not in curves:
        return None
    return most_frequent_other([curves["predicted"]], labels)


def _most_predicted_other(runs: Sequence[RunEvidence], num_examples: int) -> Rows:
    """The same over all runs that trained an example."""
    said = [
        np.where(run.trained[:, None], run.curves["predicted"][:num_examples].astype(np.int64), NOT_SEEN)
        for run in runs
    ]
    return most_frequent_other(said, runs[0].labels[:num_examples])


def most_frequent_other(predicted: Sequence[AnyArray], labels: Labels) -> Rows:
    """Per row the class, other than the given one, that is predicted most often; of equal ones the lowest.

    Parameters
    ----------
    predicted : sequence of int arrays, shape (rows, epochs)
        −1 where a row was not seen.
    labels : int array, shape (rows,)

    Returns
    -------
    int64 array, shape (rows,)
        −1 where nothing but the given label was predicted.
    """
    out = np.full(len(labels), NOT_SEEN, dtype=np.int64)
    for start in range(0, len(labels), _CHUNK_ROWS):
        block = slice(start, min(start + _CHUNK_ROWS, len(labels)))
        said = np.concatenate([part[block].astype(np.int64) for part in predicted], axis=1)
        said[said == labels[block, None]] = NOT_SEEN
        out[block] = _mode(np.sort(said, axis=1))
    return out


def _mode(ordered: AnyArray) -> Rows:
    """Most frequent value of each sorted row, −1 left out; −1 where there is no other."""
    place = np.arange(ordered.shape[1])
    starts = np.ones(ordered.shape, dtype=bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    length = place - np.maximum.accumulate(np.where(starts, place, 0), axis=1) + 1
    length[ordered == NOT_SEEN] = 0
    best = length.argmax(axis=1)[:, None]
    return np.asarray(np.take_along_axis(ordered, best, axis=1)[:, 0])


def _mean_where_trained(per_run: Sequence[AnyArray], runs: Sequence[RunEvidence]) -> AnyArray:
    inside = mean_over_runs(
        [np.where(run.trained, values, np.nan) for run, values in zip(runs, per_run, strict=True)]
    )
    return np.asarray(np.where(np.isnan(inside), mean_over_runs(list(per_run)), inside), dtype=np.float64)
