"""Parquet: pictures, texts, tables and vectors, and every row that resists."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sondage.errors import InvalidInput, InvalidRows
from tests.unit.data.sources.frames import NUM, codes_of, texts, two_classes, write
from worker.data.sources import SourceLimits

# ---- pictures


def test_picture_columns_keep_their_bytes_and_class_names(root, register, png):
    images = [{"bytes": png(place), "path": f"{place}.png"} for place in range(NUM)]
    table = pa.table({"image": pa.array(images), "label": pa.array([0, 1, 2, 0, 1, 2, 0, 1])})
    names = {"names": ["cat", "dog", "ant"], "_type": "ClassLabel"}
    info = {"info": {"features": {"image": {"_type": "Image"}, "label": names}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), root / "a.parquet")
    done = register("parquet", "a.parquet")
    assert done.registration.modality == "image"
    assert done.registration.class_names == ["cat", "dog", "ant"]
    assert done.payload.column("image") == [image["bytes"] for image in images]
    assert done.payload.picture(3).size == (9, 7)
    assert done.payload.column("channels") == [1] * NUM


def test_bytes_alone_are_pictures_too(root, register, png):
    write(root, image=[png(place, mode="RGB") for place in range(NUM)], label=two_classes())
    done = register("parquet", "a.parquet")
    assert done.payload.column("channels") == [3] * NUM


def test_unreadable_pictures_are_told_by_row_or_left_out(root, register, png):
    images = [{"bytes": png(place), "path": None} for place in range(NUM)]
    images[1] = {"bytes": b"no picture", "path": None}
    images[4] = {"bytes": png(4)[:50], "path": None}
    images[5] = {"bytes": None, "path": None}
    write(root, image=images, label=two_classes())
    with pytest.raises(InvalidRows) as caught:
        register("parquet", "a.parquet")
    assert codes_of(caught.value) == [(row, "unreadable_image") for row in (5, 1, 4)]
    done = register("parquet", "a.parquet", skip_invalid=True)
    assert done.registration.keys == ["0", "2", "3", "6", "7"]
    assert done.payload.column("image")[-1] == png(7)


def test_a_path_in_a_file_never_reads_the_servers_disk(root, register, png, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(0))
    images = [{"bytes": png(place), "path": "x"} for place in range(NUM)]
    images[2] = {"bytes": None, "path": str(secret)}
    write(root, image=images, label=two_classes())
    with pytest.raises(InvalidRows, match="has a path and no bytes") as caught:
        register("parquet", "a.parquet")
    assert codes_of(caught.value) == [(2, "unreadable_image")]


def test_pictures_above_the_limits_are_told(root, register, png):
    images = [png(place) for place in range(NUM)]
    images[6] = png(0, size=(100, 80))
    write(root, image=images, label=two_classes())
    with pytest.raises(InvalidRows, match="100 × 80 pixels; at most 1,000"):
        register("parquet", "a.parquet", limits=SourceLimits(max_picture_pixels=1000))
    with pytest.raises(InvalidRows, match="bytes; at most"):
        register("parquet", "a.parquet", limits=SourceLimits(max_picture_bytes=len(images[6]) - 1))


# ---- texts


@given(words=st.lists(st.text(min_size=1), min_size=4, max_size=10))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_come_back_as_they_are(root, register, words):
    write(root, text=words, label=[place % 2 for place in range(len(words))])
    done = register("parquet", "a.parquet")
    assert done.registration.modality == "text"
    assert done.payload.column("text") == words


def test_a_text_column_is_found_beside_others_and_can_be_named(root, register):
    write(root, text=texts(), title=["t"] * NUM, label=two_classes())
    assert register("parquet", "a.parquet").payload.text(3) == "text 3"
    assert register("parquet", "a.parquet", modality="text", input_columns=["title"]).payload.text(3) == "t"


def test_texts_that_are_missing_or_not_utf8_are_told(root, register):
    raw = [text.encode() for text in texts()]
    raw[2] = b"caf\xe9"
    offsets = np.cumsum([0, *map(len, raw)]).astype(np.int32)
    column = pa.StringArray.from_buffers(NUM, pa.py_buffer(offsets), pa.py_buffer(b"".join(raw)))
    column = pa.concat_arrays([column.slice(0, NUM - 1), pa.array([None], pa.string())])
    write(root, text=column, label=two_classes())
    with pytest.raises(InvalidRows) as caught:
        register("parquet", "a.parquet")
    assert codes_of(caught.value) == [(7, "missing_text"), (2, "not_utf8")]
    assert "byte 3" in caught.value.rows[1].message
    assert register("parquet", "a.parquet", skip_invalid=True).payload.num_rows == 6


# ---- tables


def test_tables_keep_numbers_categories_and_missing_categories(root, register):
    work = ["State", None, "Private", "State", "", "Private", "State", "State"]
    write(
        root,
        age=list(range(NUM)),
        height=np.linspace(1, 2, NUM),
        work=work,
        member=[True, False] * 4,
        label=two_classes(),
    )
    done = register("parquet", "a.parquet")
    kinds = {column.name: (column.kind, column.categories) for column in done.payload.columns}
    assert kinds == {
        "age": ("numeric", ()),
        "height": ("numeric", ()),
        "work": ("categorical", ("Private", "State")),
        "member": ("categorical", ("false", "true")),
    }
    assert done.payload.values(1) == {
        "age": 1,
        "height": pytest.approx(8 / 7),
        "work": None,
        "member": "false",
    }
    assert done.payload.values(4)["work"] is None


def test_tables_take_less_usual_types(root, register):
    write(
        root,
        kind=pa.array(["a", "b", None, "a"] * 2).dictionary_encode(),
        price=pa.array([Decimal("1.5")] * NUM),
        huge=pa.array([2**64 - 1, 1] * 4, pa.uint64()),
        half=pa.array(np.ones(NUM, np.float16)),
        label=two_classes(),
    )
    done = register("parquet", "a.parquet")
    assert done.payload.values(0) == {"kind": "a", "price": 1.5, "huge": 2.0**64, "half": 1.0}
    assert done.payload.values(2)["kind"] is None


def test_numbers_that_are_missing_or_not_finite_are_told(root, register):
    age = [1.0, 2.0, None, 4.0, float("nan"), float("inf"), 7.0, 1e300]
    write(root, age=age, label=two_classes())
    with pytest.raises(InvalidRows, match="column 'age' is empty; a number is needed") as caught:
        register("parquet", "a.parquet")
    assert [row for row, _ in codes_of(caught.value)] == [2, 4, 5, 7]
    assert register("parquet", "a.parquet", skip_invalid=True).registration.keys == ["0", "1", "3", "6"]


def test_columns_that_nothing_can_be_learnt_from_are_named(root, register):
    write(root, age=list(range(NUM)), empty=pa.nulls(NUM, pa.float64()), label=two_classes())
    with pytest.raises(InvalidInput, match="'empty' is empty in every row"):
        register("parquet", "a.parquet")
    write(root, age=list(range(NUM)), born=pa.array(range(NUM), pa.date32()), label=two_classes())
    with pytest.raises(InvalidInput, match="'born' is of type date32"):
        register("parquet", "a.parquet")
    assert register("parquet", "a.parquet", input_columns=["age"]).payload.num_rows == NUM
    many = 2400
    write(root, age=list(range(many)), name=texts(many), label=two_classes(many))
    with pytest.raises(InvalidInput, match="2,400 different words"):
        register("parquet", "a.parquet")


# ---- vectors


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 3), pa.large_list(pa.int64())]
)
def test_lists_of_numbers_are_vectors(root, register, kind):
    vectors = [[place, 2, 3] for place in range(NUM)]
    write(root, embedding=pa.array(vectors, kind), label=two_classes())
    done = register("parquet", "a.parquet")
    assert done.registration.modality == "vector"
    np.testing.assert_array_equal(done.payload.array, np.array(vectors, np.float32))


def test_vectors_of_another_length_missing_or_with_nan_are_told(root, register):
    vectors = [[1.0, 2.0] for _ in range(NUM)]
    vectors[3], vectors[5], vectors[6] = [1.0], None, [1.0, None]
    write(root, embedding=vectors, label=two_classes())
    with pytest.raises(InvalidRows) as caught:
        register("parquet", "a.parquet")
    assert codes_of(caught.value) == [(3, "wrong_length"), (5, "wrong_length"), (6, "not_finite")]


def test_columns_of_numbers_can_be_taken_as_one_vector(root, register):
    write(root, a=np.arange(NUM), b=np.arange(NUM) * 2.0, label=two_classes())
    done = register("parquet", "a.parquet", modality="vector")
    np.testing.assert_array_equal(done.payload.array[3], [3, 6])
