from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sondage.errors import InvalidInput
from sondage.probes.generators import make_probe_inputs
from sondage.probes.suite import Generator
from sondage.probes.tables import TableInputs
from store.payloads import decode, open_payload
from worker.data import pixels
from worker.data.arrays import encode, read_probes, training_arrays, write_probes
from worker.data.budget import PixelBudget
from worker.data.inputs import make_inputs
from worker.data.sources import pictures as source_pictures
from worker.data.tokens import tokenise


@pytest.fixture
def pictures(root, register, png):
    def make(*sizes: tuple[int, int], mode: str = "L"):
        images = [png(place, size, mode) for place, size in enumerate(sizes)]
        table = pa.table({"image": images, "label": [place % 2 for place in range(len(images))]})
        pq.write_table(table, root / "a.parquet")
        return register("parquet", "a.parquet").payload

    return make


@pytest.fixture
def table(root, register):
    columns = {
        "age": [1, 2, 3, 4],
        "work": ["b", None, "a", "b"],
        "height": [0.5, 1.5, 2.5, 3.5],
        "sex": ["f", "m", "f", "f"],
        "label": [0, 1, 0, 1],
    }
    pq.write_table(pa.table(columns), root / "a.parquet")
    return register("parquet", "a.parquet").payload


def read(payload, tmp_path, **options):
    return training_arrays(payload, cache=tmp_path / "cache", fingerprint="f", **options)


# ---- pictures


def test_pictures_of_one_size_are_decoded_as_they_are(pictures, tmp_path):
    payload = pictures((9, 7), (9, 7), (9, 7))
    (pixels,) = read(payload, tmp_path).arrays
    assert pixels.shape == (3, 7, 9, 1)
    for row in range(3):
        np.testing.assert_array_equal(pixels[row, ..., 0], np.asarray(payload.picture(row)))


def test_one_picture_in_colour_makes_all_of_three_channels(pictures, tmp_path):
    assert read(pictures((9, 7), (9, 7), mode="RGB"), tmp_path).arrays[0].shape == (2, 7, 9, 3)


@pytest.mark.parametrize(
    ("sizes", "image_size", "shape"),
    [
        (((20, 30), (40, 20), (24, 50)), None, (20, 20)),
        (((200, 300), (400, 200)), None, (64, 64)),
        (((300, 400), (300, 400)), None, (64, 64)),
        (((20, 30), (40, 20)), 12, (12, 12)),
        (((9, 7), (9, 7)), 32, (32, 32)),
    ],
)
def test_pictures_of_several_or_large_sizes_get_one(pictures, tmp_path, sizes, image_size, shape):
    (pixels,) = read(pictures(*sizes), tmp_path, image_size=image_size).arrays
    assert pixels.shape == (len(sizes), *shape, 1)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("image_size", [0, 3, 5000])
def test_an_image_size_out_of_range_is_refused(pictures, tmp_path, image_size):
    with pytest.raises(InvalidInput, match="within 4 and 1024"):
        read(pictures((9, 7), (9, 7)), tmp_path, image_size=image_size)


def test_arrays_of_pixels_are_mapped_where_they_lie(register, tmp_path):
    payload = register("digits").payload
    arrays = read(payload, tmp_path)
    assert isinstance(arrays.arrays[0], np.memmap)
    assert not (tmp_path / "cache").exists()
    np.testing.assert_array_equal(arrays.inputs([5, 2]), payload.array[[5, 2]])


# ---- texts and tables


@given(st.lists(st.text(max_size=30), max_size=8))
def test_tokens_are_the_words_of_each_text(texts):
    offsets, tokens = tokenise(texts)
    assert len(offsets) == len(texts) + 1
    for row, text in enumerate(texts):
        words = re.findall(r"\w+|[^\w\s]", text.lower())
        expected = [zlib.crc32(word.encode("utf-8", "surrogatepass")) % 2**31 for word in words]
        assert tokens[offsets[row] : offsets[row + 1]].tolist() == expected


def test_equal_words_have_equal_numbers_in_any_process():
    _, tokens = tokenise(["The cat, the CAT."])
    assert tokens[[0, 1]].tolist() == tokens[[3, 4]].tolist()
    assert tokens[0] == 0x3C456DE6  # CRC-32 of "the"


def test_table_columns_become_numbers_and_codes(table, tmp_path):
    numeric, codes = read(table, tmp_path).arrays
    np.testing.assert_array_equal(numeric, np.array([[1, 0.5], [2, 1.5], [3, 2.5], [4, 3.5]], np.float32))
    np.testing.assert_array_equal(codes, np.array([[1, 0], [-1, 1], [0, 0], [1, 0]], np.int32))
    assert make_inputs("table", (numeric, codes)).shapes == [(2,), (2,)]


def test_a_table_of_numbers_alone_has_no_codes(root, register, tmp_path):
    pq.write_table(pa.table({"a": [1, 2], "label": [0, 1]}), root / "a.parquet")
    _, codes = read(register("parquet", "a.parquet").payload, tmp_path).arrays
    assert codes.shape == (2, 0)


# ---- the cache


