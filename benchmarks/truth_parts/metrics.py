"""How good a suspicion is where the truth is known. Ties are averaged over: the order of the file gains nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from sondage.types import AnyArray, Mask

PRECISION = 0.9


@dataclass(frozen=True)
class Figures:
    """Of one suspicion; all 0…1, 1 is best. None of them exists without wrong labels.

    Parameters
    ----------
    average_precision : float
        Primary. Equal suspicions are one step, as in scikit-learn.
    auroc : float
    precision_at_num : float
        Among as many as are wrong; of equal suspicions at the cut, their expected share.
    recall_at_90 : float
        Most of the wrong labels that a list can hold with at least 90 % of it wrong; 0 where no list is that good.
    """

    average_precision: float
    auroc: float
    precision_at_num: float
    recall_at_90: float


def figures(suspicion: AnyArray, wrong: Mask) -> Figures:
    """All of them.

    Parameters
    ----------
    suspicion : float array, shape (N,)
        High is suspicious.
    wrong : bool array, shape (N,)

    Raises
    ------
    ValueError
        Where a suspicion is no number: every example of the bench was trained in some run.
    """
    if np.isnan(suspicion).any():
        raise ValueError(f"{int(np.isnan(suspicion).sum())} of {len(suspicion)} examples have no suspicion")
    # Infinite ones (a diverged loss) keep their place; scikit-learn takes none.
    ranked = np.unique(suspicion, return_inverse=True)[1]
    return Figures(
        float(average_precision_score(wrong, ranked)),
        float(roc_auc_score(wrong, ranked)),
        precision_at(ranked, wrong, int(wrong.sum())),
        recall_at_precision(ranked, wrong, PRECISION),
    )


def precision_at(suspicion: AnyArray, wrong: Mask, num: int) -> float:
    """Expected share of wrong labels among the `num` most suspicious, equal ones in random order."""
    cut = np.sort(suspicion)[-num]
    above, level = suspicion > cut, suspicion == cut
    sure = int(wrong[above].sum())
    return float((sure + (num - above.sum()) * wrong[level].mean()) / num)


def recall_at_precision(suspicion: AnyArray, wrong: Mask, precision: float) -> float:
    """Largest share of the wrong labels above a threshold above which at least `precision` are wrong."""
    precisions, recalls, _ = precision_recall_curve(wrong, suspicion)
    # Its last point, precision 1 at recall 0, is of no list.
    return float(recalls[precisions >= precision].max())
