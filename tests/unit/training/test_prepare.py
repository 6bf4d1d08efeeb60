"""Standardisation from the train rows alone; scaling; augmentation."""

import numpy as np
import pytest
import torch

from sondage.errors import InvalidInput
from worker.data import prepare as prepare_module
from worker.data.augment import augment, random_flip, random_shift
from worker.data.loader import Loader, TrainingData
from worker.data.prepare import Preparation, statistics
from worker.training.seeding import generator

CPU = torch.device("cpu")


def prepared(data, rows, **keywords):
    (batch,) = Loader(data, CPU).batches(np.asarray(rows), len(rows))
    return Preparation(data, CPU, **keywords)(batch.inputs, None)


def test_images_are_standardised_per_channel_by_the_train_rows(image_arrays):
    pixels, labels = image_arrays(40, channels=3)
    pixels[..., 1] //= 4
    pixels[30:] = 255
    data = TrainingData.assemble("image", (pixels,), labels, 3, split=np.repeat([0, 1], [30, 10]))
    (images,) = prepared(data, range(30))
    assert images.shape == (30, 3, 8, 8)
    assert images.dtype == torch.float32
    torch.testing.assert_close(images.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std(dim=(0, 2, 3), unbiased=False), torch.ones(3), atol=1e-5, rtol=0)
    flat = pixels[:30].astype(float).reshape(-1, 3)
    np.testing.assert_allclose(
        images[4, 2], (pixels[4, :, :, 2] - flat[:, 2].mean()) / flat[:, 2].std(), rtol=1e-4
    )


def test_statistics_of_a_sample_are_near_those_of_all(image_arrays, monkeypatch):
    pixels, labels = image_arrays(600)
    data = TrainingData.assemble("image", (pixels,), labels, 3)
    full = statistics(data)
    monkeypatch.setattr(prepare_module, "_SAMPLED_ROWS", 300)
    sampled = statistics(data)
    assert sampled[0] != full[0]
    torch.testing.assert_close(sampled[0], full[0], rtol=0.05, atol=0)
    assert torch.equal(statistics(data)[0], sampled[0])


def test_columns_that_do_not_vary_and_numbers_that_miss():
    values = np.array([[1e6, 1, np.nan], [1e6, 2, np.nan], [1e6, np.nan, np.nan]], np.float32)
    data = TrainingData.assemble("vector", (values,), np.array([0, 1, 0]), 2)
    (out,) = prepared(data, range(3))
    torch.testing.assert_close(out, torch.tensor([[0.0, -1, 0], [0, 1, 0], [0, 0, 0]]))


def test_a_table_may_have_no_numbers():
    arrays = np.zeros((3, 0), np.float32), np.array([[0], [1], [-1]], np.int32)
    data = TrainingData.assemble("table", arrays, np.array([0, 1, 0]), 2)
    numeric, codes = prepared(data, range(3))
    assert numeric.shape == (3, 0)
    assert codes.tolist() == [[0], [1], [-1]]


def test_codes_and_tokens_stay(make_data):
    data = make_data("table")
    _, codes = prepared(data, range(5))
    assert torch.equal(codes, data.inputs._parts[0][1][:5])
    data = make_data("text")
    tokens, _ = prepared(data, range(5))
    assert tokens.dtype == torch.int32


def test_images_are_scaled(image_arrays):
    pixels, labels = image_arrays(4, height=17, width=23)
    data = TrainingData.assemble("image", (pixels,), labels, 3)
    (images,) = prepared(data, range(4), image_size=12)
    assert images.shape == (4, 1, 12, 12)


@pytest.mark.parametrize(
    ("keywords", "field"), [({"how": "shift"}, "augment"), ({"image_size": 8}, "image_size")]
)
def test_augmentation_is_for_images(make_data, keywords, field):
    with pytest.raises(InvalidInput) as caught:
        Preparation(make_data("vector"), CPU, **keywords)
    assert caught.value.field == field


@pytest.fixture
def images():
    return torch.arange(1, 40 * 8 * 16 * 2 + 1, dtype=torch.int32).view(40, 8, 16, 2)


def draw(seed=0, epoch=0):
    return generator(seed, "augment", epoch, CPU)


def test_a_flip_mirrors_about_half_of_the_images(images):
    flipped = random_flip(images, draw())
    mirrored = [torch.equal(a, b.flip(1)) for a, b in zip(flipped, images, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 10 <= sum(mirrored) <= 30


def test_a_shift_moves_and_fills_with_0(images):
    """Each shifted image is one of the 3 × 5 windows of the image in a frame of zeros."""
    shifted = random_shift(images, draw())
    found = set()
    for image, out in zip(images, shifted, strict=True):
        frame = torch.zeros(10, 20, 2, dtype=torch.int32)
        frame[1:9, 2:18] = image
        (where,) = [
            (y, x) for y in range(3) for x in range(5) if torch.equal(frame[y : y + 8, x : x + 16], out)
        ]
        found.add(where)
    assert len(found) > 8, "every image has a draw of its own"


def test_augmentation_is_drawn_from_seed_and_epoch(images):
    first = augment(images, "flip_shift", draw(1, 2))
    assert torch.equal(augment(images, "flip_shift", draw(1, 2)), first)
    assert not torch.equal(augment(images, "flip_shift", draw(1, 3)), first)
    assert not torch.equal(augment(images, "flip_shift", draw(2, 2)), first)
    assert augment(images, "none", draw()) is images


def test_an_unknown_augmentation_is_refused(images):
    with pytest.raises(InvalidInput, match="flip_shift"):
        augment(images, "rotate", draw())