def test_the_cache_is_made_once_and_rebuilt_when_damaged(pictures, tmp_path):
    payload = pictures((9, 7), (9, 7))
    first = read(payload, tmp_path).arrays[0].copy()
    file = tmp_path / "cache" / "f" / "pixels-7x9x1" / "pixels.npy"
    made = file.stat().st_mtime_ns
    read(payload, tmp_path)
    assert file.stat().st_mtime_ns == made
    os.truncate(file, 100)
    np.testing.assert_array_equal(read(payload, tmp_path).arrays[0], first)
    assert os.listdir(tmp_path / "cache" / "f") == ["pixels-7x9x1"]


def test_processes_may_build_the_cache_at_once(pictures, tmp_path):
    payload = pictures(*[(9, 7)] * 200)
    program = (
        "import sys; from pathlib import Path; from store.payloads import open_payload\n"
        "from worker.data.arrays import training_arrays\n"
        "arrays = training_arrays(open_payload(Path(sys.argv[1])), cache=Path(sys.argv[2]), fingerprint='f')\n"
        "print(int(arrays.arrays[0].sum()))"
    )
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    command = [sys.executable, "-c", program, str(payload.folder), str(tmp_path / "cache")]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths})
        for _ in range(3)
    ]
    sums = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sums == {f"{int(read(payload, tmp_path).arrays[0].sum())}\n"}
    assert os.listdir(tmp_path / "cache" / "f") == ["pixels-7x9x1"]


# ---- probes


def test_text_probes_go_out_and_come_back(root, register, tmp_path):
    pq.write_table(
        pa.table({"text": ["one two", "three", "four five six"], "label": [0, 1, 0]}), root / "a.parquet"
    )
    arrays = read(register("parquet", "a.parquet").payload, tmp_path)
    source = arrays.inputs(np.array([2, 0]))
    assert source == ["four five six", "one two"]
    made = make_probe_inputs("text", Generator("scramble"), source, source, np.random.default_rng(0))
    write_probes(tmp_path / "probes", made)
    assert open_payload(tmp_path / "probes").column("text") == made
    for one, other in zip(read_probes(tmp_path / "probes"), encode(made), strict=True):
        np.testing.assert_array_equal(one, other)


def test_table_probes_go_out_and_come_back(table, tmp_path):
    arrays = read(table, tmp_path)
    source = arrays.inputs([3, 1])
    assert isinstance(source, TableInputs)
    made = make_probe_inputs(
        "table", Generator("corrupt"), source, arrays.inputs([0, 1, 2, 3]), np.random.default_rng(0)
    )
    write_probes(tmp_path / "probes", made, columns=table.columns)
    numeric, codes = read_probes(tmp_path / "probes")
    np.testing.assert_allclose(numeric, made.numeric, rtol=1e-6)
    np.testing.assert_array_equal(codes, made.codes)
    assert open_payload(tmp_path / "probes").values(1)["work"] is None
    assert make_inputs("table", arrays.arrays, encode(made))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pixels_and_vectors_go_out_and_come_back_and_replace_what_was_there(tmp_path, dtype):
    folder = tmp_path / "runs" / "1" / "probes"
    for num in (3, 5, 0):
        made = np.full((num, 4, 4, 3) if dtype is np.uint8 else (num, 7), num, dtype)
        write_probes(folder, made)
        np.testing.assert_array_equal(read_probes(folder)[0], made)
    assert [path.name for path in folder.parent.iterdir()] == ["probes"]


# ---- real data


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("kind", "file", "options", "modality"),
    [
        ("npz", "mnist.npz", {}, "image"),
        ("parquet", "cifar10_test.parquet", {}, "image"),
        ("parquet", "trec.parquet", {}, "text"),
        ("parquet", "adult.parquet", {"label_column": "income"}, "table"),
    ],
)
def test_real_sets_become_arrays_that_training_takes(root, register, tmp_path, kind, file, options, modality):
    data = Path(__file__).parents[4] / "shared" / "data"
    if not (data / file).is_file():
        pytest.skip(f"{file} is not beside the checkout")
    (root / file).hardlink_to(data / file) if os.stat(data).st_dev == os.stat(root).st_dev else (
        root / file
    ).write_bytes((data / file).read_bytes())
    done = register(kind, file, limit=300, noise={"share": 0.1}, **options)
    assert done.registration.modality == modality
    assert done.registration.splits.count("train") == 300
    arrays = read(done.payload, tmp_path)
    assert len(make_inputs(modality, arrays.arrays)) == done.payload.num_rows


def test_large_pictures_are_decoded_one_after_the_other(root, register, png, monkeypatch, tmp_path):
    """On any number of cores: four pictures of which the budget holds one, and small ones beside them."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(PixelBudget.__init__, "__defaults__", (100 * 100,))
    in_flight, most, lock = 0, 0, threading.Lock()

    def watched(blob, **options):
        nonlocal in_flight, most
        image = decode(blob, **options)
        with lock:
            in_flight += image.width * image.height
            most = max(most, in_flight)
        time.sleep(0.05)  # without a budget they would all be here together
        with lock:
            in_flight -= image.width * image.height
        return image

    for place in range(8):
        folder = root / "pictures" / ("cat" if place % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{place}.png").write_bytes(png(place, size=(100, 100) if place < 4 else (10, 10)))
    monkeypatch.setattr(source_pictures, "decode", watched)
    done = register("imagefolder", "pictures")
    assert most == 100 * 100
    most = 0
    monkeypatch.setattr(pixels, "decode", watched)
    pixels.decode_all(done.payload, (10, 10, 1), tmp_path / "pixels.npy")
    assert 0 < most <= 100 * 100
