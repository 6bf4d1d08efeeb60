"""Parquet and CSV: files that are no tables, too large, or of another encoding."""

from __future__ import annotations

import os
import socket
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sondage.errors import Forbidden, InvalidInput, InvalidRows
from tests.unit.data.sources.frames import NUM, codes_of, texts, two_classes, write
from worker.data.sources import SourceLimits

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
