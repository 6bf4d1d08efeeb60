from __future__ import annotations

import gc
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sondage.errors import Forbidden, InvalidInput, InvalidRows
from worker.data.sources import SourceLimits

UNCLOSED = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def collected() -> Iterator[None]:
    """The library leaves a metadata file open: it is closed here, and not in the middle of another test."""
    yield
    gc.collect()


@pytest.fixture
def make(root, png):
    """Writes pictures at these paths below `root/set`."""

    def write(*paths: str) -> Path:
        for place, path in enumerate(paths):
            file = root / "set" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png(place))
        return root / "set"

    return write


def test_folders_are_classes_and_paths_are_keys(make, register, png):
    make("dog/2.png", "cat/1.png", "cat/0.PNG", "dog/3.png")
    done = register("imagefolder", "set")
    assert done.registration.class_names == ["cat", "dog"]
    assert done.registration.keys == ["cat/0.PNG", "cat/1.png", "dog/2.png", "dog/3.png"]
    assert done.registration.labels.tolist() == [0, 0, 1, 1]
    assert done.payload.column("image") == [png(2), png(1), png(0), png(3)]


def test_folders_at_the_top_are_splits_where_one_is_train(make, register):
    make("train/cat/0.png", "train/dog/0.png", "val/cat/0.png", "test/dog/1.png")
    registration = register("imagefolder", "set").registration
    assert dict(zip(registration.keys, registration.splits, strict=True)) == {
        "train/cat/0.png": "train",
        "train/dog/0.png": "train",
        "val/cat/0.png": "validation",
        "test/dog/1.png": "test",
    }
    assert registration.class_names == ["cat", "dog"]


def test_a_class_called_train_is_a_class(make, register):
    make("train/test_1.png", "truck/0.png", "train/2.png")
    registration = register("imagefolder", "set").registration
    assert registration.class_names == ["train", "truck"]
    assert set(registration.splits) == {"train"}


def test_names_with_signs_of_patterns_are_names(make, register):
    make("c[a]t*/0.png", "d::og/1.png", "d::og/a?%41.png")
    registration = register("imagefolder", "set").registration
    assert registration.keys == ["c[a]t*/0.png", "d::og/1.png", "d::og/a?%41.png"]
    assert registration.class_names == ["c[a]t*", "d::og"]


@UNCLOSED
def test_labels_can_come_from_a_metadata_file(make, register, collected):
    folder = make("a.png", "b.png", "c.png")
    (folder / "metadata.csv").write_text("file_name,label\na.png,x\nb.png,y\nc.png,x\n")
    registration = register("imagefolder", "set").registration
    assert (registration.class_names, registration.labels.tolist()) == (["x", "y"], [0, 1, 0])


def test_unreadable_pictures_are_told_by_row_or_left_out(make, register):
    folder = make("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png")
    (folder / "cat" / "1.png").write_bytes(b"GIF89a and nothing more")
    with pytest.raises(InvalidRows) as caught:
        register("imagefolder", "set")
    assert [(fault.index, fault.code) for fault in caught.value.rows] == [(1, "unreadable_image")]
    done = register("imagefolder", "set", skip_invalid=True)
    assert done.registration.keys == ["cat/0.png", "dog/0.png", "dog/1.png"]


def test_a_file_name_that_is_not_utf8_is_told(make, register, png):
    folder = make("cat/0.png", "dog/0.png")
    with open(os.fsencode(folder) + b"/cat/caf\xe9.png", "wb") as file:
        file.write(png(1))
    with pytest.raises(InvalidInput, match=r"udce9\.png' is not UTF-8: rename"):
        register("imagefolder", "set")


def test_other_files_are_not_touched(make, register):
    folder = make("cat/0.png", "dog/0.png")
    (folder / "cat" / ".hidden.png").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    (folder / "set.py").write_text("raise SystemExit('code from the folder was run')")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("cow/0.png", b"x")
    os.mkfifo(folder / "cat" / "pipe.png")
    assert register("imagefolder", "set").registration.keys == ["cat/0.png", "dog/0.png"]


