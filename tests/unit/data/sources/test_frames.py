"""Parquet and CSV: what columns are for, and every row that resists."""

from __future__ import annotations

import json
import os
import socket
import tracemalloc
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sondage.errors import Forbidden, InvalidInput, InvalidRows, Unsupported
from worker.data.sources import SourceLimits

NUM = 8


def write(root: Path, file: str = "a.parquet", /, **columns: object) -> None:
    table = pa.table(
        {key: value if isinstance(value, pa.Array) else pa.array(value) for key, value in columns.items()}
    )
    pq.write_table(table, root / file)


def two_classes(num: int = NUM) -> list[str]:
    return ["no", "yes"] * (num // 2)


def texts(num: int = NUM) -> list[str]:
    return [f"text {place}" for place in range(num)]


def codes_of(error: InvalidRows) -> list[tuple[int, str]]:
    return [(fault.index, fault.code) for fault in error.rows]


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


# ---- labels, keys, splits


@pytest.mark.parametrize(
    ("labels", "names", "classes"),
    [
        (["b", "a"] * 4, None, ["a", "b"]),
        (["10", "9"] * 4, None, ["9", "10"]),
        ([5, 3] * 4, None, ["3", "5"]),
        ([1.0, 0.0] * 4, None, ["0", "1"]),
        ([True, False] * 4, None, ["false", "true"]),
        ([1, 0] * 4, ["cat", "dog"], ["cat", "dog"]),
        (["dog", "cat"] * 4, ["cat", "dog"], ["cat", "dog"]),
        (pa.array(["b", "a"] * 4).dictionary_encode(), None, ["a", "b"]),
    ],
)
def test_labels_of_many_types_become_classes(root, register, labels, names, classes):
    write(root, text=texts(), label=labels)
    registration = register("parquet", "a.parquet", class_names=names).registration
    assert registration.class_names == classes
    assert registration.labels.tolist() == [1, 0] * 4


def test_missing_and_unknown_labels_are_told(root, register):
    write(root, text=texts(), label=["cat", "dog", None, "cat", "", "dgo", "cat", "dog"])
    with pytest.raises(InvalidRows, match="nothing was registered") as caught:
        register("parquet", "a.parquet", class_names=["cat", "dog"])
    assert codes_of(caught.value) == [(2, "missing_label"), (4, "missing_label"), (5, "unknown_label")]
    assert "'dgo' is none of the classes (cat, dog)" in caught.value.rows[2].message


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [[0, 1]] * NUM}, "several labels or boxes"),
        ({"label": [0.5] * NUM}, "measurements"),
        ({"label": [1e300, 1.0] * 4}, "measurements"),
        ({"label": pa.array([2**64 - 1, 1] * 4, pa.uint64())}, "measurements"),
        ({"objects": [[{"bbox": [0, 0, 1, 1]}]] * NUM}, "detection"),
    ],
)
def test_other_tasks_are_out_of_scope_and_told_so(root, register, columns, message):
    write(root, text=texts(), **columns)
    with pytest.raises(Unsupported, match=message):
        register("parquet", "a.parquet")


@pytest.mark.parametrize("names", [["a", "a"], ["a", ""], ["a", "b\x00"]])
def test_class_names_have_to_be_names(root, register, names):
    write(root, text=texts(), label=[0, 1] * 4)
    with pytest.raises(InvalidInput, match="class name"):
        register("parquet", "a.parquet", class_names=names)


def test_keys_are_unique_and_there(root, register):
    write(root, text=texts(), label=two_classes(), id=["a", "b", "a", None, "c", "x\x00", "d", "c" * 501])
    with pytest.raises(InvalidRows) as caught:
        register("parquet", "a.parquet", key_column="id")
    assert codes_of(caught.value) == [
        (2, "duplicate_key"),
        (3, "missing_key"),
        (5, "bad_key"),
        (7, "bad_key"),
    ]
    assert "is that of row 0 already" in caught.value.rows[0].message
    assert register("parquet", "a.parquet", key_column="id", skip_invalid=True).registration.keys == [
        "a",
        "b",
        "c",
        "d",
    ]


def test_a_skipped_row_does_not_hold_its_key(root, register):
    labels = two_classes()
    labels[0] = None
    write(root, text=texts(), label=labels, id=["a", "b", "a", "c", "d", "e", "f", "g"])
    done = register("parquet", "a.parquet", key_column="id", skip_invalid=True)
    assert done.registration.keys[:2] == ["b", "a"]


