from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sondage.errors import InvalidInput, NotFound
from worker.data.noise import TRUTH, Truth, plant_noise, read_truth


@given(
    num=st.integers(10, 400),
    num_classes=st.integers(2, 12),
    share=st.floats(0.01, 0.9),
    seed=st.integers(0, 2**31),
)
def test_exactly_the_share_of_train_labels_is_wrong_and_told(num, num_classes, share, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=num)
    train = np.arange(num) % 3 > 0
    noisy, planted = plant_noise(labels, train, num_classes, share, seed)
    np.testing.assert_array_equal(noisy != labels, planted)
    assert planted.sum() == max(1, round(share * train.sum()))
    assert not planted[~train].any()
    assert noisy.min() >= 0
    assert noisy.max() < num_classes


def test_wrong_labels_are_uniform_over_the_other_classes():
    labels = np.full(30_000, 1)
    noisy, planted = plant_noise(labels, np.ones(30_000, bool), 4, 0.5, 7)
    counts = np.bincount(noisy[planted], minlength=4)
    assert counts[1] == 0
    assert np.abs(counts[[0, 2, 3]] - 5000).max() < 5 * np.sqrt(5000)  # five standard deviations


def test_the_same_seed_plants_the_same():
    labels = np.arange(100) % 5
    first, again, other = (plant_noise(labels, np.ones(100, bool), 5, 0.2, seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_without_a_train_split_nothing_can_be_planted():
    with pytest.raises(InvalidInput, match="train split"):
        plant_noise(np.array([0, 1]), np.zeros(2, bool), 2, 0.5, 0)


def test_the_truth_comes_back_from_its_file(tmp_path):
    (tmp_path / TRUTH).write_bytes(Truth(np.array([3, 9]), np.array([0, 2])).to_bytes())
    truth = read_truth(tmp_path)
    assert (truth.rows.tolist(), truth.labels.tolist()) == ([3, 9], [0, 2])
    with pytest.raises(NotFound, match="No wrong labels were planted"):
        read_truth(tmp_path / "elsewhere")
