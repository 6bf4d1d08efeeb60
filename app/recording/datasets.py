"""① A dataset without inputs: keys, labels and splits from an Arrow stream, every row checked, all or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.recording.streams import read_stream
from sondage.bounds import (
    CONTROL,
    MAX_CLASSES,
    MAX_EXAMPLES,
    MAX_KEY_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MIN_CLASSES,
)
from sondage.errors import InvalidInput, InvalidRows, RowError
from store.datasets import NewDataset

LITTLE_BYTES = 1 << 24
"""What is not worth counting."""
LISTED_ROWS = 100
COLUMNS = ("label", "key", "split")
SPLITS = ("train", "validation", "test")
_FORMAT = 1


class Texts(Sequence[str]):
    """A column of text as a sequence that is never whole in Python: 50 million keys would take 4 GB."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...

    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [str(text) for text in self.column.to_pylist()[place]]
        return str(self.column[place].as_py())

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self.column), 65_536):
            yield from self.column.slice(start, 65_536).to_pylist()


def read_dataset(path: Path, *, name: str) -> NewDataset:
    """The dataset that an Arrow IPC stream holds.

    Columns `label` (whole numbers), `key` (text or whole numbers; the position when absent) and `split` (train when
    absent); `class_names` as JSON in the schema's metadata, the numbers themselves when absent.

    Raises
    ------
    InvalidRows
        Some rows are wrong.
    InvalidInput
        It is no such stream, has other columns, too many rows, or fewer than two classes.
    """
    table = _read(path)
    if "label" not in table.column_names or set(table.column_names) - set(COLUMNS):
        raise InvalidInput(
            f"The columns are {', '.join(table.column_names)}: send label, and key and split where there are any. "
            "Inputs are not taken.",
            field="body",
        )
    names = _given_names(table.schema.metadata or {})
    labels, faults = _labels(table.column("label"), names)
    keys, of_keys = _keys(table, max(path.stat().st_size, LITTLE_BYTES))
    splits, of_splits = _splits(table)
    _refuse([*faults, *of_keys, *of_splits])
    class_names = names if names is not None else [str(number) for number in range(int(labels.max()) + 1)]
    if len(class_names) < MIN_CLASSES:
        raise InvalidInput("There is one class; a classifier needs two.", field="class_names")
    if not pc.any(pc.equal(splits, "train")).as_py():
        raise InvalidInput(
            "No example is of the split train; only those are trained and tagged.", field="split"
        )
    return NewDataset(
        name=name,
        fingerprint=_fingerprint(labels, keys, splits, class_names),
        modality="none",
        class_names=class_names,
        keys=Texts(keys),
        labels=labels,
        splits=Texts(splits),
        source={"kind": "recorded", "keys": "given" if "key" in table.column_names else "positions"},
    )


def _read(path: Path) -> pa.Table:
    table = read_stream(path, max_rows=MAX_EXAMPLES)
    if table.num_rows == 0:
        raise InvalidInput("There are no examples.", field="body")
    return table


def _given_names(metadata: dict[bytes, bytes]) -> list[str] | None:
    if b"class_names" not in metadata:
        return None
    try:
        names = json.loads(metadata[b"class_names"])
    except ValueError:
        raise InvalidInput("class_names in the schema's metadata is no JSON.", field="class_names") from None
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InvalidInput("class_names is a list of names, none of them empty.", field="class_names")
    longest = max(map(len, names), default=0)
    if longest > MAX_NAME_CHARACTERS:
        raise InvalidInput(
            f"A class name has {longest:,} characters; send names of up to {MAX_NAME_CHARACTERS:,}.",
            field="class_names",
        )
    if len(set(names)) < len(names) or len(names) > MAX_CLASSES:
        raise InvalidInput(f"class_names: each name once, and up to {MAX_CLASSES:,}.", field="class_names")
    return names


def _labels(column: pa.ChunkedArray, names: list[str] | None) -> tuple[NDArray[np.int64], list[RowError]]:
    if not pa.types.is_integer(column.type):
        raise InvalidInput(f"Column label holds {column.type}; class numbers are needed.", field="label")
    num_classes = MAX_CLASSES if names is None else len(names)
    try:
        numbers = pc.fill_null(column.cast(pa.int64()), -1).to_numpy()
    except pa.ArrowInvalid:
        raise InvalidInput("Column label holds numbers that are no class numbers.", field="label") from None
    absent = pc.is_null(column).to_numpy()
    wrong = (numbers < 0) | (numbers >= num_classes)
    return numbers.astype(np.int64), [
        RowError(int(at), "missing_label", "label is missing.")
        if absent[at]
        else RowError(
            int(at), "unknown_label", f"label is {numbers[at]}; there are classes 0…{num_classes - 1}."
        )
        for at in _first(wrong)
    ]


