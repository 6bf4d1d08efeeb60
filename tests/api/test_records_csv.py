"""CSV of records: what its few bytes of text become is bounded, and so are its columns; whole numbers stay whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from app.recording import records
from sondage.errors import InvalidInput

CHANNELS = {"loss": "float32", "predicted": "int16", "step": "int32", "norm": "float32"}


def read(path: Path, text: str, channels: dict[str, str] | None = None) -> records.Matrices:
    path /= "body.csv"
    path.write_text(text)
    keys = pa.array(["a", "b", "c"], pa.large_string())
    target = records.Target(3, channels or CHANNELS, keys, np.zeros(3, np.int64), ["x", "y"])
    return records.read(path, records.CSV, target, channel=None, first_epoch=0)


def test_cells_without_a_byte_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channels = {f"c{place}": "float32" for place in range(100)}
    lines = [",".join(["key", "epoch", *channels])]
    lines += [f"a,{epoch}" + "," * 100 for epoch in range(40_000)]
    text = "\n".join(lines)
    monkeypatch.setattr(records, "MAX_BYTES", 3 * len(text))
    held: list[int] = []
    check = records._check_held
    monkeypatch.setattr(records, "_check_held", lambda number: (held.append(number), check(number)))
    with pytest.raises(InvalidInput, match="send fewer epochs"):
        read(tmp_path, text, channels)
    assert held[-2] < records.MAX_BYTES < held[-1] < 5 * len(text), "it was not read to its end"


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ("row,epoch,loss," + ",".join(f"c{place}" for place in range(9_000)), "'c0' is not read"),
        ("row,epoch," + "x" * 70_000, "first line is longer"),
        ("row,epoch,loss,loss", "comes twice"),
        ("row,loss", "The columns are"),
    ],
)
def test_wrong_columns_are_refused_by_the_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str, match: str
) -> None:
    monkeypatch.setattr("pyarrow.csv.open_csv", lambda *more, **options: pytest.fail("it was read"))
    with pytest.raises(InvalidInput, match=match):
        read(tmp_path, header + "\n0,0,1\n")


def test_whole_numbers_written_either_way_and_late_fractions(tmp_path: Path) -> None:
    """The types are the run's: a first block of whole losses, or of empty cells, does not decide."""
    found = read(tmp_path, "row,epoch,loss,predicted,step,norm\n0,0,1,1.0,16777217,\n2,0,0.5,,2,3\n").channels
    np.testing.assert_array_equal(found["loss"][:, 0], [1, np.nan, 0.5])
    np.testing.assert_array_equal(found["norm"][:, 0], [np.nan, np.nan, 3])
    assert found["predicted"][:, 0].tolist() == [1, -1, -1]
    assert found["step"][:, 0].tolist() == [16_777_217, -1, 2], "beyond what 32 bits of a float hold"


def test_a_fraction_where_whole_numbers_belong(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="step was announced as int32"):
        read(tmp_path, "row,epoch,step\n0,0,1.5\n")
    with pytest.raises(InvalidInput, match="cannot be read as text/csv"):
        read(tmp_path, "row,epoch,loss\n0,0,much\n")
