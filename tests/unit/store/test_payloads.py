from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sondage.errors import Conflict, DataFolderError, InvalidInput, NotFound
from store.payloads import (
    Column,
    Form,
    Payload,
    PayloadWriter,
    decode,
    open_payload,
    remove_leftovers,
    remove_payload,
)

TEXTS = pa.schema([("text", pa.large_string())])
PICTURES = pa.schema(
    [("image", pa.large_binary()), ("width", pa.int32()), ("height", pa.int32()), ("channels", pa.int8())]
)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def write_texts(parent: Path, texts: list[str], *, name: str = "1", batch: int = 3) -> Payload:
    with PayloadWriter(parent) as writer:
        writer.start(Form.TEXTS, schema=TEXTS)
        for start in range(0, len(texts), batch):
            writer.add(
                pa.record_batch([pa.array(texts[start : start + batch], pa.large_string())], schema=TEXTS)
            )
        writer.publish(parent / name)
    return open_payload(parent / name)


def write_pixels(parent: Path, blocks: list[np.ndarray], *, name: str = "1") -> Payload:
    with PayloadWriter(parent) as writer:
        writer.start(Form.PIXELS, row_shape=blocks[0].shape[1:])
        for block in blocks:
            writer.add(block)
        writer.publish(parent / name)
    return open_payload(parent / name)


def write_pictures(parent: Path, images: list[bytes]) -> Payload:
    num = len(images)
    with PayloadWriter(parent) as writer:
        writer.start(Form.PICTURES, schema=PICTURES)
        columns = [images, [0] * num, [0] * num, [0] * num]
        writer.add(
            pa.record_batch(
                [pa.array(c, f.type) for c, f in zip(columns, PICTURES, strict=True)], schema=PICTURES
            )
        )
        writer.publish(parent / "1")
    return open_payload(parent / "1")


@given(texts=st.lists(st.text(), min_size=1, max_size=12), batch=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_texts_come_back_by_index(tmp_path_factory, texts, batch):
    payload = write_texts(tmp_path_factory.mktemp("texts"), texts, batch=batch)
    assert [payload.text(index) for index in range(payload.num_rows)] == texts
    assert payload.column("text") == texts
    assert payload.column("text", [len(texts) - 1]) == texts[-1:]


def test_a_long_text_is_shortened_in_the_preview_alone(tmp_path):
    payload = write_texts(tmp_path, ["x" * 1000])
    assert len(payload.preview(0)["text"]) == 300
    assert len(payload.text(0)) == 1000


@given(counts=st.lists(st.integers(1, 120), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None)
def test_pixels_come_back_as_written(tmp_path_factory, counts):
    rng = np.random.default_rng(0)
    blocks = [rng.integers(0, 256, (count, 5, 4, 3), dtype=np.uint8) for count in counts]
    payload = write_pixels(tmp_path_factory.mktemp("pixels"), blocks)
    whole = np.concatenate(blocks)
    np.testing.assert_array_equal(payload.array, whole)
    assert isinstance(payload.array, np.memmap)
    np.testing.assert_array_equal(np.asarray(payload.picture(len(whole) - 1)), whole[-1])


def test_vectors_keep_float32_and_show_their_first_values(tmp_path):
    vectors = np.linspace(-1, 1, 60, dtype=np.float32).reshape(3, 20)
    with PayloadWriter(tmp_path) as writer:
        writer.start(Form.VALUES, row_shape=(20,))
        writer.add(vectors)
        writer.publish(tmp_path / "1")
    payload = open_payload(tmp_path / "1")
    assert payload.array.dtype == np.float32
    assert list(payload.values(2).values()) == vectors[2].tolist()
    assert len(payload.preview(0)["values"]) == 16


def test_a_table_row_comes_back_with_its_missing_category(tmp_path):
    schema = pa.schema([("age", pa.int64()), ("work", pa.large_string())])
    columns = (Column("age", "numeric"), Column("work", "categorical", ("State",)))
    with PayloadWriter(tmp_path) as writer:
        writer.start(Form.TABLE, schema=schema, columns=columns)
        writer.add(pa.record_batch([[39, 50], pa.array(["State", None], pa.large_string())], schema=schema))
        writer.publish(tmp_path / "1")
    payload = open_payload(tmp_path / "1")
    assert payload.values(0) == {"age": 39, "work": "State"}
    assert payload.preview(1) == {"values": {"age": 50, "work": None}}
    assert payload.columns == columns


def test_grey_pixels_make_a_grey_picture_and_thumbnails_are_never_larger(tmp_path):
    payload = write_pixels(tmp_path, [np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)])
    assert payload.picture(0).mode == "L"
    small = Image.open(io.BytesIO(payload.thumbnail(0, 4)))
    natural = Image.open(io.BytesIO(payload.thumbnail(0, 200)))
    assert (small.size, natural.size) == ((4, 4), (8, 8))
    assert small.format == "PNG"


def test_a_large_jpeg_is_thumbnailed(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 800, dtype=np.uint8), (600, 1))
    payload = write_pictures(tmp_path, [encoded(Image.fromarray(ramp), "JPEG")])
    image = Image.open(io.BytesIO(payload.thumbnail(0, 100)))
    assert image.size == (100, 75)
    assert image.mode == "L"
    pixels = np.asarray(image).astype(int)
    assert pixels[:, 0].mean() < 10
    assert pixels[:, -1].mean() > 245