def test_a_link_out_of_the_folder_is_forbidden(make, register, tmp_path, png):
    folder = make("cat/0.png", "dog/0.png")
    (tmp_path / "secret.png").write_bytes(png(9))
    (folder / "cat" / "1.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(Forbidden, match=r"'cat/1\.png' is a link that leads out"):
        register("imagefolder", "set")


@UNCLOSED
def test_a_metadata_file_cannot_name_files_outside(collected, make, register, tmp_path, png):
    folder = make("a.png", "b.png")
    (tmp_path / "root" / "other.png").write_bytes(png(9))
    (folder / "metadata.csv").write_text("file_name,label\na.png,x\nb.png,y\n../other.png,x\n")
    with pytest.raises(InvalidInput):
        register("imagefolder", "set")


def test_an_empty_folder_and_too_many_files_are_told(make, register, root):
    (root / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no pictures"):
        register("imagefolder", "empty")
    make("cat/0.png", "dog/0.png", "dog/1.png")
    with pytest.raises(InvalidInput, match="more than 2 pictures"):
        register("imagefolder", "set", limits=SourceLimits(max_files=2))


def zipped(file: Path, entries: dict[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def test_a_zip_of_a_folder_is_the_same_as_the_folder(make, register, root, png):
    make("cat/0.png", "dog/0.png")
    whole = register("imagefolder", "set").registration
    zipped(root / "a.zip", {"pets/cat/0.png": png(0), "pets/dog/0.png": png(1), "pets/readme.txt": b"x"})
    assert register("imagefolder", "a.zip").registration.fingerprint == whole.fingerprint


@pytest.mark.parametrize("name", ["../../cat/0.png", "/cat/0.png", "cat/x\\..\\..\\0.png"])
def test_a_zip_that_leads_out_of_itself_is_forbidden(register, root, png, name):
    zipped(root / "a.zip", {"dog/0.png": png(0), name: png(1)})
    with pytest.raises(Forbidden, match="leads out of it"):
        register("imagefolder", "a.zip")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(register, root):
    zipped(root / "a.zip", {"cat/0.png": bytes(10_000_000), "dog/0.png": b"x"})
    assert (root / "a.zip").stat().st_size < 20_000
    with pytest.raises(InvalidInput, match="unpacks to 2 files of 10,000,001 bytes"):
        register("imagefolder", "a.zip", limits=SourceLimits(max_array_bytes=1_000_000))


def test_a_link_in_a_zip_is_content_and_no_link(register, root, png):
    link = zipfile.ZipInfo("cat/0.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("dog/0.png", png(0))
    with pytest.raises(InvalidRows, match="cannot be read"):
        register("imagefolder", "a.zip")


def test_what_is_no_zip_is_told(register, root):
    (root / "a.zip").write_bytes(b"text")
    with pytest.raises(InvalidInput, match="an uploaded image folder is one zip"):
        register("imagefolder", "a.zip")


def test_metadata_costs_no_more_than_other_files(root, register, png):
    folder = root / "pictures"
    folder.mkdir()
    num = 20_000
    (folder / "0.png").write_bytes(png(0))
    names = pa.DictionaryArray.from_arrays(pa.array([0] * num, pa.int32()), pa.array(["x" * 200_000]))
    labels = pa.array(["cat", "dog"] * (num // 2))
    pq.write_table(pa.table({"file_name": names, "label": labels}), folder / "metadata.parquet")
    with pytest.raises(InvalidInput, match="unfolds to more than 1 GiB"):
        register("imagefolder", "pictures")
    (folder / "metadata.parquet").unlink()
    (folder / "metadata.csv").write_text("file_name,label\n0.png," + "x" * 5_000)
    with pytest.raises(InvalidInput, match="Line 2 has more than 1,000 bytes"):
        register("imagefolder", "pictures", limits=SourceLimits(max_line_bytes=1_000))
