from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sondage.errors import InvalidInput, InvalidRows, Unsupported
from worker.data.sources import SourceLimits

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 6, 5), dtype=np.uint8)
LABELS = np.arange(12) % 3
KEYS = np.arange(12)


def test_pictures_keep_pixels_splits_and_classes(root, register):
    colour = RNG.integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    np.savez(
        root / "a.npz",
        x_train=np.repeat(PIXELS[..., None], 3, 3),
        y_train=LABELS,
        x_test=colour,
        y_test=[0, 1, 2, 2],
    )
    done = register("npz", "a.npz")
    assert done.payload.array.shape == (16, 6, 5, 3)
    np.testing.assert_array_equal(done.payload.array[12:], colour)
    assert done.registration.splits == ["train"] * 12 + ["test"] * 4
    assert done.registration.keys[11:13] == ["train/11", "test/0"]
    assert done.registration.class_names == ["0", "1", "2"]


def test_arrays_can_be_named_and_keys_given(root, register):
    np.savez(
        root / "a.npz",
        pictures=PIXELS,
        kinds=np.array(["cat", "dog", "ant"])[LABELS],
        ids=np.arange(100, 112),
    )
    done = register("npz", "a.npz", arrays={"x_train": "pictures", "y_train": "kinds", "keys_train": "ids"})
    assert done.registration.class_names == ["ant", "cat", "dog"]
    assert done.registration.labels[:3].tolist() == [1, 2, 0]
    assert done.registration.keys[0] == "100"
    assert done.payload.array.shape == (12, 6, 5, 1)


@given(
    vectors=hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int32, ">f4"]),
        st.tuples(st.integers(4, 30), st.integers(1, 7)),
        elements=st.integers(-1000, 1000),
    ),
    fortran=st.booleans(),
    compressed=st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_vectors_of_any_type_come_back(root, register, vectors, fortran, compressed):
    vectors = np.asfortranarray(vectors) if fortran else vectors
    save = np.savez_compressed if compressed else np.savez
    save(root / "a.npz", x_train=vectors, y_train=np.arange(len(vectors)) % 2)
    done = register("npz", "a.npz")
    assert done.registration.modality == "vector"
    np.testing.assert_array_equal(done.payload.array, vectors.astype(np.float32))


def test_blocks_make_no_difference_to_the_fingerprint(root, register, monkeypatch):
    np.savez(root / "a.npz", x_train=PIXELS, y_train=LABELS)
    whole = register("npz", "a.npz")
    monkeypatch.setattr("worker.data.sources.npz.BLOCK_BYTES", 100)
    blocks = register("npz", "a.npz")
    assert blocks.registration.fingerprint == whole.registration.fingerprint
    np.testing.assert_array_equal(blocks.payload.array, whole.payload.array)


@pytest.mark.parametrize("change", ["pixel", "label", "key", "split", "name"])
def test_any_change_of_content_changes_the_fingerprint(root, register, change):
    def fingerprint(pixels=PIXELS, labels=LABELS, keys=KEYS, part="train", names=None):
        arrays = {"x_train": pixels[:8], "y_train": labels[:8], "keys_train": keys[:8]}
        arrays |= {
            f"x_{part}": pixels,
            f"y_{part}": labels,
            f"keys_{part}": keys + (100 if part == "test" else 0),
        }
        np.savez(root / "a.npz", **arrays)
        return register("npz", "a.npz", class_names=names).registration.fingerprint

    other_pixels, other_labels, other_keys = PIXELS.copy(), LABELS.copy(), np.arange(12)
    other_pixels[3, 0, 0] ^= 1
    other_labels[4] = (other_labels[4] + 1) % 3
    other_keys[5] = 77
    changed = {
        "pixel": {"pixels": other_pixels},
        "label": {"labels": other_labels},
        "key": {"keys": other_keys},
        "split": {"part": "test"},
        "name": {"names": ["a", "b", "c"]},
    }
    assert fingerprint() == fingerprint()
    assert fingerprint(**changed[change]) != fingerprint()


def test_pickled_arrays_are_never_opened(root, register):
    class Bomb:
        def __reduce__(self):
            return (open, (str(root / "opened"), "w"))

    np.savez(root / "a.npz", x_train=np.array([Bomb()] * 4, dtype=object), y_train=[0, 1, 0, 1])
    with pytest.raises(InvalidInput, match="pickles run code"):
        register("npz", "a.npz")
    np.savez(root / "a.npz", x_train=PIXELS[:4], y_train=np.array([Bomb()] * 4, dtype=object))
    with pytest.raises(InvalidInput, match="pickles run code"):
        register("npz", "a.npz")
    assert not (root / "opened").exists()


def test_an_array_too_large_is_refused_by_its_header(root, register):
    np.savez_compressed(
        root / "a.npz", x_train=np.zeros((1000, 100, 100), np.uint8), y_train=np.arange(1000) % 2
    )
    assert (root / "a.npz").stat().st_size < 100_000
    with pytest.raises(InvalidInput, match="unpacks to 10,000,000 bytes; at most 1,000,000"):
        register("npz", "a.npz", limits=SourceLimits(max_array_bytes=1_000_000))


def test_a_header_that_promises_more_than_there_is_is_refused(root, register):
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        array, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**3)}
    )
    with zipfile.ZipFile(root / "a.npz", "w") as archive:
        archive.writestr("x_train.npy", array.getvalue() + b"few bytes")
    with pytest.raises(InvalidInput, match="its header and its size disagree"):
        register("npz", "a.npz")