@pytest.mark.parametrize("index", [-1, 2])
def test_an_index_outside_is_not_found(tmp_path, index):
    payload = write_texts(tmp_path, ["a", "b"])
    with pytest.raises(NotFound, match=f"no row {index}"):
        payload.text(index)


def test_asking_for_another_kind_of_content_is_not_found(tmp_path):
    payload = write_texts(tmp_path, ["a"])
    for ask in (payload.picture, payload.values, lambda index: payload.array):
        with pytest.raises(NotFound):
            ask(0)


def test_huge_batches_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("store.payloads.writer._BATCH_BYTES", 64)
    texts = [f"text number {index}" for index in range(50)]
    payload = write_texts(tmp_path, texts, batch=50)
    assert max(batch.num_rows for batch in payload.batches()) < 10
    assert [payload.text(index) for index in range(50)] == texts


# ---- decoding


def test_palette_alpha_cmyk_and_deep_greys_become_grey_or_rgb():
    red = Image.new("RGB", (6, 5), (200, 10, 10))
    assert decode(encoded(red.convert("P"))).mode == "RGB"
    assert decode(encoded(Image.new("L", (6, 5), 77).convert("P"))).mode == "L"
    cmyk = decode(encoded(red.convert("CMYK"), "JPEG", quality=100))
    assert cmyk.mode == "RGB"
    assert np.abs(np.asarray(cmyk).astype(int) - [200, 10, 10]).max() < 12
    deep = Image.fromarray(np.array([[0, 257, 65_535]], dtype=np.uint16))
    assert np.asarray(decode(encoded(deep))).tolist() == [[0, 1, 255]]
    clear = decode(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0))))
    assert np.asarray(clear).tolist() == [[[255, 255, 255]] * 2] * 2
    assert decode(encoded(Image.new("LA", (2, 2), (9, 255)))).mode == "L"
    assert decode(encoded(Image.new("1", (2, 2), 1))).getpixel((0, 0)) == 255


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned right by a quarter
    assert decode(encoded(Image.new("L", (7, 3)), "JPEG", exif=exif)).size == (3, 7)


def test_too_many_pixels_are_refused_from_the_header_alone():
    with pytest.raises(InvalidInput, match="100 × 100 pixels; at most 9,999"):
        decode(encoded(Image.new("L", (100, 100))), pixel_limit=9_999)
    bomb = bytearray(encoded(Image.new("L", (1, 1))))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2  # the width and height in a PNG's header
    with pytest.raises(InvalidInput, match="cannot be read"):
        decode(bytes(bomb))


