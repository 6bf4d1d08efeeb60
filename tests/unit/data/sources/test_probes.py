"""Sources of probes: labels of another dataset, categories, inputs in its form, and what is in it already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sondage.errors import InvalidInput, InvalidRows
from sondage.probes.categories import CATEGORIES
from sondage.wire import Source
from store.payloads import Form, Payload, PayloadWriter, open_payload
from worker.data.fitting import fitted, found_again
from worker.data.sources import ProbeSource, read_source, resolve_source_path
from worker.data.sources import probes as probe_sources

KNOWN = {category.name: category for category in CATEGORIES}
CLASSES = ["cat", "dog", "5"]
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 7, 9, 1), dtype=np.uint8)


@pytest.fixture
def read(tmp_path: Path, root: Path) -> Callable[..., Any]:
    """Reads a source of probes; the registration."""

    def of(kind: str, path: str, *, options: dict[str, Any] | None = None, **probes: Any) -> Any:
        source = Source(kind=kind, path=path, **(options or {}))
        with PayloadWriter(tmp_path / "datasets") as writer:
            return read_source(
                source,
                writer,
                resolve=lambda name: resolve_source_path(name, roots=[root]),
                probes=ProbeSource(**({"class_names": CLASSES, "categories": KNOWN} | probes)),
            )

    return of


def test_labels_are_classes_of_the_other_dataset(read, root: Path) -> None:
    np.savez(root / "a.npz", x_train=PIXELS, y_train=[0, 1, 2, 0, 1, 2])
    assert read("npz", "a.npz", category="ood").labels.tolist() == [0, 1, 2, 0, 1, 2]
    np.savez(root / "b.npz", x_train=PIXELS[:3], y_train=np.array(["dog", "5", "cat"]))
    found = read("npz", "b.npz", category="ood")
    assert (found.labels.tolist(), found.class_names) == ([1, 2, 0], CLASSES)
    assert found.categories == ["ood"] * 3
    np.savez(root / "c.npz", x_train=PIXELS[:3], y_train=np.array(["tabby", "dog", "tabby"]))
    assert read("npz", "c.npz", category="ood", label_names={"tabby": "cat"}).labels.tolist() == [0, 1, 0]
    with pytest.raises(InvalidRows, match="'tabby' is none of the classes"):
        read("npz", "c.npz", category="ood")


def test_numbers_may_have_names_of_their_own(read, root: Path) -> None:
    np.savez(root / "a.npz", x_train=PIXELS[:3], y_train=[1, 0, 1])
    found = read("npz", "a.npz", category="ood", options={"class_names": ["dog", "cat"]})
    assert found.labels.tolist() == [0, 1, 0]
    np.savez(root / "b.npz", x_train=PIXELS[:3], y_train=[1, 0, 7])
    with pytest.raises(InvalidRows, match="1 of the examples"):
        read("npz", "b.npz", category="ood", options={"class_names": ["dog", "cat"]})


def test_one_class_is_enough_and_all_parts_are_planted(read, root: Path) -> None:
    np.savez(root / "a.npz", x_train=PIXELS[:2], y_train=[0, 0], x_test=PIXELS[2:], y_test=[0] * 4)
    found = read("npz", "a.npz", category="ood")
    assert found.splits == ["train"] * 6
    assert found.keys[2] == "test/0"


def test_random_labels_do_not_depend_on_what_the_source_says(read, root: Path) -> None:
    many = np.repeat(PIXELS, 20, axis=0)
    np.savez(root / "a.npz", x_train=many, y_train=np.array(["?"] * 120))
    drawn = read("npz", "a.npz", category="ood", seed=0).labels
    assert sorted(set(drawn.tolist())) == [0, 1, 2]
    np.testing.assert_array_equal(drawn, read("npz", "a.npz", category="ood", seed=0).labels)
    assert (drawn != read("npz", "a.npz", category="ood", seed=1).labels).any()


def test_a_column_says_the_category(read, root: Path) -> None:
    table = {"text": [f"t{row}" for row in range(4)], "label": ["cat", "dog"] * 2}
    pq.write_table(pa.table(table | {"category": ["ood", "noisy"] * 2}), root / "a.parquet")
    assert read("parquet", "a.parquet").categories == ["ood", "noisy"] * 2
    pq.write_table(pa.table(table | {"what": ["ood", None, "imagined", ""]}), root / "b.parquet")
    with pytest.raises(InvalidRows) as caught:
        read("parquet", "b.parquet", category_column="what")
    assert [(row.index, row.code) for row in caught.value.rows] == [
        (1, "missing_category"), (2, "unknown_category"), (3, "missing_category")
    ]  # fmt: skip
    for row in caught.value.rows:
        assert row.message in str(caught.value), "each is told"
    with pytest.raises(InvalidInput, match="no column 'else'"):
        read("parquet", "b.parquet", category_column="else")
    with pytest.raises(InvalidInput, match="Nothing says"):
        read("parquet", "b.parquet")
    pq.write_table(pa.table(table | {"category": [1, 2, 3, 4]}), root / "c.parquet")
    with pytest.raises(InvalidInput, match="words are needed"):
        read("parquet", "c.parquet")


def test_what_is_wrong_before_anything_is_read(read, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="no category 'imagined'"):
        read("npz", "a.npz", category="imagined")
    with pytest.raises(InvalidInput, match="leads to 'cow'"):
        read("npz", "a.npz", category="ood", label_names={"x": "cow"})
    np.savez(root / "a.npz", x_train=PIXELS, y_train=np.zeros(6, int))
    monkeypatch.setattr(probe_sources, "MAX_EXAMPLES", 5)
    with pytest.raises(InvalidInput, match="at most 5"):
        read("npz", "a.npz", category="ood")


# ---- in the form of the dataset


def array_payload(folder: Path, array: np.ndarray) -> Payload:
    form = Form.PIXELS if array.dtype == np.uint8 else Form.VALUES
    with PayloadWriter(folder.parent) as writer:
        writer.start(form, row_shape=array.shape[1:])
        writer.add(array)
        writer.publish(folder)
    return open_payload(folder)


def row_payload(folder: Path, form: Form, values: dict[str, Any], schema: pa.Schema, **more: Any) -> Payload:
    with PayloadWriter(folder.parent) as writer:
        writer.start(form, schema=schema, **more)
        half = len(next(iter(values.values()))) // 2
        for part in (slice(None, half), slice(half, None)):  # of two batches, as large ones are
            writer.add(pa.record_batch({k: v[part] for k, v in values.items()}, schema=schema))
        writer.publish(folder)
    return open_payload(folder)


def picture_payload(
    folder: Path, blobs: list[bytes], size: tuple[int, int] = (9, 7), channels: int = 1
) -> Payload:
    from worker.data.sources.pictures import SCHEMA

    num = len(blobs)
    columns = {
        "image": blobs,
        "width": [size[0]] * num,
        "height": [size[1]] * num,
        "channels": [channels] * num,
    }
    return row_payload(folder, Form.PICTURES, columns, SCHEMA)


KEYS = [f"k{place}" for place in range(6)]


def test_encoded_pictures_beside_an_array(tmp_path: Path, png) -> None:
    to = array_payload(tmp_path / "to", PIXELS)
    own = picture_payload(tmp_path / "own", [png(place) for place in range(4)])
    made = fitted(own, to, KEYS)
    assert made.shape == (4, 7, 9, 1)
    np.testing.assert_array_equal(made[2, :, :, 0], np.asarray(own.picture(2)))
    colour = array_payload(tmp_path / "colour", np.repeat(PIXELS, 3, axis=3))
    np.testing.assert_array_equal(fitted(own, colour, KEYS)[..., 1], made[..., 0])
    wrong = picture_payload(tmp_path / "wrong", [png(1, size=(8, 7))], size=(8, 7))
    with pytest.raises(InvalidRows, match="'k0' is 8 × 7 pixels; the dataset's pictures are 9 × 7"):
        fitted(wrong, to, KEYS)


def test_an_array_beside_encoded_pictures_is_squeezed_as_they_are(tmp_path: Path, png) -> None:
    to = picture_payload(tmp_path / "to", [png(place) for place in range(4)])
    own = array_payload(tmp_path / "own", RNG.integers(0, 256, (3, 20, 30, 3), dtype=np.uint8))
    assert fitted(own, to, KEYS).shape == (3, 7, 9, 1)
    assert fitted(own, to, KEYS, shape=(12, 12, 3)).shape == (3, 12, 12, 3)
    assert found_again(fitted(own, to, KEYS), own, to) == []


def test_channels_that_cannot_be_turned_into_each_other(tmp_path: Path) -> None:
    to = array_payload(tmp_path / "to", np.repeat(PIXELS, 4, axis=3))
    own = array_payload(tmp_path / "own", PIXELS)
    with pytest.raises(InvalidRows) as caught:
        fitted(own, to, KEYS)
    assert {row.code for row in caught.value.rows} == {"wrong_channels"}
    assert len(caught.value.rows) == 6
    same = array_payload(tmp_path / "same", np.repeat(PIXELS[:2], 4, axis=3))
    assert fitted(same, to, KEYS).shape == (2, 7, 9, 4)


def test_vectors_of_another_length(tmp_path: Path) -> None:
    to = array_payload(tmp_path / "to", np.zeros((4, 3), np.float32))
    with pytest.raises(InvalidInput, match="vectors of 5 numbers; the dataset's have 3"):
        fitted(array_payload(tmp_path / "own", np.zeros((4, 5), np.float32)), to, KEYS)
    with pytest.raises(InvalidInput, match="modality image and the dataset's of modality vector"):
        fitted(array_payload(tmp_path / "pixels", PIXELS), to, KEYS)


def test_rows_of_tables(tmp_path: Path) -> None:
    from store.payloads import Column

    schema = pa.schema([("age", pa.float64()), ("job", pa.large_string())])

    def table(name: str, ages: list[Any], jobs: list[Any]) -> Payload:
        columns = (
            Column("age", "numeric"),
            Column("job", "categorical", tuple(sorted({j for j in jobs if j}))),
        )
        return row_payload(tmp_path / name, Form.TABLE, {"age": ages, "job": jobs}, schema, columns=columns)

    to = table("to", [1.0, 2.0, 3.0, 4.0], ["baker", "cook", "smith", "cook"])
    made = fitted(table("own", [5.0, 6.0], ["smith", None]), to, KEYS)
    np.testing.assert_array_equal(made.numeric[:, 0], [5, 6])
    np.testing.assert_array_equal(made.codes[:, 0], [2, -1])
    with pytest.raises(InvalidRows) as caught:
        fitted(table("odd", [5.0, 6.0], ["king", "cook"]), to, KEYS)
    assert [(row.index, row.code) for row in caught.value.rows] == [(0, "unknown_value")]
    words = pa.schema([("age", pa.large_string()), ("job", pa.large_string())])
    columns = (Column("age", "categorical", ("6", "old")), Column("job", "categorical", ("cook",)))
    own = row_payload(
        tmp_path / "words", Form.TABLE, {"age": ["old", "6"], "job": ["cook", "cook"]}, words, columns=columns
    )
    with pytest.raises(InvalidRows, match="age is 'old'; the dataset has numbers there"):
        fitted(own, to, KEYS)
    less = row_payload(
        tmp_path / "less", Form.TABLE, {"job": ["cook"] * 2}, pa.schema([("job", pa.large_string())]),
        columns=(Column("job", "categorical", ("cook",)),),
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="age missing"):
        fitted(less, to, KEYS)


# ---- the same again


def test_pictures_in_arrays_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.data.fitting._CHUNK_BYTES", 2 * PIXELS[:1].nbytes)
    to = array_payload(tmp_path / "to", PIXELS)
    # The third has the sum of an example's bytes and is another picture.
    turned = PIXELS[1, ::-1]
    own = array_payload(tmp_path / "own", np.stack([PIXELS[5], PIXELS[0], turned, PIXELS[5]]))
    assert found_again(fitted(own, to, KEYS), own, to) == [(0, 5), (1, 0), (3, 5)]


def test_vectors_texts_and_encoded_pictures_are_found_again(tmp_path: Path, png) -> None:
    vectors = RNG.normal(size=(6, 3)).astype(np.float32)
    to, own = (
        array_payload(tmp_path / "v", vectors),
        array_payload(tmp_path / "w", vectors[[3, 3]] * [[1], [2]]),
    )
    assert found_again(fitted(own, to, KEYS), own, to) == [(0, 3)]
    schema = pa.schema([("text", pa.large_string())])
    to = row_payload(tmp_path / "t", Form.TEXTS, {"text": ["a", "b", "c", "b"]}, schema)
    own = row_payload(tmp_path / "u", Form.TEXTS, {"text": ["x", "b"]}, schema)
    assert found_again(fitted(own, to, KEYS), own, to) == [(1, 1)]
    to = picture_payload(tmp_path / "p", [png(place) for place in range(5)])
    own = picture_payload(tmp_path / "q", [png(4), png(9)])
    assert found_again(fitted(own, to, KEYS), own, to) == [(0, 4)]
