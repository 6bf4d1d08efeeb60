"""Parquet files to read, small ones by columns."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sondage.errors import InvalidRows

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
