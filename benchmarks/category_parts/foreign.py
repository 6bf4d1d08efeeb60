"""Foreign pictures among digits, beside wrong labels: are they found, and are the two told apart?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.category_parts.cells import share, trained_masks
from benchmarks.category_parts.rows import kinds
from benchmarks.truth_parts.cells import Cell
from sondage.curves import Curves
from sondage.scores.base import mean_where_trained
from sondage.scores.registry import score_runs
from sondage.tagging.class_distance import class_distances
from sondage.tagging.tag import tag_runs
from sondage.types import AnyArray

NEIGHBOURS = 20
TAGS = ("prototypical", "atypical", "noisy", "ood", "corrupted", "unsure")


@dataclass(frozen=True)
class Detection:
    """How a number tells foreign pictures: AUROC against examples with right and with wrong labels, 0…1, and average
    precision among all examples."""

    name: str
    from_right: float
    from_wrong: float
    average_precision: float


def detections(cell: Cell) -> list[Detection]:
    of = kinds(cell.given, cell.truth)
    return [
        Detection(
            name,
            _auroc(values, of["foreign"], of["right"]),
            _auroc(values, of["foreign"], of["wrong"]),
            float(average_precision_score(of["foreign"], values)),
        )
        for name, values in measures(cell).items()
    ]


def measures(cell: Cell) -> dict[str, AnyArray]:
    """High is foreign. Shape (N,) each."""
    votes = tag_runs(cell.run_curves, cell.definition, cell.num_examples, tagger="reference")
    ours = tag_runs(cell.run_curves, cell.definition, cell.num_examples)
    number = {category.name: place for place, category in enumerate(votes.categories)}
    ood, noisy = (votes.probabilities[:, number[name]].astype(np.float64) for name in ("ood", "noisy"))
    return {
        "P(ood)": ood,
        "P(ood) + P(noisy)": ood + noisy,
        "place in the list, reference": -votes.position.astype(np.float64),
        "place in the list, evidence": -ours.position.astype(np.float64),
        "mean_loss": score_runs("mean_loss", cell.examples).astype(np.float64),
        "certainty, low": -score_runs("certainty", cell.examples).astype(np.float64),
        "distance": distance(cell),
        "distance to neighbours, features": feature_distance(cell),
        "distance to classes, hardly shrunk": plain_distance(cell),
        "least logit, last epoch": least_logit(cell),
    }


def feature_distance(cell: Cell, k: int = NEIGHBOURS) -> AnyArray:
    """1 − cosine to the k-th nearest example in the features of the last epoch, mean over the runs that trained it.

    Source: Sun et al. 2022, out-of-distribution detection with deep nearest neighbours; theirs are out of sample. The
    product does not record it.
    """
    found = []
    for run in cell.runs:
        features = run.features[: cell.num_examples].astype(np.float64)
        features = features - features.mean(axis=0)
        features /= np.linalg.norm(features, axis=1, keepdims=True) + 1e-9
        cosine = features @ features.T
        np.fill_diagonal(cosine, -np.inf)
        found.append(1 - np.partition(cosine, -k, axis=1)[:, -k])
    return mean_where_trained(found, trained_masks(cell)).astype(np.float64)


def distance(cell: Cell) -> AnyArray:
    """The product's own score, of the features after the last epoch: the cells keep these, and not the channel.

    They are 128 wide, which a look does not project, and in half precision.
    """
    of_runs = []
    for run in cell.runs:
        fitted = np.arange(len(run.features)) < cell.num_examples
        found = class_distances(run.features, run.curves.labels, fitted)[: cell.num_examples]
        found[run.curves.displaced] = np.nan  # as in a tagging
        of_runs.append(Curves({"distance": found[:, None]}))
    return score_runs("distance", of_runs).astype(np.float64)


def plain_distance(cell: Cell) -> AnyArray:
    """As `distance`, in a form that is nearer to the paper: mean over the runs that trained the example.

    Squared; nothing is left out; classes have medians, which a few wrong labels do not move; one covariance for all,
    with a thousandth of its mean variance added. Source: Lee et al. 2018, without their noise and their other layers.
    """
    found = []
    for run in cell.runs:
        features = run.features[: cell.num_examples].astype(np.float64)
        middles = np.stack(
            [np.median(features[cell.given == label], axis=0) for label in np.unique(cell.given)]
        )
        spread = np.cov((features - middles[cell.given]).T)
        spread += 1e-3 * np.trace(spread) / len(spread) * np.eye(len(spread))
        inverse = np.linalg.inv(spread)
        away = features[:, None, :] - middles[None]
        found.append(np.einsum("nci,ij,ncj->nc", away, inverse, away, optimize=True).min(axis=1))
    return mean_where_trained(found, trained_masks(cell)).astype(np.float64)


def least_logit(cell: Cell) -> AnyArray:
    """Less the largest logit, in evaluation mode after the last epoch (Hendrycks et al. 2022). Not recorded either."""
    found = [-run.logits[: cell.num_examples].max(axis=1).astype(np.float64) for run in cell.runs]
    return mean_where_trained(found, trained_masks(cell)).astype(np.float64)


def detection_table(per_cell: dict[str, list[Detection]]) -> list[list[str]]:
    """A line per measure; three figures per cell."""
    lines = [["measure", *per_cell]]
    for found in zip(*per_cell.values(), strict=True):
        figures = [
            f"{one.from_right:.3f} / {one.from_wrong:.3f} / {one.average_precision:.2f}" for one in found
        ]
        lines.append([found[0].name, *figures])
    return lines


def confusion_table(cell: Cell) -> list[list[str]]:
    """What the default tagger calls examples of each kind, in shares of the kind."""
    names = np.array(tag_runs(cell.run_curves, cell.definition, cell.num_examples).tag_names())
    lines = [["is ↓  tagged →", "examples", *TAGS]]
    for kind, mask in kinds(cell.given, cell.truth).items():
        lines.append([kind, str(int(mask.sum())), *(share(names[mask] == tag) for tag in TAGS)])
    return lines


def _auroc(values: AnyArray, positive: AnyArray, negative: AnyArray) -> float:
    either = positive | negative
    return float(roc_auc_score(positive[either], values[either]))
