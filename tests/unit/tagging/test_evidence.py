"""Evidence against labels: its three parts, each by itself and together, on made runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sondage.curves import Curves
from sondage.probes.plan import Probes
from sondage.tagging.evidence import (
    LEFT_OUT_WEIGHT,
    PAIR_WEIGHT,
    RunEvidence,
    epoch_weights,
    gather,
    separation,
)
from sondage.tagging.pairs import one_way_pairs
from sondage.tagging.prepare import Prepared

N, EPOCHS, CLASSES = 400, 6, 4


def prepared(curves: Curves, labels: np.ndarray, **more) -> Prepared:
    return Prepared(
        **{
            "name": "r",
            "curves": curves,
            "labels": labels,
            "probes": Probes.of(),
            "trained": np.ones(len(labels), bool),
        }
        | more
    )


def evidence(runs: list[Prepared]) -> np.ndarray:
    return gather([RunEvidence.of(one) for one in runs]).strength


def run(seed: int = 0, *, channels: tuple[str, ...] = ("margin", "loss", "predicted"), **more) -> Prepared:
    rng = np.random.default_rng(seed)
    labels = np.arange(N) % CLASSES
    margin = rng.normal(2, 1, (N, 1)) + rng.normal(0, 0.3, (N, EPOCHS))
    predicted = np.where(
        margin < 0, (labels[:, None] + rng.integers(1, CLASSES, (N, EPOCHS))) % CLASSES, labels[:, None]
    )
    made = {"margin": margin, "loss": np.log1p(np.exp(-margin)), "predicted": predicted.astype(np.int16)}
    return prepared(Curves({name: made[name] for name in channels}), labels, **more)


def z(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def test_margins_alone_give_their_order():
    one = run(channels=("margin", "loss"))
    assert evidence([one]) == pytest.approx(z(-one.curves["margin"].mean(axis=1)), abs=1e-4)


def test_without_margins_the_loss_serves():
    one = run(channels=("loss",))
    assert evidence([one]) == pytest.approx(z(one.curves["loss"].mean(axis=1)), abs=1e-4)


def test_where_the_margin_is_not_known_the_loss_serves():
    one = run(channels=("margin", "loss"))
    one.curves["margin"][3] = np.nan
    expected = z(one.curves["loss"].mean(axis=1))[3]
    assert evidence([one])[3] == pytest.approx(expected, abs=0.02)


def test_the_left_out_odds_are_added_by_its_weight():
    margins = np.random.default_rng(1).uniform(-1, 1, N).astype(np.float32)
    one = run(channels=("margin", "loss"), looks={2: margins})
    expected = z(-one.curves["margin"].mean(axis=1)) + z(-margins)
    assert evidence([one]) == pytest.approx(expected, abs=1e-4), "nothing is known: both count alike"
    assert RunEvidence.of(one).together == pytest.approx(expected, abs=1e-4)
    without = run(1, channels=("margin", "loss"))
    both = z(sum(z(-run.curves["margin"].mean(axis=1)) for run in (one, without)))
    assert evidence([one, without]) == pytest.approx(both + z(-margins), abs=1e-4), "one looked, and for both"


@pytest.mark.parametrize("given_back", [0, 5, 8, 10])
def test_the_left_out_odds_count_the_less_the_more_wrong_labels_the_features_know_by_heart(given_back):
    margins = np.random.default_rng(1).uniform(0.1, 1, N).astype(np.float32)
    margins[:10] *= -1
    margins[:given_back] *= -1
    one, _ = learned_by_heart(looks={2: margins})
    found = RunEvidence.of(one)
    # One class in three is what chance gives back of those that are given another class.
    learned = max(0, given_back / 10 - (10 - given_back) / N / (CLASSES - 1))
    assert found.learned == pytest.approx(learned)
    agreement = max(0, np.corrcoef(found.margin, found.left_out)[0, 1]) ** 2
    assert found.left_out_weight == pytest.approx(LEFT_OUT_WEIGHT * agreement * (1 - learned) ** 3)
    assert found.to_dict()["look_weight"] == pytest.approx(found.left_out_weight, abs=1e-4)


def test_the_left_out_odds_count_the_less_the_less_it_agrees_with_the_margin():
    one, _ = learned_by_heart()
    same = -RunEvidence.of(one).margin
    noise = np.random.default_rng(4).normal(size=N)
    weights = [
        RunEvidence.of(replace(one, looks={2: (same + much * noise).astype(np.float32)})).left_out_weight
        for much in (0, 1, 3)
    ]
    assert weights[0] == pytest.approx(LEFT_OUT_WEIGHT, rel=0.1)
    assert weights[0] > weights[1] > weights[2] > 0
    against = RunEvidence.of(replace(one, looks={2: -same.astype(np.float32)}))
    constant = RunEvidence.of(replace(one, looks={2: np.ones(N, np.float32)}))
    assert against.left_out_weight == constant.left_out_weight == 0


def test_what_chance_gives_back_is_not_learned_by_heart():
    """Of two classes, a model that errs in 30 of 100 gives back 30 of 100 flips: it knows none of them."""
    margins = np.where(np.arange(N) % 10 < 3, -0.5, 0.5).astype(np.float32)
    margins[300:] *= -1
    curves = Curves({"margin": margins[:, None].repeat(3, axis=1)})
    labels = np.arange(N) % 2 * 8  # two classes, whatever their numbers
    one = prepared(curves, labels, trained=np.ones(300, bool), looks={1: margins})
    assert RunEvidence.of(replace(one, known_wrong=np.arange(300, N))).learned == pytest.approx(0)


def test_where_nobody_looked_nothing_is_added():
    nothing = np.full(N, np.nan, np.float32)
    assert evidence([run(looks={2: nothing})]) == pytest.approx(evidence([run()]))


def learned_by_heart(**more) -> tuple[Prepared, np.ndarray]:
    """Wrong labels (the first fortieth) stand out in epochs 1 and 2, less in 3, and not at all in the others."""
    one = run(channels=("margin", "loss"), known_wrong=np.arange(10), **more)
    wrong = np.zeros(N, bool)
    wrong[: N // 40] = True
    shift = np.array([0, 8, 8, 4, 0, 0])
    one.curves["margin"][wrong] -= shift
    one.curves["loss"][wrong] += shift
    return one, wrong


@pytest.mark.parametrize("channel", ["margin", "loss"])
def test_epochs_count_by_how_far_known_wrong_labels_stand_out(channel):
    one, _ = learned_by_heart()
    found = separation(one, channel)
    of_right, of_wrong = one.curves[channel], one.curves[channel][:10]
    deviation = np.sqrt((of_right.var(axis=0) + of_wrong.var(axis=0)) / 2)
    expected = np.abs(of_right.mean(axis=0) - of_wrong.mean(axis=0)) / deviation
    assert found[1:4] == pytest.approx(expected[1:4], rel=1e-3)
    assert (found[[0, 4, 5]] < 0.5).all()
    weights = epoch_weights(found)
    assert weights.sum() == pytest.approx(1)
    assert weights == pytest.approx(found**12 / (found**12).sum())
    assert weights[1:3].min() > weights[3] > 20 * weights[[0, 4, 5]].max()


def test_the_weighted_mean_finds_what_the_plain_one_hides():
    one, wrong = learned_by_heart()
    plain = evidence([run(channels=("margin", "loss"))])
    assert evidence([one])[wrong].mean() > 3 > plain[wrong].mean()


def test_the_look_is_that_in_whose_margins_they_stand_out_most():
    rng = np.random.default_rng(1)
    looks = {epoch: rng.normal(1, 0.2, N).astype(np.float32) for epoch in (0, 3, 5)}
    for epoch, further in {0: 0.5, 3: 1.0, 5: 0.2}.items():
        looks[epoch][:10] -= further
    one, _ = learned_by_heart(looks=looks)
    assert RunEvidence.of(one).look == 3
    assert RunEvidence.of(run(looks=looks)).look == 0, "nothing is known: the first"
    assert RunEvidence.of(run()).look is None


def test_with_few_known_wrong_labels_all_epochs_count_alike():
    one = run(known_wrong=np.arange(4))
    assert epoch_weights(separation(one, "margin")).tolist() == [1 / EPOCHS] * EPOCHS


def test_the_report_says_what_counts():
    one, _ = learned_by_heart(looks={1: np.zeros(N, np.float32)})
    told = RunEvidence.of(one).to_dict()
    assert (told["run"], told["look_epoch"]) == ("r", 1)
    assert len(told["separation"]) == len(told["weights"]) == EPOCHS
    assert sum(told["weights"]) == pytest.approx(1, abs=1e-3)


def test_a_run_that_did_not_train_an_example_speaks_only_where_no_other_does():
    first, second = run(0, channels=("margin", "loss")), run(1, channels=("margin", "loss"))
    trained = np.ones(N, bool)
    trained[7] = False
    alone = evidence([first])
    by_first = evidence([first, run(1, channels=("margin", "loss"), trained=trained)])
    both = evidence([first, second])
    narrower = np.std(np.mean([z(one.curves["margin"].mean(axis=1)) for one in (first, second)], axis=0))
    assert by_first[7] == pytest.approx(alone[7] / narrower, abs=0.05)
    assert abs(both[7] - by_first[7]) > 0.01
    nobody = evidence([run(0, channels=("margin", "loss"), trained=trained)])
    assert np.isfinite(nobody[7]), "scored all the same"


def test_an_example_without_a_curve_has_no_evidence():
    one = run(channels=("margin", "loss"))
    one.curves["margin"][3] = one.curves["loss"][3] = np.nan
    one.trained[3] = False
    assert np.isnan(evidence([one])[3])


def swapped(rate: float, back: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """4,000 rows of two classes: suspects are labelled 1 and predicted 0, or the reverse, by these shares."""
    rng = np.random.default_rng(2)
    given = rng.integers(0, 2, 4000)
    suspicion = rng.normal(size=4000)
    share = np.where(given == 1, rate, back)
    suspects = rng.random(4000) < share
    suspicion[suspects] += 6
    other = np.where(suspects, 1 - given, -1)
    return given, other, z(suspicion)


def test_a_pair_that_goes_one_way_counts_for_its_direction_and_against_its_reverse():
    given, other, suspicion = swapped(0.15, 0.005)
    found = one_way_pairs(given, other, suspicion)
    forth, back = found[(given == 1) & (other == 0)], found[(given == 0) & (other == 1)]
    assert len(set(forth)) == 1
    assert forth[0] > 0.5
    assert back == pytest.approx(-forth[0])


def test_classes_that_are_alike_are_confused_both_ways_and_do_not_count():
    assert (one_way_pairs(*swapped(0.1, 0.07)) == 0).all()


def test_rows_without_another_class_or_a_suspicion_get_nothing():
    given, other, suspicion = swapped(0.15, 0.005)
    assert (one_way_pairs(given, other, suspicion)[other == -1] == 0).all()
    row = np.flatnonzero((given == 1) & (other == 0))[0]
    suspicion[row] = np.nan
    assert one_way_pairs(given, other, suspicion)[row] == 0
    assert one_way_pairs(np.array([0]), np.array([-1]), np.array([0.0])).tolist() == [0]


def test_pairs_are_added_by_their_weight_and_only_where_the_run_trained():
    given, other, suspicion = swapped(0.15, 0.005)
    predicted = np.where(other == -1, given, other)[:, None].repeat(3, axis=1).astype(np.int16)
    margin = -suspicion[:, None].repeat(3, axis=1)
    curves = Curves({"margin": margin, "loss": np.zeros_like(margin), "predicted": predicted})
    pair = one_way_pairs(given, other, suspicion)
    assert evidence([prepared(curves, given)]) == pytest.approx(suspicion + PAIR_WEIGHT * pair, abs=1e-5)
    row = np.flatnonzero(pair > 0)[0]
    trained = np.ones(len(given), bool)
    trained[row] = False
    assert evidence([prepared(curves, given, trained=trained)])[row] == pytest.approx(
        suspicion[row], abs=0.01
    )
