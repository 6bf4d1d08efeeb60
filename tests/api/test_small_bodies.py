"""Small bodies that would unpack to much: refused, with memory in proportion to what was sent."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.recording import blocks, records
from app.recording.bodies import ARROW as ARROW_STREAM
from app.recording.datasets import read_dataset
from sondage.errors import InvalidInput, InvalidRows
from tests.api.recorders import ARROW, recorder, some_dataset
from tests.api.worlds import World

MB = 1 << 20
MANY = 5_000_000


@pytest.fixture
def pool() -> Iterator[pa.MemoryPool]:
    """Arrow's allocations from here on; `max_memory` is their peak."""
    before = pa.default_memory_pool()
    proxy = pa.proxy_memory_pool(before)
    pa.set_memory_pool(proxy)
    yield proxy
    pa.set_memory_pool(before)


def stream(columns: dict[str, Any], compression: str | None = None, chunk: int = 1 << 30) -> bytes:
    table, sink = pa.table(columns), io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=chunk)
    return sink.getvalue()


def peak(pool: pa.MemoryPool, work: Callable[[], Any], words: str) -> int:
    """Bytes that Arrow holds at most while it refuses, beyond what it had."""
    # A pool remembers its peak for good: one that was higher before would hide this one.
    fresh = pa.proxy_memory_pool(pool)
    pa.set_memory_pool(fresh)
    with pytest.raises((InvalidInput, InvalidRows), match=words):
        work()
    pa.set_memory_pool(pool)
    return int(fresh.max_memory())


def wholes(num: int = MANY) -> dict[str, Any]:
    return {"row": np.zeros(num, np.int64), "value": np.zeros(num, np.float32)}


def test_the_measure_sees_what_arrow_unpacks(pool: pa.MemoryPool) -> None:
    body = stream(wholes(), "zstd")
    assert len(body) < 0.1 * MB

    def unpack() -> None:
        with pa.ipc.open_stream(body) as opened:
            opened.read_all()
        raise InvalidInput("unpacked")

    assert peak(pool, unpack, "unpacked") > 12 * MANY * 0.9


@pytest.mark.parametrize("how", ["zstd", "lz4"])
def test_blocks_of_compressed_buffers(pool: pa.MemoryPool, how: str) -> None:
    body = stream(wholes(), how)
    found = peak(
        pool, lambda: blocks.values_of(body, ARROW_STREAM, dtype="float32", shard=0, num_rows=10), "compress"
    )
    assert found < MB


def test_blocks_of_too_many_rows(pool: pa.MemoryPool) -> None:
    body = stream(wholes(11), chunk=6)
    work = lambda: blocks.values_of(body, ARROW_STREAM, dtype="float32", shard=0, num_rows=10)  # noqa: E731
    assert peak(pool, work, "more than 10 rows") < MB


def test_a_compressed_dictionary_beside_plain_batches_is_seen() -> None:
    """Arrow leaves buffers of no use to compress as they are; the message says that it compresses all the same."""
    text = pa.array(["x" * 1000, "y" * 1000] * 4).dictionary_encode()
    with pytest.raises(InvalidInput, match="compress"):
        blocks.values_of(stream({"row": text}, "zstd"), ARROW_STREAM, dtype="float32", shard=0, num_rows=10)
    with pytest.raises(InvalidInput, match="columns are row"):
        blocks.values_of(stream({"row": text}), ARROW_STREAM, dtype="float32", shard=0, num_rows=10)


