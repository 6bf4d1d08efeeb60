"""④ Choosing prototypical and atypical probes by the other runs."""

import numpy as np
import pytest

from sondage.curves import Curves
from sondage.probes.plan import Probes
from sondage.probes.select import (
    Evidence,
    as_probes,
    draw_ordinary,
    gather_evidence,
    select_prototypical_atypical,
)
from sondage.probes.suite import default_suite

N = 300


def rng(seed=0):
    return np.random.default_rng(seed)


def evidence(**changes):
    base = {"learnability": rng().random(N), "suspect": np.zeros(N), "fitted": np.ones(N)}
    return Evidence(**(base | changes))


EVERYONE = np.ones(N, dtype=bool)
LABELS = np.arange(N) % 3


def test_the_easiest_of_every_class_and_the_hardest_of_all():
    told = evidence()
    easy, hard = select_prototypical_atypical(told, EVERYONE, LABELS, (30, 20), rng())
    assert sorted(hard) == sorted(np.argsort(told.learnability)[:20])
    for label in range(3):
        members = np.flatnonzero(label == LABELS)
        best = members[np.argsort(-told.learnability[members])[:10]]
        assert sorted(easy[LABELS[easy] == label]) == sorted(best)


def test_a_small_class_gives_what_it_has_and_the_others_fill_up():
    labels = np.zeros(N, int)
    labels[:4] = 1
    easy, _ = select_prototypical_atypical(evidence(), EVERYONE, labels, (30, 0), rng())
    assert np.bincount(labels[easy]).tolist() == [26, 4]


def test_suspects_displaced_and_never_fitted_ones_are_not_chosen():
    suspect, fitted = np.zeros(N), np.ones(N)
    suspect[:50], fitted[50:100] = 0.6, 0.1
    learnability = np.linspace(0, 1, N)
    learnability[[110, 111]] = np.nan
    suspect[[110, 111]] = np.nan
    candidates = EVERYONE.copy()
    candidates[100:105] = False
    told = evidence(suspect=suspect, fitted=fitted, learnability=learnability)
    easy, hard = select_prototypical_atypical(told, candidates, LABELS, (180, 10), rng())
    assert sorted(hard) == [105, 106, 107, 108, 109, 112, 113, 114, 115, 116]
    chosen = {*easy.tolist(), *hard.tolist()}
    assert chosen.isdisjoint(range(50))
    assert chosen.isdisjoint({100, 104, 110, 111})


def test_no_example_is_both():
    easy, hard = select_prototypical_atypical(evidence(), EVERYONE, LABELS, (500, 500), rng())
    assert len(np.intersect1d(easy, hard)) == 0
    assert len(hard) == N // 2


def test_evidence_is_averaged_where_a_run_trained_the_example():
    one = Evidence(*(np.array([0.2, np.nan], np.float32) for _ in range(3)))
    two = Evidence(*(np.array([0.4, 0.6], np.float32) for _ in range(3)))
    np.testing.assert_allclose(Evidence.mean([one, two]).learnability, [0.3, 0.6], rtol=1e-6)


@pytest.mark.parametrize("channel", ["predicted", "margin", "loss"])
def test_evidence_tells_wrong_labels_from_hard_examples(channel):
    """Losses of 3 nats for wrong labels, of 3 falling to 0.1 for hard ones, of 0.1 for easy ones."""
    kinds = np.array(["easy"] * 200 + ["hard"] * 60 + ["wrong"] * 40 + ["wrong"] * 40)
    end = np.where(kinds == "wrong", 3.0, 0.1)
    start = np.where(kinds == "easy", 0.1, 3.0)
    loss = np.linspace(start, end, 8, axis=1) + rng().random((340, 8)) * 0.3
    labels = np.zeros(340, int)
    channels = {"loss": loss, "margin": 0.69 - loss, "predicted": (loss > 0.69).astype(int)}
    curves = Curves({"loss": loss, channel: channels[channel]})
    rows = np.arange(N, 340)
    probes = Probes(rows, np.full(40, "noisy"), np.array(["fit", "held_out"] * 20), rows - 40)
    told = gather_evidence(curves, labels, probes, default_suite(), EVERYONE, rng())
    wrong = kinds[:N] == "wrong"
    assert told.suspect[wrong].min() > 0.3
    assert np.mean(told.suspect[~wrong] < 0.25) > 0.95
    assert (told.fitted >= 0.5).tolist() == (~wrong).tolist()
    assert told.learnability[kinds[:N] == "easy"].min() > told.learnability[kinds[:N] == "hard"].max()


def test_without_doubtful_probes_nobody_is_suspect():
    curves = Curves({"loss": rng().random((N, 4))})
    trained = np.arange(N) != 7
    told = gather_evidence(curves, LABELS, Probes.of(), default_suite(), trained, rng())
    for values in (told.suspect, told.fitted, told.learnability):
        assert np.flatnonzero(np.isnan(values)).tolist() == [7]
    assert np.nanmax(told.suspect) == 0


def test_ordinary_draws_are_candidates_and_leave_half():
    candidates = np.arange(N) < 40
    rows = draw_ordinary(candidates, 500, rng())
    assert len(np.unique(rows)) == 20
    assert rows.max() < 40


def test_chosen_probes_are_examples_as_they_are():
    probes = as_probes(np.array([5, 9, 3, 8]), "atypical", 0.5, rng())
    np.testing.assert_array_equal(probes.row, probes.source_row)
    assert sorted(probes.role.tolist()) == ["fit", "fit", "held_out", "held_out"]
