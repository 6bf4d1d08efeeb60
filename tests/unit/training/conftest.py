"""Tiny data sets of every modality, and a quiet torch."""

import numpy as np
import pytest
import torch

from worker.data.loader import TrainingData
from worker.data.tokens import tokenise


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order: equal seeds give equal bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def image_arrays(num, height=8, width=8, channels=1, seed=0):
    """Images whose class is the brighter of `num_classes` vertical bands, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, num)
    pixels = rng.integers(0, 120, (num, height, width, channels))
    for index, label in enumerate(labels):
        low, high = width * label // 3, width * (label + 1) // 3
        pixels[index, :, low:high] += 120
    return pixels.astype(np.uint8), labels.astype(np.int64)


def text_arrays(num, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, num)
    words = [["sun", "sea"], ["snow", "ice"], ["rain", "mud"]]
    texts = [" ".join(rng.choice(words[y] + ["the", "a"], rng.integers(0, 6))) for y in labels]
    return tokenise(texts), labels.astype(np.int64)


def make_data(modality, num=50, **keywords):
    """Three classes that can be told apart; `keywords` go to `TrainingData.assemble`."""
    rng = np.random.default_rng(1)
    if modality == "image":
        pixels, labels = image_arrays(num)
        arrays = (pixels,)
    elif modality == "text":
        arrays, labels = text_arrays(num)
    else:
        labels = rng.integers(0, 3, num)
        values = (rng.normal(size=(num, 4)) + 2 * labels[:, None]).astype(np.float32)
        codes = np.stack([labels, rng.integers(-1, 5, num)], axis=1).astype(np.int32)
        arrays = (values, codes) if modality == "table" else (values,)
    return TrainingData.assemble(modality, arrays, labels, 3, **keywords)


@pytest.fixture(name="make_data")
def make_data_fixture():
    return make_data


@pytest.fixture(name="image_arrays")
def image_arrays_fixture():
    return image_arrays
