"""① Columns from outside, made into labels, keys and splits; every row that resists is told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sondage.errors import InvalidInput, Unsupported
from sondage.types import Labels, Rows
from worker.data.sources.model import Faults

_MAX_KEY_CHARACTERS = 500
_MANY_CLASSES = 20
_SHOWN_CHARACTERS = 80
_WHOLE_NUMBER = "^(0|-?[1-9][0-9]{0,17})$"
_LARGEST_WHOLE = 2.0**53  # above it a float64 has no last digit
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What people call the splits."""


def check_column_names(names: Sequence[str]) -> None:
    """A name is kept in the record of where a dataset comes from, and no database keeps a NUL."""
    for name in names:
        if "\x00" in name:
            raise InvalidInput(
                f"The name of column {name[:100]!r} has a NUL character in it: rename the column.",
                field="path",
            )


def encode_labels(
    column: pa.ChunkedArray,
    *,
    rows: Rows,
    faults: Faults,
    names: Sequence[str] | None,
    declared: Sequence[str] | None,
) -> tuple[Labels, list[str]]:
    """Class numbers of the rows, and the class names.

    Parameters
    ----------
    column : pyarrow column
        Numbers or words. Words are sorted into classes; numbers too, unless there are names for them.
    rows : int64 array
        Which rows count.
    faults : Faults
        Gets rows with no label, or with one that no class has.
    names : sequence of str, optional
        The user's class names.
    declared : sequence of str, optional
        Those that the source declares.

    Returns
    -------
    labels : int64 array, one per row of the source; −1 where there is none
    class_names : list of str

    Raises
    ------
    Unsupported
        The labels are lists, boxes or measurements.
    """
    known = _checked_names(names or declared)
    values = _as_words_or_numbers(column.combine_chunks(), rows, faults, known)
    is_number = pa.types.is_integer(values.type)
    chosen = values.take(pa.array(rows))
    if known is None:
        known_values = _sorted_classes(chosen)
        _check_number_of_classes(len(known_values), len(rows))
        class_names = _checked_names([str(value) for value in known_values.to_pylist()]) or []
    else:
        class_names = known
        known_values = (
            pa.array(range(len(known)), pa.int64()) if is_number else pa.array(known, pa.large_string())
        )
    codes = pc.fill_null(pc.index_in(chosen, known_values), -1).to_numpy(zero_copy_only=False)
    _tell_missing(chosen, codes, rows, faults, class_names, unlabelled=-1 if known is not None else None)
    labels = np.full(len(values), -1, dtype=np.int64)
    labels[rows] = codes
    return labels, class_names


def _tell_missing(
    chosen: pa.Array,
    codes: Labels,
    rows: Rows,
    faults: Faults,
    class_names: list[str],
    unlabelled: int | None,
) -> None:
    for place in np.flatnonzero(codes < 0):
        value = chosen[int(place)].as_py()
        if value is None or value == unlabelled:
            faults.add(rows[place], "missing_label", "it has no label.")
        else:
            few = ", ".join(class_names[:10]) + (", …" if len(class_names) > 10 else "")
            faults.add(
                rows[place], "unknown_label", f"the label {_short(value)} is none of the classes ({few})."
            )


def _short(value: object) -> str:
    """As people write it in an error: a whole text may stand where a label should."""
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "…"


def _as_words_or_numbers(values: pa.Array, rows: Rows, faults: Faults, known: list[str] | None) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
        kind = values.type
    if pa.types.is_nested(kind):
        raise Unsupported(
            f"The labels are of type {kind}: several labels or boxes for one example are outside Sondage's scope, "
            "which is single-label classification.",
            field="label_column",
        )
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return values.cast(pa.int64())
    if kind == pa.uint64() or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _whole(values.cast(pa.float64(), safe=False))
    if pa.types.is_boolean(kind):
        return values.cast(pa.string()).cast(pa.large_string())
    if pa.types.is_null(kind):
        return values.cast(pa.large_string())
    return _words(valid_text(values, rows, faults, "label"), known)


def _whole(values: pa.Array) -> pa.Array:
    numbers = values.to_numpy(zero_copy_only=False)
    seen = np.isfinite(numbers)
    if (numbers[seen] != np.round(numbers[seen])).any() or (np.abs(numbers[seen]) > _LARGEST_WHOLE).any():
        raise Unsupported(
            "The labels are measurements (numbers with a fraction, or huge): Sondage needs classes.",
            field="label_column",
        )
    return pa.array(np.where(seen, numbers, 0).astype(np.int64), mask=~seen)


