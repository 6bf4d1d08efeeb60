"""What a tagging keeps of its evidence tells of each example where it stands, as the order had it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sondage.curves import Curves
from sondage.probes.plan import Probes
from sondage.tagging.evidence import RunEvidence, gather
from sondage.tagging.grounds import Seen, Standing, grounds_kept, standing
from sondage.tagging.prepare import Prepared

N, EPOCHS, KNOWN = 600, 8, 40


def run(seed: int, *, channels=("margin", "loss", "predicted"), displaced=()) -> Prepared:
    """Wrong labels, which are known in the last 40 rows, stand out in the third epoch alone."""
    rng = np.random.default_rng(seed)
    labels = np.arange(N + KNOWN) % 3
    margin = rng.normal(2, 2, (N + KNOWN, EPOCHS))
    margin[N:, 2] -= 8
    made = {
        "margin": margin,
        "loss": np.log1p(np.exp(-margin)),
        "predicted": np.where(margin < 0, (labels[:, None] + 1) % 3, labels[:, None]),
    }
    trained = np.ones(N, bool)
    trained[list(displaced)] = False
    return Prepared(
        name=f"seed{seed}",
        curves=Curves({name: made[name] for name in channels}),
        labels=labels,
        probes=Probes.of(),
        trained=trained,
        looks={4: (margin[:, 2] + rng.normal(0, 2, N + KNOWN)).astype(np.float32)},
        known_wrong=np.arange(N, N + KNOWN),
    )


def told(runs: list[Prepared], ranked=None):
    """The two parts of a report, as JSON gives them back, and what they were made of."""
    of_runs = [RunEvidence.of(one) for one in runs]
    found = gather(of_runs)
    ranked = np.ones(N, bool) if ranked is None else ranked
    kept = grounds_kept(found, of_runs, ranked)
    through = json.loads(json.dumps([kept, [one.to_dict() for one in of_runs]], allow_nan=False))
    return *through, found


def stands(runs: list[Prepared], kept, evidence, row: int) -> Standing:
    anyone = any(one.trained[row] for one in runs)
    seen = [
        Seen(
            one.curves[evidence_channel(one)][row],
            one.curves["predicted"][row] if "predicted" in one.curves else None,
        )
        if one.trained[row] or not anyone
        else None
        for one in runs
    ]
    return standing(kept, evidence, seen, [float(one.looks[4][row]) for one in runs])


def evidence_channel(one: Prepared) -> str:
    return "margin" if "margin" in one.curves else "loss"


@pytest.mark.parametrize("channels", [("margin", "loss", "predicted"), ("loss",)])
def test_an_examples_place_is_that_of_the_order(channels):
    runs = [
        run(0, channels=channels, displaced=range(50)),
        run(1, channels=channels, displaced=range(40, 90)),
    ]
    kept, evidence, found = told(runs)
    for row in (*range(0, N, 17), 41, int(found.margin.argmax()), int(found.margin.argmin())):
        at = stands(runs, kept, evidence, row)
        assert at.margin == pytest.approx((found.margin < found.margin[row]).mean(), abs=0.006)
        assert at.left_out == pytest.approx((found.left_out < found.left_out[row]).mean(), abs=0.006)
        assert at.channel == channels[0]
    assert at.by_epochs
    assert at.left_out_weight == pytest.approx(np.mean([told["look_weight"] for told in evidence]))


@pytest.mark.parametrize("scale", [1.0, 7.3, 1e-3])
@pytest.mark.parametrize("share", [0.8, 0.28])
def test_of_many_that_have_the_very_same_none_stands_below_another(scale, share):
    """As log odds that are cut: the surest are not told that others are surer."""
    runs = []
    for seed in (0, 1):
        one = run(seed)
        looks = {epoch: values * scale for epoch, values in one.looks.items()}
        top = float(np.nanmax(looks[4])) + scale
        looks[4][np.flatnonzero(np.arange(len(looks[4])) < share * N)] = top
        runs.append(replace(one, looks=looks))
    kept, evidence, found = told(runs)
    assert stands(runs, kept, evidence, 3).left_out == 0
    last = int(0.9 * N)
    expected = (found.left_out < found.left_out[last]).mean()
    assert stands(runs, kept, evidence, last).left_out == pytest.approx(expected, abs=0.01)


def test_it_is_not_that_of_the_plain_mean():
    """Only the third epoch counts: what is low in all the others is not low by evidence."""
    one = run(0)
    one.curves["margin"][7] = -6
    one.curves["margin"][7, 2] = 9
    kept, evidence, _ = told([one])
    at = stands([one], kept, evidence, 7).margin
    assert at is not None
    assert at < 0.1
    assert (one.curves["margin"][:N].mean(axis=1) > one.curves["margin"][7].mean()).mean() > 0.9


def test_quantiles_are_of_the_list_alone():
    one = run(0)
    one.curves["margin"][:100] = 50
    ranked = np.arange(N) >= 100
    kept, evidence, found = told([one], ranked)
    at = stands([one], kept, evidence, 300).margin
    assert at == pytest.approx((found.margin[ranked] < found.margin[300]).mean(), abs=0.006)


def test_gaps_are_filled_and_a_training_that_diverged_is_at_the_end():
    one = run(0)
    kept, evidence, _ = told([one])
    curve, predicted = one.curves["margin"][5].copy(), one.curves["predicted"][5].copy()
    whole = standing(kept, evidence, [Seen(curve, predicted)], [None])
    assert whole.left_out is None
    gap, unseen = curve.copy(), predicted.copy()
    gap[3], unseen[3] = np.nan, -1
    carried = curve.copy()
    carried[3] = carried[2]
    same = [
        standing(kept, evidence, [Seen(*each)], [None]).margin for each in ((gap, unseen), (carried, None))
    ]
    assert same[0] == same[1]
    nothing = np.full(EPOCHS, np.nan)
    assert standing(kept, evidence, [Seen(nothing, predicted)], [np.nan]).margin == 1
    assert standing(kept, evidence, [Seen(nothing, np.full(EPOCHS, -1))], [np.nan]).margin is None
    assert standing(kept, evidence, [Seen(np.full(EPOCHS, -np.inf))], [np.nan]).margin == 1
    longer = Seen(np.append(curve, -99), np.append(predicted, 0))
    assert standing(kept, evidence, [longer], [None]).margin == whole.margin, "epochs closed since"


def test_without_looks_predictions_and_known_wrong_labels():
    one = replace(run(0, channels=("margin", "loss")), looks={}, known_wrong=np.zeros(0, np.int64))
    kept, evidence, found = told([one])
    assert kept["pairs"] is None
    assert kept["left_out"] is None
    at = standing(kept, evidence, [Seen(one.curves["margin"][9])], [None])
    assert at.margin == pytest.approx((found.margin < found.margin[9]).mean(), abs=0.006)
    assert (at.left_out, at.left_out_weight, at.by_epochs) == (None, None, False)


def test_it_stays_small():
    kept, _, _ = told([run(0), run(1)])
    assert len(json.dumps(kept)) < 6_000
