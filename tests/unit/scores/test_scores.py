"""⑤ Scores against slow loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sondage.curves import Curves
from sondage.errors import InvalidInput
from sondage.scores.base import mean_over_runs
from sondage.scores.registry import SCORES, available, get_score, score_runs

VALUES = hnp.arrays(
    np.float32,
    (6, 4),
    elements=st.one_of(st.just(np.nan), st.floats(0, 12, width=32)),
)


def slowly(name, loss, margin, distance):
    if name == "last_loss":
        return loss[-1]
    if name in ("distance", "label_odds"):
        return distance[2] * (1 if name == "distance" else -1)
    if name == "certainty":
        loss, margin = loss[2:], margin[2:]
    values = {
        "mean_loss": loss,
        "aum": margin,
        "learnability": [np.exp(-value) for value in loss],
        "certainty": [
            float(np.exp(min(0, max(0, -m) - one))) if m == m and one == one else np.nan
            for one, m in zip(loss, margin, strict=True)
        ],
    }[name]
    there = [float(value) for value in values if not np.isnan(value)]
    return sum(there) / len(there) if there else np.nan


@given(VALUES, VALUES, VALUES)
def test_each_score_is_its_definition(loss, margin, distance):
    distance[:, 3], distance[0, 2] = np.nan, 1.5
    curves = Curves({"loss": loss, "margin": margin, "distance": distance, "label_odds": -distance})
    for name, score in SCORES.items():
        expected = [slowly(name, *row) for row in zip(loss, margin, distance, strict=True)]
        got = score(curves)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-30)


def test_chunks_make_no_difference(monkeypatch):
    loss = np.random.default_rng(0).random((23, 5)).astype(np.float32)
    whole = SCORES["learnability"](Curves({"loss": loss}))
    monkeypatch.setattr("sondage.scores.base._CHUNK_ROWS", 7)
    np.testing.assert_array_equal(SCORES["learnability"](Curves({"loss": loss})), whole)


def test_certainty_is_of_the_likeliest_class_whatever_the_label():
    logits = np.random.default_rng(0).normal(size=(50, 8, 5)) * 3
    own, chances = logits[..., 0], np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    curves = Curves({"loss": -np.log(chances[..., 0]), "margin": own - logits[..., 1:].max(axis=2)})
    wanted = chances.max(axis=2)[:, 4:].mean(axis=1)
    np.testing.assert_allclose(SCORES["certainty"](curves), wanted, rtol=1e-4)


def test_of_a_diverged_epoch_certainty_knows_nothing():
    curves = Curves(
        {"loss": [[1.0, np.inf, 0.0], [1.0, np.inf, np.inf]], "margin": [[0.0, -np.inf, 9.0]] * 2}
    )
    np.testing.assert_array_equal(SCORES["certainty"](curves), [1.0, np.nan])


def test_runs_are_averaged_where_the_row_was_seen():
    one = Curves({"loss": [[1.0, 3.0], [np.nan, np.nan], [np.nan, np.nan]]})
    two = Curves({"loss": [[4.0, 4.0], [5.0, 5.0], [np.nan, np.nan]]})
    np.testing.assert_array_equal(score_runs("mean_loss", [one, two]), [3.0, 5.0, np.nan])


def test_mean_over_runs_of_none_is_none():
    assert np.isnan(mean_over_runs([np.array([np.nan], np.float32)])).all()


def test_bad_ends_point_at_wrong_labels():
    """A row learned at once beside one that never was."""
    curves = Curves(
        {
            "loss": [[0.1, 0.01], [4.0, 5.0]],
            "margin": [[3.0, 6.0], [-2.0, -4.0]],
            "distance": [[5.0, 2.0], [4.0, 9.0]],
            "label_odds": [[-5.0, 9.0], [4.0, -9.0]],
        }
    )
    for score in SCORES.values():
        good, bad = score(curves)
        assert (bad > good) == (score.bad_end == "high")


def test_only_scores_whose_channels_are_there_are_available():
    loss_only = Curves({"loss": [[1.0]]})
    assert [score.name for score in available([loss_only])] == ["mean_loss", "last_loss", "learnability"]
    with pytest.raises(InvalidInput, match="no channel 'margin'"):
        score_runs("aum", [loss_only])


def test_distance_is_that_of_the_last_look_and_none_is_made_up():
    nan = np.nan
    curves = Curves({"distance": [[5.0, nan, 2.0, nan], [6.0, nan, nan, nan], [nan, nan, 0.0, nan]]})
    np.testing.assert_array_equal(SCORES["distance"](curves), [2.0, nan, 0.0])
    np.testing.assert_array_equal(SCORES["distance"](curves.epochs(slice(2))), [5.0, 6.0, nan])
    nobody = SCORES["distance"](Curves({"distance": np.full((2, 3), nan, np.float16)}))
    assert nobody.dtype == np.float32
    assert np.isnan(nobody).all()
    looked = Curves({"distance": [[4.0], [nan], [nan]]})
    np.testing.assert_array_equal(score_runs("distance", [curves, looked]), [3.0, nan, 0.0])


def test_runs_that_were_not_looked_at_have_no_distance():
    looked, other = Curves({"loss": [[1.0]], "distance": [[1.0]]}), Curves({"loss": [[1.0]]})
    assert "distance" in [score.name for score in available([looked])]
    assert "distance" not in [score.name for score in available([looked, other])]


def test_unknown_methods_and_no_runs_are_refused():
    with pytest.raises(InvalidInput, match="there are: mean_loss"):
        get_score("luck")
    with pytest.raises(InvalidInput, match="at least one run"):
        score_runs("mean_loss", [])
