"""④ What generators promise about labels, images, texts, tables and vectors."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sondage.errors import InvalidInput, Unsupported
from sondage.probes.generators import MAKERS, MODALITIES, flip_labels, make_probe_inputs, random_labels
from sondage.probes.images import corrupt_images, scramble_images, scramble_phases
from sondage.probes.suite import CORRUPTIONS, Generator
from sondage.probes.tables import TableInputs
from sondage.probes.texts import corrupt_texts, scramble_texts


def rng(seed=0):
    return np.random.default_rng(seed)


def pictures(n=6, height=12, width=9, channels=3):
    """Smooth, mid-range, so that hardly anything is cut at the ends of the range."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (2 + i) + c) + np.cos(y / 3 + i) for i in range(n) for c in range(channels)]
    stack = np.array(waves).reshape(n, channels, height, width).transpose(0, 2, 3, 1)
    return (127 + 40 * stack).astype(np.uint8)


@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_flipped_labels_are_always_wrong_and_classes(num_classes, seed):
    labels = rng(seed).integers(num_classes, size=50)
    flipped = flip_labels(labels, num_classes, rng(seed))
    assert (flipped != labels).all()
    assert set(flipped.tolist()) <= set(range(num_classes))


def test_flips_are_uniform_over_the_other_classes():
    flipped = flip_labels(np.full(30_000, 2), 4, rng())
    counts = np.bincount(flipped, minlength=4)
    assert counts[2] == 0
    # 10,000 expected each, standard deviation 82.
    assert np.abs(counts[[0, 1, 3]] - 10_000).max() < 500


def test_one_class_cannot_be_flipped():
    with pytest.raises(InvalidInput, match="two classes"):
        flip_labels(np.zeros(3, int), 1, rng())


def test_random_labels_cover_all_classes():
    assert set(random_labels(500, 5, rng()).tolist()) == set(range(5))


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(2, 4, 4, 1), (3, 8, 8, 1), (2, 7, 13, 3), (1, 32, 32, 5)])
def test_damage_keeps_the_form_and_grows_with_strength(kind, shape):
    images = pictures(*shape)
    damaged = [corrupt_images(images, rng(1), strength=s, kinds=[kind]) for s in (0.05, 0.5, 1.0)]
    assert all(out.shape == images.shape and out.dtype == np.uint8 for out in damaged)
    changes = [np.abs(out.astype(float) - images).mean() for out in damaged]
    assert changes[0] < changes[2]
    assert changes[2] > 0


def test_noise_has_half_the_strength_as_its_deviation():
    grey = np.full((4, 64, 64, 1), 128, np.uint8)
    noisy = corrupt_images(grey, rng(), strength=0.2, kinds=["noise"])
    assert np.std(noisy / 255.0) == pytest.approx(0.1, rel=0.03)


def test_blur_spreads_a_point_as_a_gaussian_and_keeps_a_flat_image():
    point = np.zeros((1, 33, 33, 1), np.uint8)
    point[0, 16, 16] = 255
    blurred = corrupt_images(point, rng(), strength=0.25, kinds=["blur"])[0, :, :, 0]
    sigma = 0.25 * 33 / 8
    assert blurred[16, 16] == pytest.approx(255 / (2 * np.pi * sigma**2), rel=0.05)
    flat = np.full((1, 8, 8, 3), 77, np.uint8)
    np.testing.assert_array_equal(corrupt_images(flat, rng(), strength=1.0, kinds=["blur"]), flat)


def test_occlusion_covers_its_share_with_the_mean():
    images = pictures(1, 40, 40, 1)
    covered = corrupt_images(images, rng(), strength=0.5, kinds=["occlusion"])
    assert (covered == round(float(images.mean()))).mean() == pytest.approx(0.25, abs=0.03)


def test_every_kind_is_used():
    images = np.repeat(pictures(1, 16, 16, 1), 60, axis=0)
    out = corrupt_images(images, rng(), strength=0.5, kinds=["blur", "occlusion"])
    blurred = corrupt_images(images[:1], rng(), strength=0.5, kinds=["blur"])[0]
    share = np.mean([(image == blurred).all() for image in out])
    assert 0.2 < share < 0.8


@given(st.integers(4, 9), st.integers(4, 9), st.integers(1, 3), st.integers(0, 1000))
def test_other_phases_keep_the_power_spectrum_exactly(height, width, channels, seed):
    pixels = rng(seed).random((height, width, channels))
    out = scramble_phases(pixels, rng(seed + 1))
    power = [np.abs(np.fft.fft2(image, axes=(0, 1))) for image in (pixels, out)]
    np.testing.assert_allclose(power[1], power[0], atol=1e-8)


def test_colours_stay_together():
    pixels = rng().random((8, 8, 1)).repeat(3, axis=2) * [1.0, 0.5, 0.25]
    out = scramble_phases(pixels, rng(1))
    np.testing.assert_allclose(out[..., 1], out[..., 0] * 0.5)


def test_scrambled_images_keep_mean_and_contrast_and_show_nothing():
    images = pictures(8, 16, 16, 3)
    out = scramble_images(images, rng())
    for image, scrambled in zip(images, out, strict=True):
        np.testing.assert_allclose(scrambled.mean((0, 1)), image.mean((0, 1)), atol=2)
        np.testing.assert_allclose(scrambled.std((0, 1)), image.std((0, 1)), rtol=0.1)
    assert np.abs(out.astype(float) - images).mean() > 10


def test_contrast_of_sparse_strokes_survives_cutting():
    digits = np.zeros((5, 8, 8, 1), np.uint8)
    digits[:, 1:7, 3:5] = 255
    out = scramble_images(digits, rng())
    assert out.std(axis=(1, 2, 3)).mean() == pytest.approx(digits.std(axis=(1, 2, 3)).mean(), rel=0.15)


