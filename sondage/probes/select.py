"""④ Choosing prototypical and atypical probes for one run by what the *other* runs say of the examples.

Chosen by the curves that are to be tagged, these categories would be defined by the very thing they explain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sondage.curves import Curves
from sondage.probes.plan import Probes, assign_roles
from sondage.probes.suite import SuiteDefinition
from sondage.scores.base import nanmean
from sondage.scores.learnability import learnability
from sondage.tagging.reference import ReferenceTagger, usual_k
from sondage.types import CurveArray, Labels, Mask, PerRow, Rows

SUSPECT_SHARE = 0.25
"""An example with this share of its votes from wrong or foreign probes, against ordinary examples, is not chosen."""
ORDINARY_PER_PROBE = 4
"""Random examples for each wrong or foreign probe, when suspects are sought; on large suites fewer, down to one,
once there are `ENOUGH_ORDINARY`: every one of them costs a distance to every example."""
ENOUGH_ORDINARY = 1_000
_FITTED_SHARE = 0.5
_END_OF_TRAINING = 0.25


@dataclass(frozen=True)
class Evidence:
    """What one run, or the mean of several, says of the examples; NaN where an example was not trained.

    Parameters
    ----------
    learnability : float32 array, shape (N,)
        0…1, low is hard.
    suspect : float32 array, shape (N,)
        0…1: share of the votes from probes that are wrong or foreign; high is suspect.
    fitted : float32 array, shape (N,)
        0…1: share of the last quarter of the epochs in which the given label was predicted.
    """

    learnability: PerRow
    suspect: PerRow
    fitted: PerRow

    @classmethod
    def mean(cls, parts: Sequence[Evidence]) -> Evidence:
        """Per example over the runs in which it was trained."""
        names = ("learnability", "suspect", "fitted")
        return cls(*(nanmean(np.stack([getattr(part, name) for part in parts]), axis=0) for name in names))


def gather_evidence(
    curves: Curves,
    labels: Labels,
    probes: Probes,
    definition: SuiteDefinition,
    trained: Mask,
    rng: np.random.Generator,
) -> Evidence:
    """What one run says of its examples, from its planted probes alone.

    Parameters
    ----------
    curves : Curves
        Filled, of all rows of the run.
    labels : int array, shape (rows,)
        Given labels, those of made probes behind those of the examples.
    probes : Probes
        The planted ones.
    trained : bool array, shape (N,)
        Examples that this run trained on. Nothing is said of the others, even where they were scored.
    """
    examples = curves.take(slice(len(trained)))
    found = (
        learnability(examples),
        _suspect(curves["loss"], probes, definition, trained, rng),
        _fitted(examples, labels[: len(trained)]),
    )
    return Evidence(*(np.where(trained, values, np.float32(np.nan)) for values in found))


def select_prototypical_atypical(
    evidence: Evidence,
    candidates: Mask,
    labels: Labels,
    counts: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Rows, Rows]:
    """Choose the easiest learned examples, and hard ones that were learned all the same.

    Suspected label errors are removed first. Prototypical ones are the most learnable of each class, as many of
    each as there are; atypical ones are the least learnable of those that were fitted in the end, of any class.

    Parameters
    ----------
    evidence : Evidence
        From the other runs.
    candidates : bool array, shape (N,)
        Examples that were trained in the run to be tagged.
    labels : int array, shape (N,)
    counts : (prototypical, atypical)
        Fewer come back where there are not enough candidates.

    Returns
    -------
    prototypical, atypical : int64 arrays
        Indices, with none in both.
    """
    usable = candidates & (evidence.suspect < SUSPECT_SHARE)
    hard = np.flatnonzero(usable & (evidence.fitted >= _FITTED_SHARE))
    # Ties are frequent among examples of a loss near 0; by index they would favour the head of the file.
    hard = rng.permutation(hard)
    hard = hard[np.argsort(evidence.learnability[hard], kind="stable")]
    atypical = hard[: min(counts[1], len(hard) // 2)]
    easy = rng.permutation(np.setdiff1d(np.flatnonzero(usable), atypical))
    easy = easy[np.argsort(-evidence.learnability[easy], kind="stable")]
    return _by_class(easy, labels, counts[0]), atypical


def draw_ordinary(candidates: Mask, count: int, rng: np.random.Generator) -> Rows:
    """Random candidates, for a single run: chosen by nothing, so also not by its own curves."""
    rows = np.flatnonzero(candidates)
    return rng.permutation(rows)[: min(count, len(rows) // 2)]


def as_probes(rows: Rows, category: str, fit_share: float, rng: np.random.Generator) -> Probes:
    """Examples that serve as they are, split into fit and held out."""
    categories = np.full(len(rows), category)
    return Probes(rows, categories, assign_roles(categories, fit_share, rng), rows)


def _by_class(ranked: Rows, labels: Labels, count: int) -> Rows:
    """The first of every class, then the second of every class, …, until there are `count`."""
    given = np.asarray(labels)[ranked]
    place = np.empty(len(ranked), dtype=np.int64)
    for label in np.unique(given):
        members = np.flatnonzero(given == label)
        place[members] = np.arange(len(members))
    return ranked[np.argsort(place, kind="stable")[:count]]


def _suspect(
    loss: CurveArray,
    probes: Probes,
    definition: SuiteDefinition,
    trained: Mask,
    rng: np.random.Generator,
) -> PerRow:
    """How far the vote is for wrong and foreign fit probes, against random examples, as if both were as many.

    Random examples hold some wrong labels too, in the data's own share, and are still a fair contrast: what is
    common among them is not suspect. No category with right labels is needed. They outnumber the probes, since
    hard ones, which must not be taken for wrong ones, are few among them; the odds are corrected for that.
    """
    doubtful = probes.row[_is_doubtful(probes, definition)]
    wanted = min(ORDINARY_PER_PROBE * len(doubtful), max(ENOUGH_ORDINARY, len(doubtful)))
    ordinary = rng.permutation(np.flatnonzero(trained))[:wanted]
    if not len(ordinary):
        return np.zeros(len(trained), dtype=np.float32)
    rows = np.concatenate([doubtful, ordinary])
    names = np.repeat(["doubtful", "ordinary"], [len(doubtful), len(ordinary)])
    tagger = ReferenceTagger(usual_k(names), ("doubtful", "ordinary")).fit(loss[rows], names)
    votes = tagger.predict_proba(loss[: len(trained)])
    votes[ordinary] = tagger.predict_left_out()[len(doubtful) :]
    weighed = votes / np.array([len(doubtful), len(ordinary)])
    return np.asarray(weighed[:, 0] / weighed.sum(axis=1), dtype=np.float32)


def _is_doubtful(probes: Probes, definition: SuiteDefinition) -> Mask:
    """Fit probes whose label is wrong or does not apply."""
    known = definition.known_categories()
    doubtful = [known[name].wrong_label is not False for name in probes.category.tolist()]
    return np.asarray(np.array(doubtful, dtype=bool) & (probes.role == "fit"))


def _fitted(curves: Curves, labels: Labels) -> PerRow:
    """Share of the last quarter of the epochs, one at least, in which the given label was predicted."""
    last = slice(-max(1, round(curves.num_epochs * _END_OF_TRAINING)), None)
    if "predicted" in curves:
        right = curves["predicted"][:, last] == np.asarray(labels)[:, None]
    elif "margin" in curves:
        right = curves["margin"][:, last] > 0
    else:
        # The given label holds more than half of the probability, so it is the predicted one.
        right = curves["loss"][:, last] < np.log(2)
    return np.asarray(right.mean(axis=1, dtype=np.float32))