@pytest.mark.parametrize("damage", ["not a zip", "cut", "flipped"])
def test_a_damaged_archive_is_told(root, register, damage):
    file = root / "a.npz"
    np.savez_compressed(
        file, x_train=RNG.integers(0, 256, (200, 20, 20), dtype=np.uint8), y_train=np.arange(200) % 2
    )
    data = bytearray(file.read_bytes())
    if damage == "not a zip":
        data = bytearray(b"some text")
    elif damage == "cut":
        data = data[: len(data) // 2]
    else:
        data[2000:2100] = bytes(100)
    file.write_bytes(bytes(data))
    with pytest.raises(InvalidInput, match=r"a\.npz"):
        register("npz", "a.npz")


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"x_train": PIXELS}, InvalidInput, "no labels for 'x_train'"),
        ({"data": PIXELS}, InvalidInput, "which of them is x_train"),
        ({"x_train": PIXELS, "y_train": LABELS[:5]}, InvalidInput, "equally long"),
        ({"x_train": PIXELS.astype(float), "y_train": LABELS}, InvalidInput, "Pictures are uint8"),
        (
            {"x_train": np.zeros((12, 3, 9, 9), np.uint8), "y_train": LABELS},
            InvalidInput,
            "channels come last",
        ),
        ({"x_train": PIXELS, "y_train": np.eye(3)[LABELS]}, Unsupported, "argmax"),
        ({"x_train": PIXELS, "y_train": LABELS + 0.5}, Unsupported, "measurements"),
        ({"x_train": PIXELS, "y_train": np.zeros(12, int)}, InvalidInput, "have one class"),
        ({"x_train": PIXELS[:0], "y_train": LABELS[:0]}, InvalidInput, "empty"),
        ({"x_train": np.zeros((60, 2)), "y_train": np.arange(60)}, InvalidInput, "60 different labels"),
        ({"x_train": np.zeros((12, 0)), "y_train": LABELS}, InvalidInput, "rows without values"),
        ({"x_test": PIXELS, "y_test": LABELS}, InvalidInput, "no examples in the train split"),
    ],
)
def test_arrays_that_do_not_fit_are_told(root, register, arrays, error, message):
    np.savez(root / "a.npz", **arrays)
    with pytest.raises(error, match=message):
        register("npz", "a.npz")


def test_roles_and_names_of_arrays_are_checked(root, register):
    np.savez(root / "a.npz", x_train=PIXELS, y_train=LABELS)
    with pytest.raises(InvalidInput, match="no role of an array"):
        register("npz", "a.npz", arrays={"inputs": "x_train"})
    with pytest.raises(InvalidInput, match="no array 'z'; there are x_train, y_train"):
        register("npz", "a.npz", arrays={"x_test": "z"})


def test_vectors_with_nan_or_infinity_are_told_by_row_or_left_out(root, register):
    vectors = np.ones((10, 3))
    vectors[2, 1] = np.nan
    vectors[7, 0] = 1e300  # infinite as float32
    np.savez(root / "a.npz", x_train=vectors, y_train=np.arange(10) % 2)
    with pytest.raises(
        InvalidRows, match="2 of 10 rows cannot be used, and nothing was registered"
    ) as caught:
        register("npz", "a.npz")
    assert [(fault.index, fault.code) for fault in caught.value.rows] == [
        (2, "not_finite"),
        (7, "not_finite"),
    ]
    assert "nan at position 1" in caught.value.rows[0].message
    done = register("npz", "a.npz", skip_invalid=True)
    assert done.payload.num_rows == 8
    assert done.registration.keys == ["0", "1", "3", "4", "5", "6", "8", "9"]
    assert done.registration.num_skipped == 2
    assert [fault["index"] for fault in done.registration.provenance["skipped"]] == [2, 7]


def test_labels_outside_the_classes_are_told_by_part(root, register):
    np.savez(root / "a.npz", x_train=PIXELS, y_train=LABELS, x_test=PIXELS[:2], y_test=[2, -1])
    with pytest.raises(InvalidRows) as caught:
        register("npz", "a.npz", class_names=["a", "b"])
    assert caught.value.num_rejected == 6
    assert (
        caught.value.rows[0].message.startswith("Row 2: the label 2")
        or "Row 2 of train" in caught.value.rows[0].message
    )
    assert caught.value.rows[-1].code == "missing_label"
    assert "Row 1 of test: it has no label" in caught.value.rows[-1].message


def test_limit_takes_the_first_of_train_and_all_of_test(root, register):
    np.savez(root / "a.npz", x_train=PIXELS, y_train=LABELS, x_test=PIXELS, y_test=LABELS)
    done = register("npz", "a.npz", limit=5)
    assert done.registration.splits == ["train"] * 5 + ["test"] * 12
    np.testing.assert_array_equal(done.payload.array[:5, ..., 0], PIXELS[:5])
    np.testing.assert_array_equal(done.payload.array[5:, ..., 0], PIXELS)


def test_a_validation_share_beside_a_validation_split_is_refused(root, register):
    np.savez(root / "a.npz", x_train=PIXELS, y_train=LABELS, x_validation=PIXELS, y_validation=LABELS)
    with pytest.raises(InvalidInput, match="leave validation_share out"):
        register("npz", "a.npz", validation_share=0.1)


@pytest.mark.parametrize("shape", [(-2, -1, 3), (-1, -6), (0, -1)])
def test_negative_axes_in_a_header_are_told(root, register, shape):
    """Their product may be that of the bytes there are."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(root / "a.npz", "w") as archive:
        archive.writestr("x_train.npy", header.getvalue() + bytes(6 if 0 not in shape else 0))
    with pytest.raises(InvalidInput, match="'x_train' is damaged: its header says shape"):
        register("npz", "a.npz")