def noise_png() -> bytes:
    return encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)))


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", noise_png()[:-900], b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"],
    ids=["empty", "text", "truncated", "postscript"],
)
def test_what_is_no_whole_picture_is_refused(data):
    with pytest.raises(InvalidInput, match="The picture cannot be read"):
        decode(data)


@given(st.binary(max_size=200), st.integers(0, 3000))
@settings(max_examples=60, deadline=None)
def test_damage_is_an_error_of_ours_or_a_picture(noise, place):
    data = bytearray(noise_png())
    data[place : place + len(noise)] = noise
    mode = "refused"
    with contextlib.suppress(InvalidInput):
        mode = decode(bytes(data)).mode
    assert mode in ("refused", "L", "RGB")


# ---- all or nothing


def test_without_publish_nothing_is_left(tmp_path):
    def fail() -> None:
        with PayloadWriter(tmp_path) as writer:
            writer.start(Form.TEXTS, schema=TEXTS)
            writer.add(pa.record_batch([pa.array(["a"], pa.large_string())], schema=TEXTS))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_publishing_over_something_is_a_conflict_and_harms_nothing(tmp_path):
    write_texts(tmp_path, ["first"])
    with pytest.raises(Conflict, match="already"):
        write_texts(tmp_path, ["second"])
    assert open_payload(tmp_path / "1").text(0) == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize("form", ["pixels", "texts"])
def test_a_full_disk_is_told_and_nothing_is_left(tmp_path, form):
    """A limit on the size of files stands for the full disk: the write fails in the same place."""
    program = f"""
import resource, signal, sys
from pathlib import Path
import numpy as np, pyarrow as pa
from sondage.errors import DataFolderError
from store.payloads import Form, PayloadWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
schema = pa.schema([("text", pa.large_string())])
try:
    with PayloadWriter(Path(sys.argv[1])) as writer:
        writer.start(Form("{form}"), row_shape=(30, 30, 1), schema=schema)
        for _ in range(3):
            pixels = np.zeros((100, 30, 30, 1), np.uint8)
            texts = pa.record_batch([pa.array(["x" * 900] * 100, pa.large_string())], schema=schema)
            writer.add(pixels if "{form}" == "pixels" else texts)
        writer.publish(Path(sys.argv[1]) / "1")
except DataFolderError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=child_env(),
    )
    assert "could not be written" in done.stdout
    assert "Free some space" in done.stdout
    assert list(tmp_path.iterdir()) == []


def child_env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}


def test_what_a_killed_writer_left_is_removed_once_it_is_old(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path; from store.payloads import Form, PayloadWriter\n"
        "with PayloadWriter(Path(sys.argv[1])) as w:\n"
        "    w.start(Form.PIXELS, row_shape=(2, 2, 1)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, env=child_env())
    assert done.returncode == -signal.SIGKILL
    write_texts(tmp_path, ["kept"])
    assert remove_leftovers(tmp_path) == 0
    assert remove_leftovers(tmp_path, older_than_seconds=-1) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_removing_a_payload_removes_it_once(tmp_path):
    write_texts(tmp_path, ["a"])
    remove_payload(tmp_path / "1")
    remove_payload(tmp_path / "1")
    assert list(tmp_path.iterdir()) == []


# ---- damage


def test_a_missing_or_foreign_payload_is_told(tmp_path):
    with pytest.raises(DataFolderError, match="no readable payload"):
        open_payload(tmp_path / "none")
    (tmp_path / "meta.json").write_text('{"format": 99}')
    with pytest.raises(DataFolderError, match="format 99"):
        open_payload(tmp_path)


@pytest.mark.parametrize("form", ["pixels", "texts"])
def test_a_truncated_file_is_told(tmp_path, form):
    if form == "pixels":
        payload = write_pixels(tmp_path, [np.zeros((50, 9, 9, 1), np.uint8)])
    else:
        payload = write_texts(tmp_path, ["some text"] * 50)
    file = payload.folder / payload.form.file_name
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(DataFolderError, match="damaged"):
        (payload.picture if form == "pixels" else payload.text)(0)