def test_datasets_of_compressed_buffers(pool: pa.MemoryPool, tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(stream({"label": np.zeros(MANY, np.int64)}, "zstd"))
    assert peak(pool, lambda: read_dataset(path, name="x"), "compress") < MB


@pytest.mark.parametrize("column", ["key", "split"])
def test_datasets_that_say_one_long_text_often(pool: pa.MemoryPool, tmp_path: Path, column: str) -> None:
    """5,000 rows of 100 kB are 500 MB."""
    num, path = 5_000, tmp_path / "body"
    texts = pa.DictionaryArray.from_arrays(np.zeros(num, np.int8), pa.array(["x" * 100_000]))
    path.write_bytes(stream({"label": np.arange(num) % 2, column: texts}))
    assert path.stat().st_size < MB
    assert peak(pool, lambda: read_dataset(path, name="x"), "dictionary") < MB


def test_keys_in_a_dictionary_are_read(tmp_path: Path) -> None:
    path = tmp_path / "body"
    for keys in (pa.array(["a", "b", "c"]), pa.array([7, 8, 9])):
        path.write_bytes(stream({"label": [0, 1, 0], "key": keys.dictionary_encode()}))
        assert list(read_dataset(path, name="x").keys) == [str(key) for key in keys.to_pylist()]


TARGET = records.Target(
    num_rows=10,
    channels={"loss": "float32"},
    keys=pa.array([f"k{at}" for at in range(10)], pa.large_string()),
    labels=np.zeros(10, np.int64),
    class_names=["a", "b"],
)


def read_records(path: Path, kind: str = records.PARQUET) -> records.Matrices:
    return records.read(path, kind, TARGET, channel=None, first_epoch=0)


def long_keys(num: int = 5_000) -> dict[str, Any]:
    keys = pa.DictionaryArray.from_arrays(np.zeros(num, np.int32), pa.array(["x" * 100_000]))
    return {"key": keys, "epoch": np.arange(num), "loss": np.zeros(num, np.float32)}


@pytest.mark.parametrize("plain", [False, True], ids=["stored as a dictionary", "stored as text"])
def test_parquet_that_says_one_long_key_often(pool: pa.MemoryPool, tmp_path: Path, plain: bool) -> None:
    """2,000 records of 100 kB are 200 MB, of which `total_byte_size` counts one."""
    path, columns = tmp_path / "body", long_keys(2_000)
    if plain:
        columns["key"] = columns["key"].cast(pa.string())
    pq.write_table(pa.table(columns), path)
    metadata = pq.read_metadata(path)
    assert metadata.row_group(0).total_byte_size < MB
    assert peak(pool, lambda: read_records(path), "no key 'x{100}…'") < 5 * MB


def test_parquet_of_many_equal_numbers(
    pool: pa.MemoryPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run lengths say millions of zeros in some bytes: rows × width is looked at before they are made."""
    monkeypatch.setattr(records, "MAX_BYTES", 20 * MB)
    path = tmp_path / "body"
    columns = {"row": np.zeros(MANY, np.int32), "epoch": np.zeros(MANY, np.int64)}
    pq.write_table(pa.table({**columns, "loss": np.zeros(MANY, np.float32)}), path)
    assert path.stat().st_size < MB
    assert peak(pool, lambda: read_records(path), "fewer epochs") < 5 * MB


def test_parquet_in_many_row_groups_is_counted_as_it_goes(
    pool: pa.MemoryPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_BYTES", 2 * MB)
    path, num = tmp_path / "body", 1_000_000
    columns = {"row": np.zeros(num, np.int32), "epoch": np.zeros(num, np.int64)}
    pq.write_table(pa.table({**columns, "loss": np.zeros(num, np.float32)}), path, row_group_size=50_000)
    assert peak(pool, lambda: read_records(path), "fewer epochs") < 6 * MB


def test_records_as_arrow(pool: pa.MemoryPool, tmp_path: Path) -> None:
    path = tmp_path / "body"
    columns = {"row": np.zeros(MANY, np.int64), "epoch": np.zeros(MANY, np.int64)}
    path.write_bytes(stream({**columns, "loss": np.zeros(MANY, np.float32)}, "zstd"))
    assert peak(pool, lambda: read_records(path, ARROW_STREAM), "compress") < MB
    path.write_bytes(stream(long_keys()))
    assert peak(pool, lambda: read_records(path, ARROW_STREAM), "no key 'x{100}…'") < 5 * MB


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("loss", pa.array([["x"] * 9])),
        ("loss", pa.array(["x"]).dictionary_encode()),
        ("key", pa.array([[1, 2]])),
        ("key", pa.array(["k1"], pa.string_view())),
    ],
)
def test_columns_of_no_bounded_width_are_not_read(tmp_path: Path, name: str, column: Any) -> None:
    path, columns = tmp_path / "body", {"key": ["k1"], "epoch": [0], "loss": [0.5], name: column}
    path.write_bytes(stream(columns))
    with pytest.raises(InvalidInput, match=f"Column {name} holds"):
        read_records(path, ARROW_STREAM)
    if name == "loss":
        pq.write_table(pa.table(columns), path)
        with pytest.raises(InvalidInput, match=f"Column {name} holds"):
            read_records(path)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.int64(), pa.dictionary(pa.int8(), pa.string())]
)
def test_keys_of_every_kind_over_row_groups(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "body"
    numbers = pa.types.is_integer(kind)
    mark = "" if numbers else "k"
    target = replace(TARGET, keys=pa.array([f"{mark}{at}" for at in range(10)], pa.large_string()))
    keys = [f"{mark}{at}" for at in (3, 1, 7, 3)]
    column = pa.array([int(key) for key in keys], kind) if numbers else pa.array(keys).cast(kind)
    columns = {"key": column, "epoch": [0, 0, 0, 1], "loss": [0.5, 1.5, 2.5, 3.5]}
    pq.write_table(pa.table(columns), path, row_group_size=3)
    found = records.read(path, records.PARQUET, target, channel=None, first_epoch=0)
    assert found.channels["loss"][[3, 1, 7], 0].tolist() == [0.5, 1.5, 2.5]
    assert found.channels["loss"][3, 1] == 3.5


def test_a_compressed_stream_is_answered_with_what_to_do(empty: World) -> None:
    run = recorder(empty)
    columns = {"row": [1], "value": pa.array([0.5], pa.float32())}
    url = f"{run.url}/curves/loss/0/0"
    response = empty.client.put(url, content=stream(columns, "zstd"), headers=ARROW)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "body")
    assert "Content-Encoding: zstd" in response.json()["detail"]
    packed = pa.compress(stream(columns), "zstd", asbytes=True)
    headers = {**ARROW, "Content-Encoding": "zstd"}
    assert empty.client.put(url, content=packed, headers=headers).status_code == 200
    assert some_dataset(empty)["num_examples"] == 10
