"""③ Recording scikit-learn classifiers: trained batch by batch with `partial_fit`, or boosted in stages.

scikit-learn itself is not imported: any classifier with its methods will do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np

from sondage.errors import InvalidInput
from sondage.loops import Recording
from sondage.recorder.arrays import quantities
from sondage.types import AnyArray, Rows

Classifier = TypeVar("Classifier")

SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Probabilities are cut here before the logarithm, as `sklearn.metrics.log_loss` does: no loss is above 36.05."""
_ROWS_AT_ONCE = 8_192
PROTOCOL = {"pass": "evaluation"}
"""For `sondage.init(protocol=…)`: the curves are of what the classifier says after each epoch, or stage."""


def record_partial_fit(
    estimator: Classifier,
    X: Any,
    y: Any,
    run: Recording,
    *,
    num_epochs: int,
    batch_size: int = 256,
    classes: Any = None,
    rows: Any = None,
    shuffle: bool = True,
    seed: int = 0,
) -> Classifier:
    """Train with `partial_fit`, and record every example after each epoch.

    Parameters
    ----------
    estimator : classifier with `partial_fit`
        Trained in place, from where it is.
    X : array, sparse matrix or DataFrame, n rows
    y : array, shape (n,)
        Given labels; their positions in `classes` are what is recorded.
    run : what `sondage.init` returned
        Epochs that it has closed are skipped, so that a run can be resumed with an estimator that was saved.
    num_epochs : int
    batch_size : int
    classes : array, optional
        All classes, sorted; those of `y` when not given.
    rows : int array, shape (n,), optional
        Positions of the examples in the run's dataset; 0…n−1 when not given.
    shuffle : bool
        In another order every epoch; the same for the same `seed`.

    Returns
    -------
    the estimator

    Raises
    ------
    InvalidInput
        Lengths differ, the estimator has not what is needed, or a label is no class.
    """
    if not hasattr(estimator, "partial_fit"):
        raise InvalidInput(
            f"{type(estimator).__name__} has no partial_fit: fit it and use record_staged, if it is boosted.",
            field="estimator",
        )
    numbers, known = class_numbers(y, classes)
    places = _checked_rows(rows, X, numbers)
    for epoch in range(run.next_epoch, num_epochs):
        for batch in _batches(len(numbers), batch_size, np.random.default_rng([seed, epoch]), shuffle):
            estimator.partial_fit(take(X, batch), known[numbers[batch]], classes=known)
        for part in _batches(len(numbers), _ROWS_AT_ONCE):
            logits = log_probabilities(estimator, take(X, part))
            decided = _decided(estimator, take(X, part))
            _record(run, estimator, places[part], logits, decided, numbers[part], known)
        run.end_epoch()
    return estimator


def record_staged(
    estimator: Any,
    X: Any,
    y: Any,
    run: Recording,
    *,
    every: int = 1,
    rows: Any = None,
) -> None:
    """Record a fitted boosted classifier: each stage (or every so many) is an epoch.

    Parameters
    ----------
    estimator : classifier with `staged_predict_proba` or `staged_decision_function`
        As GradientBoostingClassifier, HistGradientBoostingClassifier and AdaBoostClassifier, fitted on `X`.
    X, y, rows
        As in `record_partial_fit`.
    every : int
        Record every so many stages, and the last one.

    Raises
    ------
    InvalidInput
        As `record_partial_fit`.
    """
    if every < 1:
        raise InvalidInput(f"every is {every}; it counts from 1.", field="every")
    numbers, known = class_numbers(y, getattr(estimator, "classes_", None))
    places = _checked_rows(rows, X, numbers)
    for epoch, logits in enumerate(_every(_stages(estimator, X), every)):
        if epoch >= run.next_epoch:
            _record(run, estimator, places, logits, None, numbers, known)
            run.end_epoch()


