"""Simulated labellers: scikit-learn models, of other architectures than what is trained, that saw other data.

Where a row has outsiders, a labeller learns from a slice of them with their true labels. Where all examples are in
use (TREC) it is cross-fitted: the examples are halved at random, and each half is judged by a labeller of the same kind
that learned from a slice of the other half. Either way no example is judged by a model that saw it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.truth_parts.rows import DataRow, take
from sondage.probes.tables import TableInputs
from sondage.types import AnyArray, Labels, Rows

SLICE = 1_000
"""Rows a labeller learns from: few, so that it is weaker than what is trained on all."""


_WORD = r"\S+"


def _perceptron(seed: int) -> Any:
    return make_pipeline(StandardScaler(), MLPClassifier(64, max_iter=30, random_state=seed))


def _neighbours(seed: int) -> Any:
    return make_pipeline(StandardScaler(), KNeighborsClassifier(15))


def _trees(seed: int) -> Any:
    return ExtraTreesClassifier(100, min_samples_leaf=2, random_state=seed)


def _linear(seed: int) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))


def _letters(seed: int) -> Any:
    words = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(C=10.0, max_iter=200))


def _word_counts(seed: int) -> Any:
    return make_pipeline(TfidfVectorizer(token_pattern=_WORD), MultinomialNB(alpha=0.3))


def _word_trees(seed: int) -> Any:
    return make_pipeline(TfidfVectorizer(token_pattern=_WORD, min_df=2), _trees(seed))


WEAK: dict[str, Callable[[int], Any]] = {
    "image": _perceptron,
    "text": _letters,
    "table": _trees,
    "vector": _perceptron,
}
"""The one model of the instance-dependent and the hardest-first noise, by modality."""
ANNOTATORS: dict[str, tuple[Callable[[int], Any], ...]] = {
    "image": (_linear, _neighbours, _trees),
    "text": (_letters, _word_counts, _word_trees),
    "table": (_linear, _neighbours, _trees),
    "vector": (_linear, _neighbours, _trees),
}


def judge(row: DataRow, build: Callable[[int], Any], seed: int, slice_number: int = 0) -> AnyArray:
    """Probabilities that a labeller gives the classes of every example, out of sample.

    Parameters
    ----------
    row : DataRow
    build : callable
        From a seed to a model of scikit-learn.
    seed : int
        Of the slices, the halves and the model.
    slice_number : int
        Labellers with different numbers learn from different rows.

    Returns
    -------
    float64 array, shape (N, classes)
        Every class has at least 1e-6.
    """
    rng = np.random.default_rng([seed, 71])
    if row.outside is not None:
        assert row.outside_labels is not None
        chosen = _slice(rng.permutation(len(row.outside_labels)), slice_number)
        model = _fit(build(seed), take(row.outside, chosen), row.outside_labels[chosen])
        return _predict(model, row.inputs, row.num_classes)
    out = np.empty((len(row), row.num_classes))
    halves = np.array_split(rng.permutation(len(row)), 2)
    for half, other in (halves, halves[::-1]):
        chosen = _slice(other, slice_number)
        model = _fit(build(seed), take(row.inputs, chosen), row.labels[chosen])
        out[half] = _predict(model, take(row.inputs, half), row.num_classes)
    return out


def _slice(rows: Rows, number: int) -> Rows:
    """The `number`-th stretch; shorter ones where there are not enough rows for three, so that none overlap."""
    size = min(SLICE, len(rows) // 3)
    return rows[number * size : (number + 1) * size]


def _fit(model: Any, inputs: Any, labels: Labels) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a weak labeller is what is wanted
        return model.fit(_flat(inputs), labels)


def _predict(model: Any, inputs: Any, num_classes: int) -> AnyArray:
    out = np.zeros((len(inputs), num_classes))
    out[:, model.classes_] = model.predict_proba(_flat(inputs))
    out = np.maximum(out, 1e-6)
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def _flat(inputs: Any) -> Any:
    """As scikit-learn takes them: texts as they are, anything else as one float row per example."""
    if isinstance(inputs, list):
        return inputs
    if isinstance(inputs, TableInputs):
        return np.concatenate([np.nan_to_num(inputs.numeric), inputs.codes], axis=1).astype(np.float64)
    return inputs.reshape(len(inputs), -1).astype(np.float32)
