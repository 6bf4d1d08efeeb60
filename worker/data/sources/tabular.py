"""① What the columns of a table from outside are for: label, key, split, and the inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sondage.errors import InvalidInput, Unsupported
from sondage.wire import Source
from worker.data.sources.arrays import ArrayInputs, ListVectors
from worker.data.sources.columns import SPLIT_WORDS
from worker.data.sources.frame import Frame
from worker.data.sources.model import Inputs, Opened, SourceLimits
from worker.data.sources.pictures import PictureInputs
from worker.data.sources.tables import TableInputs, words_or_numbers
from worker.data.sources.texts import TextInputs

_TEXT_NAMES = ("text", "sentence", "content", "document", "review", "question")
_DETECTION_NAMES = {"objects", "bbox", "bboxes", "boxes", "annotations"}
_SPLIT = "split"


def open_frame(
    frame: Frame,
    source: Source,
    limits: SourceLimits,
    *,
    keys: pa.Array | None = None,
    read_path: Callable[[str], bytes] | None = None,
    category_column: str | None = None,
    labelled: bool = True,
) -> Opened:
    """Give each column its part.

    Parameters
    ----------
    category_column : str, optional
        Of a source of probes; no input then.
    labelled : bool
        Whether there must be a label column; labels are null without one.

    Raises
    ------
    InvalidInput
        A named column is not there, or nothing is left to learn from.
    Unsupported
        The labels are for another task.
    """
    table = frame.table
    if not labelled and source.label_column not in table.column_names:
        table = table.append_column(source.label_column, pa.nulls(table.num_rows))
    label = _label_column(table, source.label_column)
    split = source.split_column or _guessed_split(table, label)
    for column, field in (
        (split, "split_column"),
        (source.key_column, "key_column"),
        (category_column, "category_column"),
    ):
        _check_there(table, column, field)
    roles = {label, split, source.key_column, category_column}
    names = _input_columns(table, source, roles)
    modality = source.modality or _guessed_modality(table, names)
    inputs = _inputs(table, names, modality, limits, read_path)
    if source.key_column:
        keys = table.column(source.key_column)
    return Opened(
        inputs=inputs,
        labels=table.column(label),
        parts=frame.parts,
        label_names=frame.class_names.get(label),
        keys=pa.chunked_array([keys]) if isinstance(keys, pa.Array) else keys,
        splits=table.column(split) if split else None,
        categories=table.column(category_column) if category_column else None,
        notes={"modality": modality, "split_column": split},
    )


def _label_column(table: pa.Table, name: str) -> str:
    if name in table.column_names:
        return name
    if _DETECTION_NAMES & set(table.column_names):
        raise Unsupported(
            "This looks like a detection data set (boxes): Sondage is for one class per example.",
            field="label_column",
        )
    raise InvalidInput(
        f"There is no column {name!r} with labels; name one of {', '.join(table.column_names)} with label_column.",
        field="label_column",
    )


def _check_there(table: pa.Table, name: str | None, field: str) -> None:
    if name is not None and name not in table.column_names:
        raise InvalidInput(
            f"There is no column {name!r}; there are {', '.join(table.column_names)}.", field=field
        )


def _guessed_split(table: pa.Table, label: str) -> str | None:
    """A column called `split`, if it says nothing but train, validation and test."""
    if _SPLIT not in table.column_names or label == _SPLIT:
        return None
    words = pc.unique(table.column(_SPLIT)).to_pylist()
    return (
        _SPLIT
        if all(isinstance(word, str) and word.strip().lower() in SPLIT_WORDS for word in words)
        else None
    )


def _input_columns(table: pa.Table, source: Source, roles: set[str | None]) -> list[str]:
    names = source.input_columns or [name for name in table.column_names if name not in roles]
    for name in names:
        _check_there(table, name, "input_columns")
    if source.label_column in names:
        raise InvalidInput(
            f"The label column {source.label_column!r} cannot be an input: the answer would be in the question.",
            field="input_columns",
        )
    if not names or len(set(names)) < len(names):
        raise InvalidInput("Name at least one input column, and each only once.", field="input_columns")
    return names


def _guessed_modality(table: pa.Table, names: list[str]) -> str:
    kinds = {name: table.schema.field(name).type for name in names}
    for test, modality in ((_is_picture, "image"), (_is_vector, "vector")):
        if any(test(kind) for kind in kinds.values()):
            return modality
    words = [name for name in names if _is_words(kinds[name])]
    if any(name.lower() in _TEXT_NAMES for name in words):
        return "text"
    return "text" if len(names) == 1 and words and not _are_numbers(table.column(words[0])) else "table"


def _are_numbers(words: pa.ChunkedArray) -> bool:
    """Whether words are numbers all the same, as every column of a CSV file is words at first."""
    try:
        return not pa.types.is_large_string(words_or_numbers(words.cast(pa.large_string())).type)
    except pa.ArrowInvalid:  # not UTF-8: told later, row by row
        return False


def _inputs(
    table: pa.Table,
    names: list[str],
    modality: str,
    limits: SourceLimits,
    read_path: Callable[[str], bytes] | None,
) -> Inputs:
    if modality == "table":
        return TableInputs(table, names)
    if modality == "image":
        return PictureInputs(table.column(_only(table, names, _is_picture, "pictures")), limits, read_path)
    if modality == "text":
        name = _only(table, names, _is_words, "text", preferred=_TEXT_NAMES)
        return TextInputs(table.column(name), name)
    if any(_is_vector(table.schema.field(name).type) for name in names):
        name = _only(table, names, _is_vector, "vectors")
        return ListVectors(table.column(name), name)
    return _stacked(table, names)


def _only(
    table: pa.Table,
    names: list[str],
    test: Callable[[pa.DataType], bool],
    what: str,
    preferred: tuple[str, ...] = (),
) -> str:
    fitting = [name for name in names if test(table.schema.field(name).type)]
    liked = [name for name in fitting if name.lower() in preferred]
    if len(liked or fitting) != 1:
        raise InvalidInput(
            f"One column with {what} is needed; there are {', '.join(fitting) or 'none'}. Name it with input_columns.",
            field="input_columns",
        )
    return (liked or fitting)[0]


def _stacked(table: pa.Table, names: list[str]) -> ArrayInputs:
    """Vectors whose positions are columns of their own."""

    def blocks() -> Any:
        for batch in table.select(names).to_batches(max_chunksize=8192):
            columns = [
                column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
                for column in batch.columns
            ]
            yield np.stack(columns, axis=1)

    for name in names:
        kind = table.schema.field(name).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise InvalidInput(
                f"Column {name!r} is of type {kind}; the positions of a vector are numbers.",
                field="input_columns",
            )
    return ArrayInputs("vector", (len(names),), blocks)


def _is_picture(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return {"bytes", "path"} <= {kind.field(place).name for place in range(kind.num_fields)}
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_vector(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)))


def _is_words(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
