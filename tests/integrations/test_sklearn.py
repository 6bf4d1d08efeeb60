"""scikit-learn's own losses against what was recorded."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB

from sondage.errors import InvalidInput
from sondage.sklearn import class_numbers, record_partial_fit, record_staged

NAMES = np.array(["ant", "bee", "cow"])


@pytest.fixture(scope="module")
def clusters() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    numbers = np.arange(90) % 3
    return rng.normal(size=(90, 4)) + 2 * numbers[:, None], NAMES[numbers]


def test_partial_fit_records_the_log_loss_of_every_example_after_each_epoch(recorded, clusters) -> None:
    X, y = clusters
    numbers, classes = class_numbers(y)
    run = recorded.init(labels=numbers, class_names=classes)
    estimator = record_partial_fit(
        SGDClassifier(loss="log_loss", random_state=0), X, y, run, num_epochs=3, batch_size=20
    )
    run.finish()
    loss = recorded.curves()
    assert loss.shape == (90, 3)
    assert loss[:, -1].mean() == pytest.approx(log_loss(y, estimator.predict_proba(X)), rel=1e-4)
    np.testing.assert_array_equal(classes[recorded.curves("predicted")[:, -1]], estimator.predict(X))


def test_margins_of_two_classes_are_differences_of_log_probabilities(recorded, clusters) -> None:
    X, y = clusters[0][clusters[1] != "cow"], clusters[1][clusters[1] != "cow"]
    run = recorded.init(labels=class_numbers(y)[0])
    estimator = record_partial_fit(GaussianNB(), X, y, run, num_epochs=1)
    run.finish()
    p = np.maximum(estimator.predict_proba(X), 2.3e-16)
    given = np.where(y == "ant", np.log(p[:, 0] / p[:, 1]), np.log(p[:, 1] / p[:, 0]))
    np.testing.assert_allclose(recorded.curves("margin")[:, 0], given, rtol=1e-3, atol=1e-3)


def test_a_hinge_loss_gives_its_decision_values(recorded, clusters) -> None:
    X, y = clusters
    run = recorded.init(labels=class_numbers(y)[0])
    estimator = record_partial_fit(SGDClassifier(random_state=0), X, y, run, num_epochs=1)
    run.finish()
    decided = estimator.decision_function(X)
    each, numbers = np.arange(90), class_numbers(y)[0]
    given = decided[each, numbers]
    others = np.where(np.eye(3, dtype=bool)[numbers], -np.inf, decided).max(axis=1)
    np.testing.assert_allclose(recorded.curves("margin")[:, 0], given - others, rtol=1e-4, atol=1e-3)


def test_a_run_that_is_resumed_goes_on_where_it_was(recorded, clusters) -> None:
    X, y = clusters
    numbers, _ = class_numbers(y)
    whole = recorded.init(run="whole", labels=numbers)
    record_partial_fit(SGDClassifier(loss="log_loss", random_state=0), X, y, whole, num_epochs=4)
    whole.finish()
    first = recorded.init(labels=numbers)
    estimator = record_partial_fit(SGDClassifier(loss="log_loss", random_state=0), X, y, first, num_epochs=2)
    first.finish()
    again = recorded.init(labels=numbers, resume=True)
    assert again.next_epoch == 2
    record_partial_fit(estimator, X, y, again, num_epochs=4)
    again.finish()
    np.testing.assert_array_equal(recorded.curves(), recorded.curves(run="whole"))


def test_stages_of_boosting_are_epochs(recorded, clusters) -> None:
    X, y = clusters
    run = recorded.init(labels=class_numbers(y)[0])
    estimator = GradientBoostingClassifier(n_estimators=6, random_state=0).fit(X, y)
    record_staged(estimator, X, y, run, every=2)
    run.finish()
    stages = list(estimator.staged_predict_proba(X))
    expected = [log_loss(y, stages[number]) for number in (0, 2, 4, 5)]
    np.testing.assert_allclose(recorded.curves().mean(axis=0), expected, rtol=1e-4)


def test_ada_boost_with_parts_of_a_data_frame(recorded, clusters) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = pandas.DataFrame(clusters[0]), clusters[1]
    run = recorded.init(num_examples=200)
    rows = np.arange(90) + 100
    estimator = AdaBoostClassifier(n_estimators=3, random_state=0).fit(X, y)
    record_staged(estimator, X, y, run, rows=rows)
    run.finish()
    loss = recorded.curves()
    assert np.isnan(loss[:100]).all()
    assert np.isfinite(loss[rows]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": ["ant"] * 5}, "one each"),
        ({"y": np.full(90, np.nan)}, "NaN"),
        ({"classes": ["ant", "bee"]}, "none of the classes"),
        ({"batch_size": 0}, "batch_size"),
        ({"estimator": GradientBoostingClassifier()}, "partial_fit"),
    ],
)
def test_wrong_arguments_are_said(recorded, clusters, change, message) -> None:
    X, y = clusters
    with recorded.init(num_examples=90) as run:
        asked = {"estimator": SGDClassifier(), "X": X, "y": y, "run": run, "num_epochs": 1, **change}
        if message == "one each":
            asked["classes"] = NAMES
        with pytest.raises(InvalidInput, match=message):
            record_partial_fit(**asked)


def test_stages_of_what_has_none(recorded, clusters) -> None:
    with recorded.init(num_examples=90) as run, pytest.raises(InvalidInput, match="record_partial_fit"):
        record_staged(GaussianNB().fit(*clusters), *clusters, run)
