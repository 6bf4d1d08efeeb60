"""③ Curves against slow loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sondage.curves import Curves, align, transpose
from sondage.errors import InvalidInput

NAN = np.nan
GAPPY = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=7),
    elements=st.one_of(st.just(NAN), st.floats(-5, 5, width=32)),
)


def filled_slowly(row):
    """Last value before; at the start the first one after."""
    out = list(row)
    for position in range(len(out)):
        if np.isnan(out[position]):
            before = [value for value in row[:position] if not np.isnan(value)]
            after = [value for value in row[position:] if not np.isnan(value)]
            out[position] = before[-1] if before else after[0] if after else NAN
    return out


@given(GAPPY)
def test_fill_carries_forward_then_backward(values):
    expected = np.array([filled_slowly(row) for row in values], dtype=np.float32)
    np.testing.assert_array_equal(Curves({"loss": values}).fill()["loss"], expected)


@given(
    hnp.arrays(np.int16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.integers(-1, 3))
)
def test_fill_of_classes_is_the_fill_of_floats(values):
    as_floats = np.where(values < 0, NAN, values)
    expected = Curves({"predicted": as_floats}).fill()["predicted"]
    got = Curves({"predicted": values}).fill()["predicted"]
    assert got.dtype == np.int16
    np.testing.assert_array_equal(got, np.where(np.isnan(expected), -1, expected))


def test_fill_bounds_infinite_losses_and_leaves_the_given_array_alone():
    loss = np.array([[np.inf, 2.0, NAN], [1.0, 3.0, 4.0]], dtype=np.float32)
    before = loss.copy()
    filled = Curves({"loss": loss}).fill()["loss"]
    np.testing.assert_array_equal(filled, [[4, 2, 2], [1, 3, 4]])
    np.testing.assert_array_equal(loss, before)


def test_a_number_lacking_where_the_row_was_seen_is_the_worst_one():
    """By `predicted` the first row was seen in epochs 0 and 1, and not in 2; the second in all."""
    curves = Curves(
        {
            "loss": np.array([[0.1, NAN, NAN], [3.0, 1.0, 2.0], [NAN, NAN, NAN]]),
            "margin": np.array([[2.0, NAN, NAN], [-4.0, 1.0, 5.0], [NAN, NAN, NAN]]),
            "other": np.array([[0.1, NAN, NAN], [3.0, 1.0, 2.0], [NAN, NAN, NAN]]),
            "predicted": np.array([[0, 0, -1], [1, 1, 1], [-1, -1, -1]]),
        }
    )
    filled = curves.fill()
    np.testing.assert_array_equal(filled["loss"][0], np.float32([0.1, 3, 3]))
    np.testing.assert_array_equal(filled["margin"][0], [2, -4, -4])
    np.testing.assert_array_equal(filled["other"][0], np.float32([0.1, 0.1, 0.1]))
    assert filled.ever_seen().tolist() == [True, True, False]
    assert np.isnan(curves["loss"][0, 1])


def test_fill_refuses_a_run_that_diverged_from_the_start():
    with pytest.raises(InvalidInput, match="diverged"):
        Curves({"loss": np.full((2, 3), np.inf)}).fill()


@given(GAPPY)
def test_seen_and_ever_seen(values):
    curves = Curves({"loss": values})
    assert curves.seen().tolist() == [not any(np.isnan(row)) for row in values]
    assert curves.ever_seen().tolist() == [not all(np.isnan(row)) for row in values]


def test_channels_are_contiguous_float32_and_keep_whole_numbers():
    loss = np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3))
    curves = Curves({"loss": loss, "predicted": np.zeros((2, 3), np.int8)})
    assert curves["loss"].dtype == np.float32
    assert curves["loss"].flags.c_contiguous
    assert curves["predicted"].dtype == np.int8
    assert (curves.num_rows, curves.num_epochs) == (2, 3)


def test_take_and_epochs_cut_every_channel():
    loss = np.arange(12, dtype=np.float32).reshape(4, 3)
    curves = Curves({"loss": loss, "margin": -loss})
    np.testing.assert_array_equal(curves.take(np.array([3, 0]))["margin"], -loss[[3, 0]])
    np.testing.assert_array_equal(curves.epochs(slice(1, None))["loss"], loss[:, 1:])


def test_align_keeps_shared_channels_and_the_shortest_run():
    long = Curves({"loss": np.arange(10.0).reshape(2, 5), "margin": np.zeros((2, 5))})
    short = Curves({"loss": np.zeros((2, 3))})
    first, second = align([long, short])
    np.testing.assert_array_equal(first["loss"], [[0, 1, 2], [5, 6, 7]])
    assert set(first.channels) == set(second.channels) == {"loss"}
    assert align([]) == []


def test_from_epochs_turns_recorded_epochs_into_rows(monkeypatch):
    monkeypatch.setattr("sondage.curves._CHUNK_ROWS", 4)
    epochs = [np.random.default_rng(e).random(11).astype(np.float32) for e in range(3)]
    curves = Curves.from_epochs({"loss": epochs})
    for row in range(11):
        for epoch in range(3):
            assert curves["loss"][row, epoch] == epochs[epoch][row]
    with pytest.raises(InvalidInput, match="no epochs"):
        transpose([])


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ({}, "at least one channel"),
        ({"loss": np.zeros(3)}, "rows × epochs"),
        ({"loss": np.zeros((3, 2)), "margin": np.zeros((3, 1))}, "same rows and epochs"),
        ({"loss": np.array([["a"]])}, "numbers are needed"),
    ],
)
def test_what_is_no_set_of_curves_is_refused(channels, said):
    with pytest.raises(InvalidInput, match=said):
        Curves(channels)


def test_a_missing_channel_is_named_with_those_that_are_there():
    with pytest.raises(InvalidInput, match="no channel 'margin'; recorded are: loss"):
        Curves({"loss": np.zeros((1, 1))})["margin"]


def test_gaps_are_filled_alike_over_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    values = rng.random((50, 6)).astype(np.float32)
    values[rng.random(values.shape) < 0.4] = np.nan
    whole = Curves({"loss": values}).fill()["loss"]
    monkeypatch.setattr("sondage.curves._CHUNK_ROWS", 7)
    np.testing.assert_array_equal(Curves({"loss": values}).fill()["loss"], whole)