def class_numbers(y: Any, classes: Any = None) -> tuple[Rows, AnyArray]:
    """Labels as class numbers, shape (n,), and the sorted classes that they count.

    Pass the first to `sondage.init(labels=…)` and the second, as texts, as `class_names`.

    Raises
    ------
    InvalidInput
        A label is missing, is none of `classes`, or there is one class alone.
    """
    given = np.asarray(y)
    if given.ndim != 1:
        raise InvalidInput(f"y has shape {given.shape}: one label per example is needed.", field="y")
    if given.dtype.kind == "f" and np.isnan(given).any():
        raise InvalidInput(
            f"y[{int(np.isnan(given).argmax())}] is NaN: leave out what has no label.", field="y"
        )
    known = np.unique(given) if classes is None else np.asarray(classes)
    if len(known) < 2 or (known[:-1] >= known[1:]).any():
        raise InvalidInput("At least two different classes, in sorted order, are needed.", field="classes")
    numbers = np.searchsorted(known, given).clip(max=len(known) - 1)
    wrong = np.flatnonzero(known[numbers] != given)
    if len(wrong):
        raise InvalidInput(f"y[{wrong[0]}] is {given[wrong[0]]!r}, which is none of the classes.", field="y")
    return numbers.astype(np.int64), known


def log_probabilities(estimator: Any, X: Any) -> AnyArray:
    """What a classifier says, as logits: shape (n, classes).

    Logarithms of `predict_proba`, cut at 2.2e-16, so that their cross-entropy is the log-loss. A classifier without
    probabilities (a hinge loss) gives its decision values; for two classes, these and 0.
    """
    if hasattr(estimator, "predict_proba"):
        return _log(np.asarray(estimator.predict_proba(X)))
    if hasattr(estimator, "decision_function"):
        return _decisions(estimator.decision_function(X))
    raise InvalidInput(
        f"{type(estimator).__name__} has neither predict_proba nor decision_function.", field="estimator"
    )


def take(X: Any, rows: Rows) -> Any:
    """Some rows of an array, a sparse matrix, a DataFrame or a list."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return [X[row] for row in rows] if isinstance(X, list | tuple) else X[rows]


def _log(probabilities: AnyArray) -> AnyArray:
    return np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))


def _decisions(values: Any) -> AnyArray:
    decided = np.asarray(values, dtype=np.float64)
    return np.stack([np.zeros_like(decided), decided], axis=1) if decided.ndim == 1 else decided


def _stages(estimator: Any, X: Any) -> Iterator[AnyArray]:
    if hasattr(estimator, "staged_predict_proba"):
        return (_log(np.asarray(stage)) for stage in estimator.staged_predict_proba(X))
    if hasattr(estimator, "staged_decision_function"):
        return (_decisions(stage) for stage in estimator.staged_decision_function(X))
    raise InvalidInput(
        f"{type(estimator).__name__} has no staged predictions: use record_partial_fit, if it has partial_fit.",
        field="estimator",
    )


def _every(stages: Iterator[AnyArray], every: int) -> Iterator[AnyArray]:
    """Each so many, counted so that the first one is always among them, and the last one."""
    last, last_is_out = None, True
    for number, stage in enumerate(stages):
        last, last_is_out = stage, number % every == 0
        if last_is_out:
            yield stage
    if last is not None and not last_is_out:
        yield last


def _record(
    run: Recording,
    estimator: Any,
    rows: Rows,
    logits: AnyArray,
    decided: AnyArray | None,
    numbers: Rows,
    known: AnyArray,
) -> None:
    """Losses of the probabilities; margins of the decision values where there are some, which never saturate."""
    if logits.shape[1] != len(known) or not np.array_equal(getattr(estimator, "classes_", known), known):
        raise InvalidInput(
            f"The estimator knows {logits.shape[1]} classes, y has {len(known)}, or they are others: it was trained "
            "on other data.",
            field="classes",
        )
    found = quantities(logits, numbers)
    if decided is not None:
        found = quantities(decided, numbers) | {"loss": found["loss"]}
    run.log(rows=rows, **found)


def _decided(estimator: Any, X: Any) -> AnyArray | None:
    return _decisions(estimator.decision_function(X)) if hasattr(estimator, "decision_function") else None


def _batches(
    num: int, size: int, rng: np.random.Generator | None = None, shuffle: bool = False
) -> Iterator[Rows]:
    if size < 1:
        raise InvalidInput(f"batch_size is {size}; it counts from 1.", field="batch_size")
    order = rng.permutation(num) if rng is not None and shuffle else np.arange(num)
    for start in range(0, num, size):
        yield order[start : start + size]


def _checked_rows(rows: Any, X: Any, numbers: Rows) -> Rows:
    num = X.shape[0] if hasattr(X, "shape") else len(X)
    places = np.arange(num) if rows is None else np.asarray(rows)
    if not num == len(numbers) == len(places):
        raise InvalidInput(
            f"X has {num} examples, y {len(numbers)} and rows {len(places)}: one each is needed.", field="y"
        )
    return places.astype(np.int64)