def test_splits_come_from_a_column_in_any_usual_word(root, register):
    words = ["train", "Training", "dev", "val", "validation", "test", "train", "train"]
    write(root, text=texts(), label=two_classes(), fold=words, extra=[1] * NUM)
    done = register("parquet", "a.parquet", split_column="fold", modality="text")
    usual = ["train", "train", "validation", "validation", "validation", "test", "train", "train"]
    assert done.registration.splits == usual
    write(root, a=np.arange(NUM), label=two_classes(), split=words)
    found = register("parquet", "a.parquet")
    assert found.registration.splits == usual
    assert [column.name for column in found.payload.columns] == ["a"]
    with pytest.raises(InvalidRows, match="its split is 'no'"):
        register("parquet", "a.parquet", split_column="label", label_column="split")


def test_columns_that_are_not_there_are_named(root, register):
    write(root, text=texts(), kind=two_classes())
    with pytest.raises(InvalidInput, match="no column 'label' with labels; name one of text, kind"):
        register("parquet", "a.parquet")
    for option in ({"key_column": "id"}, {"split_column": "id"}, {"input_columns": ["id"]}):
        with pytest.raises(InvalidInput, match="no column 'id'"):
            register("parquet", "a.parquet", label_column="kind", **option)
    with pytest.raises(InvalidInput, match="cannot be an input"):
        register("parquet", "a.parquet", label_column="kind", input_columns=["kind"])


def test_only_the_first_hundred_faults_are_listed_and_all_are_counted(root, register):
    write(root, text=texts(300), label=[None, "a", "b"] * 50 + [None] * 150)
    with pytest.raises(InvalidRows) as caught:
        register("parquet", "a.parquet")
    assert len(caught.value.rows) == 100
    assert caught.value.num_rejected == 200


def test_nothing_usable_or_nothing_at_all_is_told(root, register):
    write(root, text=texts(), label=pa.nulls(NUM, pa.string()))
    with pytest.raises(InvalidInput, match=r"No row of the source can be used\. Row 0: it has no label"):
        register("parquet", "a.parquet", skip_invalid=True)
    write(root, text=pa.array([], pa.string()), label=pa.array([], pa.string()))
    with pytest.raises(InvalidInput):
        register("parquet", "a.parquet")


# ---- files


def test_a_folder_of_files_has_a_split_per_name(root, register):
    (root / "set").mkdir()
    for name, first in (("train-00000-of-00002", 0), ("train-00001-of-00002", 8), ("test", 100)):
        write(
            root / "set",
            f"{name}.parquet",
            text=[str(first + place) for place in range(NUM)],
            label=two_classes(),
        )
    done = register("parquet", "set")
    assert done.registration.splits == ["train"] * 16 + ["test"] * 8
    assert [done.payload.text(row) for row in (0, 8, 16)] == ["0", "8", "100"]
    (root / "set" / "more.parquet").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="leads out of its folder"):
        register("parquet", "set")


def test_names_that_look_like_patterns_are_names(root, register):
    write(root, "[ab]*::x.parquet", text=texts(), label=two_classes())
    write(root, "a::x.parquet", text=texts(4), label=two_classes(4))
    assert register("parquet", "[ab]*::x.parquet").payload.num_rows == NUM


def test_what_is_no_parquet_is_told(root, register):
    (root / "a.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(InvalidInput, match="cannot be read as parquet"):
        register("parquet", "a.parquet")


def repeated(value: object, kind: pa.DataType, num: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * num, pa.int32()), pa.array([value], kind))