def _keys(table: pa.Table, max_bytes: int) -> tuple[pa.ChunkedArray, list[RowError]]:
    if "key" not in table.column_names:
        positions = pa.array(np.arange(table.num_rows, dtype=np.int64))
        return pa.chunked_array([positions.cast(pa.large_string())]), []
    column = _plain(table.column("key"), max_bytes)  # each comes once: no more than the body has
    if not (pa.types.is_integer(column.type) or _is_text(column.type)):
        raise InvalidInput(f"Column key holds {column.type}; text or whole numbers are needed.", field="key")
    keys = pc.fill_null(column.cast(pa.large_string()), "")
    length = pc.utf8_length(keys).to_numpy()
    bad = (length == 0) | (length > MAX_KEY_CHARACTERS) | pc.match_substring_regex(keys, CONTROL).to_numpy()
    faults = [
        RowError(
            int(at), "bad_key", f"A key has 1 to {MAX_KEY_CHARACTERS} characters and no control characters."
        )
        for at in _first(bad)
    ]
    return keys, [*faults, *([] if faults else _doubles(keys))]


def _doubles(keys: pa.ChunkedArray) -> list[RowError]:
    if pc.count_distinct(keys).as_py() == len(keys):
        return []
    codes = keys.combine_chunks().dictionary_encode().indices.to_numpy()
    _, first, place = np.unique(codes, return_index=True, return_inverse=True)
    again = first[place] != np.arange(len(codes))
    return [
        RowError(int(at), "duplicate_key", f"{keys[at].as_py()!r} stands in row {first[place[at]]} already.")
        for at in _first(again)
    ]


def _splits(table: pa.Table) -> tuple[pa.ChunkedArray, list[RowError]]:
    if "split" not in table.column_names:
        return pa.chunked_array([pa.repeat(pa.scalar("train", pa.large_string()), table.num_rows)]), []
    longest = max(map(len, SPLITS))
    column = _plain(table.column("split"), max(longest * table.num_rows, LITTLE_BYTES))
    if not _is_text(column.type):
        raise InvalidInput(
            f"Column split holds {column.type}; {', '.join(SPLITS)} are needed.", field="split"
        )
    splits = pc.fill_null(column.cast(pa.large_string()), "")
    unknown = ~pc.is_in(splits, pa.array(SPLITS, pa.large_string())).to_numpy()
    return splits, [
        RowError(int(at), "unknown_split", f"split is {splits[at].as_py()!r}; there are {', '.join(SPLITS)}.")
        for at in _first(unknown)
    ]


def _plain(column: pa.ChunkedArray, max_bytes: int) -> pa.ChunkedArray:
    """A column without its dictionary, which may say one long text millions of times: counted before it is done."""
    if not pa.types.is_dictionary(column.type):
        return column
    if pa.types.is_integer(column.type.value_type):
        return column.cast(column.type.value_type)
    if not _is_text(column.type.value_type):
        return column
    size = sum(
        pc.sum(pc.take(pc.binary_length(chunk.dictionary), chunk.indices).cast(pa.int64())).as_py() or 0
        for chunk in column.chunks
    )
    if size > max_bytes:
        raise InvalidInput(
            f"A column of texts holds {size:,} bytes once its dictionary is unpacked; up to {max_bytes:,} belong here. "
            "Each key comes once, and splits are " + ", ".join(SPLITS) + ".",
            field="body",
        )
    return column.cast(column.type.value_type)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _first(wrong: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.flatnonzero(wrong)[: LISTED_ROWS + 1]


def _refuse(faults: list[RowError]) -> None:
    if faults:
        listed = sorted(faults, key=lambda fault: fault.index)[:LISTED_ROWS]
        number = f"more than {LISTED_ROWS}" if len(faults) > LISTED_ROWS else str(len(faults))
        raise InvalidRows(
            f"{number} rows were refused, and nothing was stored. Row {listed[0].index}: {listed[0].message}",
            listed,
            num_rejected=len(faults),
        )


def _fingerprint(
    labels: NDArray[np.int64], keys: pa.ChunkedArray, splits: pa.ChunkedArray, class_names: list[str]
) -> str:
    """SHA-256 (hex) of all there is; however it was cut into batches."""
    parts = {
        "format": _FORMAT,
        "modality": "none",
        "class_names": class_names,
        "labels": hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest(),
        "keys": _digest(keys),
        "splits": _digest(splits),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _digest(texts: pa.ChunkedArray) -> list[str]:
    lengths, content = hashlib.sha256(), hashlib.sha256()
    for start in range(0, len(texts), 1 << 20):
        part: Any = texts.slice(start, 1 << 20)
        lengths.update(pc.binary_length(part).to_numpy().astype("<i8").tobytes())
        content.update(b"".join(part.cast(pa.large_binary()).to_pylist()))
    return [lengths.hexdigest(), content.hexdigest()]