def test_a_black_image_stays_black():
    black = np.zeros((1, 6, 6, 1), np.uint8)
    np.testing.assert_array_equal(scramble_images(black, rng()), black)


@pytest.mark.parametrize("shape", [(2, 3, 8, 1), (2, 8, 8), (2, 8, 8, 0)])
def test_images_of_another_form_are_refused(shape):
    with pytest.raises(InvalidInput):
        scramble_images(np.zeros(shape, np.uint8), rng())


@given(st.lists(st.text(alphabet="ab ", max_size=12), max_size=6), st.floats(0.01, 1.0))
def test_dropped_words_leave_a_subsequence_of_one_word_or_more(texts, strength):
    for text, out in zip(texts, corrupt_texts(texts, rng(), strength=strength), strict=True):
        left = iter(text.split())
        assert all(word in left for word in out.split())
        assert len(out.split()) >= min(1, len(text.split()))


def test_words_are_dropped_at_the_rate():
    out = corrupt_texts(["w " * 5000], rng(), strength=0.3)[0]
    assert len(out.split()) == pytest.approx(3500, abs=150)


def test_scrambled_texts_keep_lengths_and_word_frequencies():
    reference = ["often often often rare"] * 3
    out = scramble_texts(["one two three"] * 2000 + [""], reference, rng())
    assert [len(text.split()) for text in out] == [3] * 2000 + [1]
    counts = Counter(word for text in out for word in text.split())
    assert counts["often"] / counts.total() == pytest.approx(0.75, abs=0.03)
    with pytest.raises(InvalidInput, match="no words"):
        scramble_texts(["a"], [""], rng())


def table(n=2000):
    numeric = np.stack([rng(1).normal(5, 2, n), rng(2).normal(0, 100, n)], axis=1).astype(np.float32)
    numeric[0, 0] = np.nan
    codes = np.stack([rng(3).integers(3, size=n), np.arange(n) % 7], axis=1).astype(np.int32)
    codes[1, 0] = -1
    return TableInputs(numeric, codes)


def test_jittered_tables_move_by_the_columns_deviation_and_leave_gaps():
    rows = table()
    out = make_probe_inputs("table", Generator("corrupt", parameters={"strength": 0.4}), rows, rows, rng())
    moved = np.nanstd(out.numeric - rows.numeric, axis=0) / np.nanstd(rows.numeric, axis=0)
    np.testing.assert_allclose(moved, 0.4, rtol=0.08)
    assert np.isnan(out.numeric[0, 0])
    assert np.isnan(out.numeric).sum() == 1
    assert out.codes[1, 0] == -1
    # Drawn again at rate 0.4, a seventh of which is the same value by chance.
    assert (out.codes[:, 1] != rows.codes[:, 1]).mean() == pytest.approx(0.4 * 6 / 7, abs=0.05)
    assert (out.numeric.dtype, out.codes.dtype) == (np.float32, np.int32)


def test_scrambled_tables_keep_columns_and_break_rows():
    numbers = np.arange(1000, dtype=np.float32)
    rows = TableInputs(np.stack([numbers, numbers], axis=1), numbers[:, None].astype(np.int32))
    out = make_probe_inputs("table", Generator("scramble"), rows, rows, rng())
    assert set(out.numeric.ravel().tolist()) <= set(numbers.tolist())
    assert (out.numeric[:, 0] == out.numeric[:, 1]).mean() < 0.02
    assert (out.codes[:, 0] == out.numeric[:, 0]).mean() < 0.02


@pytest.mark.parametrize("name", ["corrupt", "scramble"])
def test_tables_without_numbers_or_without_categories_work(name):
    for rows in (
        TableInputs(np.zeros((5, 0), np.float32), np.ones((5, 2), np.int32)),
        TableInputs(np.ones((5, 2), np.float32), np.zeros((5, 0), np.int32)),
    ):
        out = make_probe_inputs("table", Generator(name), rows, rows, rng())
        assert (out.numeric.shape, out.codes.shape) == (rows.numeric.shape, rows.codes.shape)


def test_vectors_move_by_their_deviation_and_scramble_within_dimensions():
    vectors = (rng().normal(size=(3000, 2)) * [1, 50]).astype(np.float32)
    moved = make_probe_inputs("vector", Generator("corrupt"), vectors, vectors, rng(1)) - vectors
    np.testing.assert_allclose(moved.std(axis=0) / vectors.std(axis=0), 0.75, rtol=0.06)
    out = make_probe_inputs("vector", Generator("scramble"), vectors, vectors, rng(2))
    assert out.dtype == np.float32
    for column in range(2):
        assert np.isin(out[:, column], vectors[:, column]).all()


def test_a_flip_keeps_the_input():
    vectors = np.ones((2, 2), np.float32)
    assert make_probe_inputs("vector", Generator("flip"), vectors, vectors, rng()) is vectors


def test_every_modality_has_every_maker_and_others_are_refused():
    assert set(MAKERS) == {(m, g) for m in MODALITIES for g in ("corrupt", "scramble")}
    with pytest.raises(Unsupported, match="'audio'"):
        make_probe_inputs("audio", Generator("flip"), [], [], rng())
    with pytest.raises(InvalidInput, match="chosen after training"):
        make_probe_inputs("image", Generator("atypical"), [], [], rng())


@pytest.mark.parametrize("name", ["corrupt", "scramble"])
def test_the_same_seed_makes_the_same_probes(name):
    images = pictures()
    one, two = (make_probe_inputs("image", Generator(name), images, images, rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