def test_a_small_file_does_not_unfold_to_gigabytes(root, register, tmp_path):
    """One value of 200 kB in 20,000 rows: 4 GB out of less than a megabyte."""
    num = 20_000
    labels = pa.array(["no", "yes"] * (num // 2))
    text = repeated("x" * 200_000, pa.string(), num)
    picture = pa.StructArray.from_arrays(
        [repeated(b"x" * 200_000, pa.binary(), num), pa.nulls(num, pa.string())], ["bytes", "path"]
    )
    pool = pa.default_memory_pool()
    for inputs in ({"text": text}, {"image": picture}):
        pq.write_table(pa.table({**inputs, "label": labels}), root / "a.parquet", store_schema=False)
        assert (root / "a.parquet").stat().st_size < 1_000_000
        before = pool.max_memory()
        with pytest.raises(InvalidInput, match="unfolds to more than 1 GiB"):
            register("parquet", "a.parquet")
        assert pool.max_memory() <= max(before, 300_000_000)


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"])
def test_what_unfolds_within_bounds_is_read_in_any_encoding(root, register, encoding):
    words = ["x" * 1000 + str(row) for row in range(2000)]
    table = pa.table({"text": pa.array(words), "label": pa.array(["no", "yes"] * 1000)})
    pq.write_table(table, root / "a.parquet", use_dictionary=["label"], column_encoding={"text": encoding})
    assert register("parquet", "a.parquet").payload.column("text") == words
    with pytest.raises(InvalidInput, match="unfolds"):
        register("parquet", "a.parquet", limits=SourceLimits(max_decoded_bytes=1_900_000))


def test_nothing_is_asked_of_a_network(root, register, monkeypatch):
    def refuse(*args: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    write(root, text=texts(), label=two_classes())
    assert register("parquet", "a.parquet").payload.num_rows == NUM


def test_a_nul_in_a_columns_name_is_told(root, register):
    write(root, **{"te\0xt": texts(), "label": two_classes()})
    with pytest.raises(InvalidInput, match=r"'te\\x00xt' has a NUL character") as caught:
        register("parquet", "a.parquet")
    assert "\0" not in str(caught.value)
    csv_file(root, "te\0xt,label\na,x\nb,y\n")
    with pytest.raises(InvalidInput, match="NUL"):
        register("csv", "a.csv")


# ---- CSV


def csv_file(root: Path, content: str | bytes) -> None:
    (root / "a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())


def test_csv_columns_are_typed_by_all_of_their_rows(root, register):
    rows = [f"{place},{place}.5,{'NA' if place == 2 else 'x'},{place % 2}" for place in range(NUM)]
    csv_file(root, "﻿whole,half,word,label\n" + "\n".join(rows) + "\n")
    done = register("csv", "a.csv")
    assert [column.kind for column in done.payload.columns] == ["numeric", "numeric", "categorical"]
    assert done.payload.values(2) == {"whole": 2, "half": 2.5, "word": "NA"}
    assert done.registration.class_names == ["0", "1"]


def test_csv_texts_keep_quotes_lines_and_words_like_null(root, register):
    csv_file(root, 'text,label\n"two\nlines, and ""quotes""",a\nnull,b\nNaN,a\n')
    done = register("csv", "a.csv")
    assert done.payload.column("text") == ['two\nlines, and "quotes"', "null", "NaN"]


def test_csv_holes_are_told_by_row(root, register):
    csv_file(root, "age,label\n1,a\n,b\n3,\n4,b\nnan,b\n")
    with pytest.raises(InvalidRows) as caught:
        register("csv", "a.csv")
    assert codes_of(caught.value) == [(2, "missing_label")]
    done = register("csv", "a.csv", skip_invalid=True)
    assert done.registration.keys == ["0", "3"]
    assert [fault.index for fault in done.registration.skipped] == [2, 1, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,b\nc,d,e\n", "cannot be read as csv: .*line 3"),
        ("text,text\na,b\n", "'text' comes twice"),
        ("text,,label\na,b,c\n", "one has no name"),
        ("text;label\na;b\n", "name one of text;label"),
        ("text,label\n", "empty"),
        ("text,label\na,x\nb,x\n", "have one class"),
    ],
)
def test_csv_faults_are_told(root, register, content, message):
    csv_file(root, content)
    with pytest.raises(InvalidInput, match=message):
        register("csv", "a.csv")


def test_a_csv_without_a_line_end_is_not_read_whole(root, register):
    csv_file(root, "text,label\na,x\n" + "b" * 5_000_000 + ",y\n")
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match="Line 3 has more than 1,000 bytes"):
            register("csv", "a.csv", limits=SourceLimits(max_line_bytes=1_000))
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_csv_in_another_encoding_is_told_by_line(root, register):
    csv_file(root, "text,label\na,x\ncafé,y\n".encode("latin-1"))
    with pytest.raises(InvalidRows, match="Line 3 is not UTF-8"):
        register("csv", "a.csv")
    csv_file(root, "text,label\na,x\n".encode("utf-16"))
    with pytest.raises(InvalidInput, match="UTF-8"):
        register("csv", "a.csv")


def test_what_the_library_caches_is_removed(root, register, tmp_path):
    write(root, text=texts(), label=two_classes())
    register("parquet", "a.parquet")
    assert os.listdir(tmp_path / "datasets") == ["1"]
    with pytest.raises(Forbidden):
        register("parquet", "/etc/passwd")
