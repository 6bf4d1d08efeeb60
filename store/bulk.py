"""COPY in and out: how many rows at once get into and out of Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy.orm import Session

_COPY_ROWS = 16_384
_COPY_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_ELEMENT_OIDS = {"bool": 16, "int16": 21, "int32": 23, "int64": 20, "float32": 700, "float64": 701}


def driver_connection(session: Session) -> psycopg.Connection[Any]:
    """The psycopg connection of the session's transaction."""
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("Sondage needs the psycopg driver: use a postgresql+psycopg:// address")
    return connection


def copy_in(
    session: Session,
    table: str,
    columns: Sequence[str],
    types: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> None:
    """Insert `rows` by binary COPY, inside the session's transaction.

    Parameters
    ----------
    types
        The Postgres type of each column (`int8`, `text`, `bytea`, `float4[]`, …): binary COPY does not convert.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with driver_connection(session).cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(list(types))
        for row in rows:
            copy.write_row(row)


def fetch_binary(session: Session, query: str, parameters: Sequence[object]) -> Iterator[tuple[Any, ...]]:
    """Rows of a query in binary form: a bytea arrives as the bytes it is, not as hexadecimal text."""
    with driver_connection(session).cursor(binary=True) as cursor:
        cursor.execute(query, parameters)
        yield from cursor


@dataclass(frozen=True)
class BulkColumn:
    """One column of many rows, for `copy_columns`.

    Parameters
    ----------
    values : array, shape (rows,) or (rows, n)
        bool, int16, int32, int64, float32 or float64; with two axes an array of n numbers in every row.
    missing : bool array, shape (rows,), optional
        Where the row has NULL.
    """

    values: NDArray[Any]
    missing: NDArray[np.bool_] | None = None


def copy_columns(
    session: Session, table: str, columns: Mapping[str, BulkColumn], order: NDArray[np.integer] | None = None
) -> None:
    """Insert many rows of numbers by binary COPY, inside the session's transaction.

    The rows are laid out by numpy, not one by one in Python.

    Parameters
    ----------
    order : int array, shape (rows,), optional
        In which to send them. An index grows fastest where its values come in order.

    Raises
    ------
    TypeError
        For a dtype that is not one of those of `BulkColumn`: it is the type of the column.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    rows = np.arange(len(next(iter(columns.values())).values)) if order is None else order
    with driver_connection(session).cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_COPY_SIGNATURE)
        for start in range(0, len(rows), _COPY_ROWS):
            copy.write(_in_order(columns, rows[start : start + _COPY_ROWS]))
        copy.write(_COPY_END)


def _in_order(columns: Mapping[str, BulkColumn], rows: NDArray[np.integer]) -> bytes:
    """Rows as Postgres reads them. Those that miss the same columns are laid out together, then put in their places."""
    with_gaps = {name: column.missing for name, column in columns.items() if column.missing is not None}
    pattern = np.zeros(len(rows), dtype=np.int64)
    for bit, missing in enumerate(with_gaps.values()):
        pattern |= missing[rows].astype(np.int64) << bit
    records = np.empty(len(rows), dtype=object)
    for found in np.unique(pattern):
        names = frozenset(name for bit, name in enumerate(with_gaps) if found >> bit & 1)
        alike = pattern == found
        laid_out = _as_records(columns, rows[alike], names)
        records[alike] = laid_out.view(f"V{laid_out.itemsize}").tolist()
    return b"".join(records)


def _as_records(
    columns: Mapping[str, BulkColumn], rows: NDArray[np.integer], missing: frozenset[str]
) -> NDArray[Any]:
    """Rows that all miss the same columns, as Postgres reads them.

    The number of fields, then for each its length in bytes (−1: NULL) and its value.
    """
    fields: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = [("fields", ">i2")]
    for name, column in columns.items():
        fields.append((f"{name} length", ">i4"))
        if name not in missing:
            fields += _layout(name, column.values)
    records = np.zeros(len(rows), dtype=fields)
    records["fields"] = len(columns)
    for name, column in columns.items():
        if name in missing:
            records[f"{name} length"] = -1
        else:
            _fill(records, name, column.values[rows])
    return records


def _layout(name: str, values: NDArray[Any]) -> list[tuple[str, str] | tuple[str, str, tuple[int, ...]]]:
    kind = _wire_type(values)
    if values.ndim == 1:
        return [(name, kind)]
    # Of an array: its axes, whether it has NULLs, the type of an element; of the axis its length and first index.
    element = np.dtype([("length", ">i4"), ("value", kind)])
    return [(f"{name} head", ">i4", (5,)), (name, element, (values.shape[1],))]  # type: ignore[list-item]  # a dtype


def _fill(records: NDArray[Any], name: str, values: NDArray[Any]) -> None:
    if values.ndim == 1:
        records[f"{name} length"] = values.itemsize
        records[name] = values
        return
    width = values.shape[1]
    records[f"{name} length"] = 20 + width * (4 + values.itemsize)
    records[f"{name} head"] = (1, 0, _ELEMENT_OIDS[values.dtype.name], width, 1)
    records[name]["length"] = values.itemsize
    records[name]["value"] = values


def _wire_type(values: NDArray[Any]) -> str:
    if values.dtype.name not in _ELEMENT_OIDS:
        raise TypeError(f"{values.dtype} has no type in Postgres; use one of {', '.join(_ELEMENT_OIDS)}")
    return values.dtype.newbyteorder(">").str
