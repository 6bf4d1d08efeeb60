"""Evidence against labels: its three parts, each by itself and together, on made runs."""

from __future__ import annotations

import numpy as np
import pytest

from sondage.curves import Curves
from sondage.tagging.evidence import (
    AGREEMENT_WEIGHT,
    PAIR_WEIGHT,
    PairTable,
    RunEvidence,
    evidence,
    most_frequent_other,
)

N, EPOCHS, CLASSES = 400, 6, 4


def run(seed: int = 0, *, channels: tuple[str, ...] = ("margin", "loss", "predicted"), **more) -> RunEvidence:
    rng = np.random.default_rng(seed)
    labels = np.arange(N) % CLASSES
    margin = rng.normal(2, 1, (N, 1)) + rng.normal(0, 0.3, (N, EPOCHS))
    predicted = np.where(
        margin < 0, (labels[:, None] + rng.integers(1, CLASSES, (N, EPOCHS))) % CLASSES, labels[:, None]
    )
    made = {"margin": margin, "loss": np.log1p(np.exp(-margin)), "predicted": predicted.astype(np.int16)}
    usual = {"labels": labels, "trained": np.ones(N, bool)}
    return RunEvidence(Curves({name: made[name] for name in channels}), **{**usual, **more})


def z(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def test_margins_alone_give_their_order():
    one = run(channels=("margin", "loss"))
    of_examples, (of_rows,) = evidence([one])
    assert of_examples == pytest.approx(z(-one.curves["margin"].mean(axis=1)), abs=1e-4)
    assert of_rows == pytest.approx(of_examples, abs=1e-4)


def test_without_margins_the_loss_serves():
    one = run(channels=("loss",))
    assert evidence([one])[0] == pytest.approx(z(one.curves["loss"].mean(axis=1)), abs=1e-4)


def test_where_the_margin_is_not_known_the_loss_serves():
    one = run(channels=("margin", "loss"))
    one.curves["margin"][3] = np.nan
    expected = z(one.curves["loss"].mean(axis=1))[3]
    assert evidence([one])[1][0][3] == pytest.approx(expected, abs=1e-3)


def test_agreement_is_added_by_its_weight():
    agreement = np.random.default_rng(1).uniform(-1, 1, N).astype(np.float32)
    one = run(channels=("margin", "loss"), agreement=agreement)
    expected = z(-one.curves["margin"].mean(axis=1)) + AGREEMENT_WEIGHT * z(-agreement)
    assert evidence([one])[0] == pytest.approx(expected, abs=1e-4)


def test_where_nobody_looked_nothing_is_added():
    nothing = np.full(N, np.nan, np.float32)
    assert evidence([run(agreement=nothing)])[0] == pytest.approx(evidence([run()])[0])


def test_a_run_that_did_not_train_an_example_speaks_only_where_no_other_does():
    first, second = run(0, channels=("margin", "loss")), run(1, channels=("margin", "loss"))
    trained = np.ones(N, bool)
    trained[7] = False
    alone, _ = evidence([first])
    by_first, _ = evidence([first, run(1, channels=("margin", "loss"), trained=trained)])
    both, _ = evidence([first, second])
    narrower = np.std(np.mean([z(one.curves["margin"].mean(axis=1)) for one in (first, second)], axis=0))
    assert by_first[7] == pytest.approx(alone[7] / narrower, abs=0.05)
    assert abs(both[7] - by_first[7]) > 0.01
    nobody, _ = evidence([run(0, channels=("margin", "loss"), trained=trained)])
    assert np.isfinite(nobody[7]), "scored all the same"


def test_an_example_without_a_curve_has_no_evidence():
    one = run(channels=("margin", "loss"))
    one.curves["margin"][3] = one.curves["loss"][3] = np.nan
    one.trained[3] = False
    assert np.isnan(evidence([one])[0][3])


def swapped(rate: float, back: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """4,000 rows of two classes: suspects are labelled 1 and predicted 0, or the reverse, by these shares."""
    rng = np.random.default_rng(2)
    given = rng.integers(0, 2, 4000)
    suspicion = rng.normal(size=4000)
    share = np.where(given == 1, rate, back)
    suspects = rng.random(4000) < share
    suspicion[suspects] += 6
    other = np.where(suspects, 1 - given, -1)
    return given, other, (suspicion - suspicion.mean()) / suspicion.std()


def test_a_pair_that_goes_one_way_counts_for_its_direction_and_against_its_reverse():
    table = PairTable.count(*swapped(0.15, 0.005))
    forth, back = table(np.array([1, 0]), np.array([0, 1]))
    assert forth > 0.5
    assert back == pytest.approx(-forth)


def test_classes_that_are_alike_are_confused_both_ways_and_do_not_count():
    assert (PairTable.count(*swapped(0.1, 0.07)).values == 0).all()


def test_unknown_pairs_and_rows_without_another_class_get_nothing():
    table = PairTable.count(*swapped(0.15, 0.005))
    assert table(np.array([1, 1, 9]), np.array([-1, 7, 0])).tolist() == [0, 0, 0]
    assert PairTable.count(np.array([0]), np.array([-1]), np.array([0.0]))(
        np.array([0]), np.array([1])
    ).tolist() == [0]


def test_pairs_are_added_to_probes_by_their_own_label():
    given, other, suspicion = swapped(0.15, 0.005)
    labels = np.append(given, [1, 0])
    predicted = (
        np.append(np.where(other == -1, given, other), [0, 1])[:, None].repeat(3, axis=1).astype(np.int16)
    )
    margin = np.append(-suspicion, [0.0, 0.0])[:, None].repeat(3, axis=1)
    curves = Curves({"margin": margin, "loss": np.zeros_like(margin), "predicted": predicted})
    one = RunEvidence(curves, labels, np.ones(4000, bool))
    of_examples, (of_rows,) = evidence([one])
    table = PairTable.count(given, other, suspicion)
    value = float(table(np.array([1]), np.array([0]))[0])
    assert of_rows[4000] == pytest.approx(PAIR_WEIGHT * value, abs=1e-3)
    assert of_rows[4001] == pytest.approx(-PAIR_WEIGHT * value, abs=1e-3)
    assert of_rows[:4000] == pytest.approx(of_examples, abs=1e-6)


def test_the_most_frequent_other_class():
    predicted = [np.array([[0, 1, 1], [2, 2, 0], [-1, -1, -1], [3, 3, 3]]), np.array([[2], [0], [-1], [3]])]
    assert most_frequent_other(predicted, np.array([0, 1, 1, 3])).tolist() == [1, 0, -1, -1]
