"""Numbers laid out by numpy arrive as they are, with NULL where they are missing."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from store.bulk import BulkColumn, copy_columns

DTYPES = {
    "bool": "bool",
    "int2": "int16",
    "int4": "int32",
    "int8": "int64",
    "float4": "float32",
    "float8": "float64",
}


@pytest.fixture
def numbers(session: Session) -> Session:
    columns = ", ".join(f"{kind}_one {kind}, {kind}_many {kind}[]" for kind in DTYPES)
    session.execute(text(f"CREATE TABLE numbers (id int8, {columns})"))
    return session


def test_every_dtype_with_and_without_gaps(numbers: Session) -> None:
    rng, num = np.random.default_rng(0), 40_000  # more than one batch
    columns = {"id": BulkColumn(np.arange(num))}
    for kind, dtype in DTYPES.items():
        values = rng.normal(0, 100, (num, 4)).astype(dtype)
        columns[f"{kind}_one"] = BulkColumn(values[:, 0], rng.random(num) < 0.3)
        columns[f"{kind}_many"] = BulkColumn(values[:, 1:])
    copy_columns(numbers, "numbers", columns)
    stored = numbers.execute(text("SELECT * FROM numbers ORDER BY id")).all()
    assert len(stored) == num
    for place, column in enumerate(columns.values()):
        expected = column.values.tolist()
        if column.missing is not None:
            expected = [None if gone else value for gone, value in zip(column.missing, expected, strict=True)]
        found = [row[place] for row in stored]
        if column.values.dtype == np.float32:  # a float4 comes back as its shortest decimal
            same = [None if value is None else np.float32(value).tolist() for value in found]
            assert same == expected
        else:
            assert found == expected


def test_rows_are_sent_in_the_order_that_is_asked_for_gaps_or_not(numbers: Session) -> None:
    gone = np.array([True, False, False, True, False, True])
    columns = {
        "id": BulkColumn(np.arange(6)),
        "int4_one": BulkColumn(np.arange(6, dtype=np.int32) * 256, gone),  # the last byte sent is 0
    }
    copy_columns(numbers, "numbers", columns, order=np.array([3, 0, 5, 1, 2, 4]))
    stored = numbers.execute(text("SELECT id, int4_one FROM numbers ORDER BY ctid")).all()
    expected = [(place, None if gone[place] else place * 256) for place in (3, 0, 5, 1, 2, 4)]
    assert [tuple(row) for row in stored] == expected


def test_no_rows(numbers: Session) -> None:
    copy_columns(numbers, "numbers", {"id": BulkColumn(np.arange(0))})
    assert numbers.scalar(text("SELECT count(*) FROM numbers")) == 0


def test_a_dtype_without_a_type_in_postgres_is_refused(numbers: Session) -> None:
    with pytest.raises(TypeError, match="uint8"):
        copy_columns(numbers, "numbers", {"id": BulkColumn(np.arange(3, dtype=np.uint8))})
    numbers.rollback()
