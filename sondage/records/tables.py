"""③ Records in tables: one line per example and epoch, in Parquet or CSV."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from sondage.errors import InvalidInput, InvalidRows, RowError
from sondage.records.base import Records, class_numbers
from sondage.types import AnyArray, Rows

USUAL = ("loss", "margin", "predicted")
_LISTED_ROWS = 100
_LARGEST_ROW = 1 << 31


def read_parquet(path: Path, channels: tuple[str, ...] | None) -> Records:
    parquet = _pyarrow("pyarrow.parquet")
    try:
        columns = _wanted(path, parquet.read_schema(path).names, channels)
        table = parquet.read_table(path, columns=columns)
    except (OSError, ValueError) as fault:
        raise InvalidInput(f"{path} is no Parquet file: {fault}.", field="file") from None
    return records_of(table, path)


def read_csv(path: Path, channels: tuple[str, ...] | None) -> Records:
    arrow, csv = _pyarrow("pyarrow"), _pyarrow("pyarrow.csv")
    try:
        with path.open(encoding="utf-8-sig") as opened:
            header = [name.strip().strip('"') for name in opened.readline().rstrip("\r\n").split(",")]
        columns = _wanted(path, header, channels)
        kinds = {"key": arrow.string()} if "key" in columns else {}  # 007 is not 7
        options = csv.ConvertOptions(include_columns=columns, column_types=kinds)
        table = csv.read_csv(path, convert_options=options)
    except (OSError, ValueError, KeyError) as fault:
        if isinstance(fault, InvalidInput):
            raise
        raise InvalidInput(f"{path} is no CSV in UTF-8: {fault}.", field="file") from None
    return records_of(table, path)


def _pyarrow(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise ImportError("tables of records need pyarrow: pip install 'sondage[cli]'") from None


def _wanted(path: Path, there: Iterable[str], channels: tuple[str, ...] | None) -> list[str]:
    """Columns to read: nothing else of the table is looked at."""
    found = list(there)
    rows = [name for name in ("key", "row") if name in found]
    read = channels or tuple(name for name in USUAL if name in found)
    missing = [name for name in ("epoch", *read) if name not in found]
    if len(rows) != 1 or missing or not read:
        raise InvalidInput(
            f"{path} needs the columns key or row (one of them), epoch, and "
            f"{' and '.join(channels or ('loss',))}; it has {', '.join(found)}.",
            field="file",
        )
    return [*rows, "epoch", *(["label"] if "label" in found else []), *read]


def records_of(table: Any, path: Path) -> Records:
    """Records of an Arrow table with the columns `key` or `row`, `epoch`, channels, and perhaps `label`."""
    if not table.num_rows:
        raise InvalidInput(f"{path} holds no record.", field="file")
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    _refuse(_missing(columns))
    epochs, epoch = np.unique(_whole(columns.pop("epoch"), "epoch"), return_inverse=True)
    keys, row, num_rows = _rows(columns)
    label = columns.pop("label", None)
    _refuse(_repeated(row, epoch, len(epochs)))
    shape = num_rows, len(epochs)
    seen = np.zeros(shape, dtype=bool)
    seen[row, epoch] = True
    labels, class_names = (None, None) if label is None else _labels(label, row, num_rows)
    return Records(
        channels={name: _matrix(name, column, row, epoch, shape) for name, column in columns.items()},
        seen=seen,
        epochs=tuple(epochs.tolist()),
        keys=keys,
        labels=labels,
        class_names=class_names,
    )


def _rows(columns: dict[str, Any]) -> tuple[list[str] | None, Rows, int]:
    """Keys in the order in which they come first, the row of each record, and how many rows there are."""
    if "row" in columns:
        row = _whole(columns.pop("row"), "row")
        wrong = np.flatnonzero((row < 0) | (row >= _LARGEST_ROW))
        _refuse([RowError(int(at), "row_range", f"row is {row[at]}; rows count from 0.") for at in wrong])
        return None, row, int(row.max()) + 1
    encoded = columns.pop("key").dictionary_encode()
    keys = [str(key) for key in encoded.dictionary.to_pylist()]
    return keys, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), len(keys)


def _whole(column: Any, name: str) -> Rows:
    values = _numbers(column, name)
    if values.dtype.kind == "f" and not (values == np.floor(values)).all():
        raise InvalidInput(f"Column {name} holds numbers that are not whole.", field=name)
    return values.astype(np.int64)


def _numbers(column: Any, name: str) -> AnyArray:
    values: AnyArray = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind not in "fiu":
        raise InvalidInput(f"Column {name} holds {column.type}; numbers are needed.", field=name)
    return values


def _labels(column: Any, row: Rows, num_rows: int) -> tuple[Any, list[str] | None]:
    """The label of each row, which must be the same in all of its records."""
    encoded = column.dictionary_encode()
    number = encoded.indices.to_numpy(zero_copy_only=False)
    of_row = np.zeros(num_rows, dtype=np.int64)
    of_row[row] = number
    changed = np.flatnonzero(of_row[row] != number)
    _refuse(
        [
            RowError(int(at), "label_changes", "This example has another label in another epoch.")
            for at in changed
        ]
    )
    absent = np.setdiff1d(np.arange(num_rows), row)
    if len(absent):
        raise InvalidInput(
            f"Row {absent[0]} has no record, and so no label: pass labels elsewhere.", field="label"
        )
    values = encoded.dictionary.to_numpy(zero_copy_only=False)
    return class_numbers(values[of_row])


def _matrix(name: str, column: Any, row: Rows, epoch: Rows, shape: tuple[int, int]) -> AnyArray:
    values = _numbers(column, name)
    floating = name in ("loss", "margin") or (values.dtype.kind == "f" and name != "predicted")
    whole: AnyArray = np.full(shape, np.nan if floating else -1, np.float32 if floating else np.int32)
    whole[row, epoch] = values if floating else np.nan_to_num(values, nan=-1)
    return whole


def _missing(columns: dict[str, Any]) -> list[RowError]:
    """What a record cannot do without. A loss may be missing: then the example was not seen."""
    faults = []
    for name in ("key", "row", "epoch", "label"):
        if name in columns and columns[name].null_count:
            absent = columns[name].is_null().to_numpy(zero_copy_only=False)
            faults += [RowError(int(at), "missing", f"{name} is missing.") for at in np.flatnonzero(absent)]
    return faults


def _repeated(row: Rows, epoch: Rows, num_epochs: int) -> list[RowError]:
    _, first, place = np.unique(row * num_epochs + epoch, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[place] != np.arange(len(row)))
    return [
        RowError(int(at), "repeated", f"The same example and epoch as in record {first[place[at]]}.")
        for at in again
    ]


def _refuse(faults: list[RowError]) -> None:
    if faults:
        raise InvalidRows(
            f"{len(faults)} records were refused, and nothing was recorded. {faults[0].message}",
            faults[:_LISTED_ROWS],
            num_rejected=len(faults),
        )
