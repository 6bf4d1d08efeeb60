"""Small bodies that would unpack to much: refused, with memory in proportion to what was sent."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app.recording import blocks
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