def _words(values: pa.Array, known: list[str] | None) -> pa.Array:
    """Words without empty ones; whole numbers written as words (as in CSV) become numbers."""
    values = pc.if_else(pc.equal(pc.utf8_trim_whitespace(values), ""), None, values)
    numeric = pc.all(pc.match_substring_regex(values, _WHOLE_NUMBER)).as_py()
    if numeric and not (known and pc.any(pc.is_in(values, pa.array(known, values.type))).as_py()):
        return values.cast(pa.int64())
    return values


def _sorted_classes(chosen: pa.Array) -> pa.Array:
    different = chosen.unique().drop_null()
    return different.take(pc.sort_indices(different))


def _check_number_of_classes(num_classes: int, num_rows: int) -> None:
    if num_classes > _MANY_CLASSES and num_classes > num_rows / 2:
        raise InvalidInput(
            f"There are {num_classes:,} different labels in {num_rows:,} rows. Is the label column an identifier "
            "or a measurement? Name another with label_column.",
            field="label_column",
        )


def _checked_names(names: Sequence[str] | None) -> list[str] | None:
    if names is None:
        return None
    for name in names:
        if not name or len(name) > 200 or _CONTROL.search(name):
            raise InvalidInput(
                f"{name[:50]!r} cannot be a class name: 1 to 200 characters without control characters are needed.",
                field="class_names",
            )
    twice = (
        sorted({name for name in names if list(names).count(name) > 1})
        if len(set(names)) < len(names)
        else []
    )
    if twice:
        raise InvalidInput(
            f"The class name {twice[0]!r} comes twice: each class needs its own.", field="class_names"
        )
    return list(names)


def read_keys(
    column: pa.ChunkedArray | None, parts: Sequence[tuple[str, int]], rows: Rows, faults: Faults
) -> list[str]:
    """The keys of all rows of the source: the user's ids, or row numbers (`split/number` for several parts)."""
    if column is None:
        return [str(row) if len(parts) == 1 else f"{name}/{row}" for name, num in parts for row in range(num)]
    values = column.combine_chunks()
    if not (_is_text(values.type) or pa.types.is_integer(values.type)):
        raise InvalidInput(
            f"Keys are of type {values.type}; words or whole numbers are needed.", field="key_column"
        )
    values = valid_text(values, rows, faults, "key") if _is_text(values.type) else values
    keys = ["" if value is None else str(value) for value in values.to_pylist()]
    first: dict[str, int] = {}
    for row in rows.tolist():
        _check_key(keys[row], row, first, faults)
    return keys


def _check_key(key: str, row: int, first: dict[str, int], faults: Faults) -> None:
    if not key:
        faults.add(row, "missing_key", "it has no key.")
    elif len(key) > _MAX_KEY_CHARACTERS or _CONTROL.search(key):
        faults.add(
            row, "bad_key", f"its key has control characters, or more than {_MAX_KEY_CHARACTERS} characters."
        )
    elif key in first:
        faults.add(row, "duplicate_key", f"its key {key!r} is that of {faults.place(first[key])} already.")
    elif not faults.bad[row]:
        first[key] = row


def read_splits(
    column: pa.ChunkedArray | None, parts: Sequence[tuple[str, int]], faults: Faults
) -> np.ndarray[Any, Any]:
    """The split of every row, as an array of words: of the split column, or of the part it came in."""
    if column is None:
        return np.repeat([name for name, _ in parts], [num for _, num in parts]).astype("U10")
    splits = []
    for row, value in enumerate(column.to_pylist()):
        split = SPLIT_WORDS.get(str(value).strip().lower())
        if split is None:
            faults.add(
                row, "unknown_split", f"its split is {_short(value)}; train, validation or test is needed."
            )
        splits.append(split or "train")
    return np.array(splits, dtype="U10")


def valid_text(values: pa.Array, rows: Rows, faults: Faults, what: str) -> pa.Array:
    """The same as large strings; null where the bytes are not UTF-8, which is told for these rows.

    Arrow does not look at the bytes of a string column that it reads from a file.
    """
    if not _is_text(values.type):
        raise InvalidInput(
            f"The {what} column is of type {values.type}; text is needed.", field="input_columns"
        )
    raw = values.cast(pa.large_binary())
    try:
        return raw.cast(pa.large_string())
    except pa.ArrowInvalid:
        return _text_without_bad_rows(raw, rows, faults, what)


def _text_without_bad_rows(raw: pa.Array, rows: Rows, faults: Faults, what: str) -> pa.Array:
    counted = set(rows.tolist())
    words: list[str | None] = []
    for row, value in enumerate(raw.to_pylist()):
        try:
            words.append(None if value is None else value.decode("utf-8"))
        except UnicodeDecodeError as error:
            words.append(None)
            if row in counted:
                faults.add(row, "not_utf8", f"its {what} is not UTF-8 (byte {error.start}).")
    return pa.array(words, pa.large_string())


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)
