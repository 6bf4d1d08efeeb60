"""Arrow streams written by hand, read by pyarrow."""

import json

import numpy as np
import pyarrow as pa
import pytest

from sondage.errors import InvalidInput
from sondage.recorder.arrow import arrow_stream


@pytest.mark.parametrize("length", [0, 1, 2, 7, 8, 9, 1000])
def test_pyarrow_reads_what_was_written(length):
    keys = [f"ключ-{number}-{'x' * (number % 5)}" for number in range(length)]
    columns = {"key": keys, "label": np.arange(length), "split": ["train"] * length}
    written = arrow_stream(columns, {"class_names": json.dumps(["a", "日本"]), "b": ""})
    table = pa.ipc.open_stream(written).read_all()
    table.validate(full=True)
    assert table.to_pydict() == {**columns, "label": list(range(length))}
    assert table.schema.field("label").type == pa.int32()
    assert json.loads(table.schema.metadata[b"class_names"]) == ["a", "日本"]


def test_buffers_begin_on_eight_bytes():
    written = arrow_stream({"key": ["a", "bc", "def"], "label": np.arange(3)}, {})
    assert len(written) % 8 == 0
    assert pa.ipc.open_stream(written).read_all()["key"].to_pylist() == ["a", "bc", "def"]


def test_keys_beyond_one_buffer_of_text():
    """Long ids: offsets are 64 bits wide."""
    keys = ["k" * 10_000 + str(number) for number in range(200)]
    assert pa.ipc.open_stream(arrow_stream({"key": keys}, {})).read_all()["key"].to_pylist() == keys


def test_numbers_beyond_32_bits_are_refused():
    with pytest.raises(InvalidInput, match="32 bits"):
        arrow_stream({"label": np.array([0, 2**31])}, {})
