"""Detectors of the `cleanlab` package on out-of-sample probabilities. Needs the extra `bench`."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.truth_parts.cells import Cell
from sondage.types import AnyArray, Labels

Method = Literal["self_confidence", "normalized_margin"]
FROZEN_FOLDS = 5


def confident(cell: Cell, scheme: str, method: Method) -> AnyArray:
    """Suspicion of the package from k-fold training (`benchmarks.truth_parts.folds`). Shape (N,)."""
    return suspicion(cell.given, cell.out_of_sample[scheme], method)


def confident_frozen(cell: Cell, method: Method) -> AnyArray:
    """Suspicion from logistic regression on the recorded runs' own features, in five folds, mean over the runs.

    No further training of the network. The features were learned with the wrong labels, as a user's would be.
    """
    found = [
        frozen_probabilities(run.features[: cell.num_examples], cell.given, cell.num_classes, cell.seed)
        for run in cell.runs
    ]
    return suspicion(cell.given, np.mean(found, axis=0), method)


def frozen_probabilities(features: AnyArray, labels: Labels, num_classes: int, seed: int) -> AnyArray:
    """Out-of-sample probabilities, float64 (N, C); 0 for a class that no row of the other folds has."""
    out = np.zeros((len(labels), num_classes))
    folds = KFold(FROZEN_FOLDS, shuffle=True, random_state=seed)
    for train, held in folds.split(features):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features[train], labels[train])
        out[np.ix_(held, model.classes_)] = model.predict_proba(features[held])
    return out


def suspicion(labels: Labels, probabilities: AnyArray, method: Method) -> AnyArray:
    """1 − label quality as the package gives it, without its adjustment by class thresholds."""
    from cleanlab.rank import get_label_quality_scores

    return np.asarray(1.0 - get_label_quality_scores(labels, probabilities, method=method))
