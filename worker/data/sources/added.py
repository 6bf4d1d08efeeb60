"""① Inputs that are added to examples that are there already: matched by key or in order, labels compared, every one.

A source may lie in any order; the payload has that of the dataset. It is read once into a payload as it lies, and
copied in the right order where that differs.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sondage.errors import InvalidInput, InvalidRows, RowError
from sondage.types import Labels, Rows
from sondage.wire import Source
from store.payloads import Payload, PayloadWriter, open_payload
from worker.data.sources.columns import encode_labels, read_keys
from worker.data.sources.fingerprint import ContentDigest
from worker.data.sources.model import Faults, Opened, SourceLimits
from worker.data.sources.read import open_source

_FORMAT = 1
_CHUNK_BYTES = 64 * 1024 * 1024
_LISTED_ROWS = 100
_TOLD_ROWS = 10
_PARTIAL = ".partial-"
NO_KEYS = (
    "The source has no keys of its own, so its rows are numbered: name its ids with key_column (--key-column), or, "
    "where it lies in the order of the examples, say match=order (--match order)."
)
REMEDY = (
    "The labels that were recorded stay. To add the inputs all the same, say labels=ignore (--ignore-labels)."
)


@dataclass(frozen=True)
class Known:
    """The examples that get inputs, in their order. `keys` large_string [N], `labels` int64 [N]."""

    keys: pa.Array
    labels: Labels
    class_names: list[str]

    @property
    def has_names(self) -> bool:
        """Whether classes have names of their own, and not their numbers alone."""
        return self.class_names != [str(number) for number in range(len(self.class_names))]


@dataclass(frozen=True)
class Added:
    """What was read. The payload is durable and unpublished.

    Attributes
    ----------
    writer : PayloadWriter
        Has the inputs in the order of the dataset.
    modality : {"image", "text", "table", "vector"}
    fingerprint : str
        SHA-256 (hex) of the inputs in that order.
    num_unknown : int
        Rows of the source that were left out: the dataset has no example of their key.
    notes : dict
        What was guessed, for the record.
    """

    writer: PayloadWriter
    modality: str
    fingerprint: str
    num_unknown: int
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Matching:
    """How rows of a source become the dataset's examples."""

    match: Literal["key", "order"] = "key"
    labels: Literal["same", "ignore"] = "same"
    skip_unknown: bool = False


def read_inputs(
    source: Source,
    known: Known,
    how: Matching,
    first: PayloadWriter,
    second: PayloadWriter,
    *,
    resolve: Callable[[str], Path],
    limits: SourceLimits | None = None,
) -> Added:
    """Read the inputs of all examples of a dataset.

    Parameters
    ----------
    source : Source
        Without `limit`, `noise`, `skip_invalid` and `validation_share`: these make datasets.
    first, second : PayloadWriter
        Entered and empty. `second` is used where the source has another order.
    resolve : callable
        Turns `source.path` into a real path, or refuses.

    Raises
    ------
    InvalidRows
        Rows cannot be used, their keys are not the dataset's, an example has none, or labels differ.
    InvalidInput, Unsupported, Forbidden, NotFound
        The source as a whole cannot be used.
    """
    limits = limits or SourceLimits()
    with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=first.folder.parent) as scratch:
        labelled = how.labels == "same"
        opened = open_source(source, resolve, limits, Path(scratch), labelled=labelled)
        places, num_unknown = _places(opened, known, how)
        if labelled:
            _compare_labels(opened, source, known, places)
        rows = np.flatnonzero(places >= 0)
        _copy(opened, rows, first)
    first.finish()
    payload = open_payload(first.folder)
    order = np.empty(len(rows), dtype=np.int64)
    order[places[rows]] = np.arange(len(rows))
    if (order == np.arange(len(order))).all():
        writer, digest = first, _digest(_in_order(payload, None))
    else:
        writer, digest = second, _reorder(payload, order, second)
    content = {"format": _FORMAT, "modality": payload.modality, "content": digest.parts()}
    return Added(
        writer=writer,
        modality=payload.modality,
        fingerprint=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        num_unknown=num_unknown,
        notes=opened.notes,
    )


# ---- which row is which example


def _places(opened: Opened, known: Known, how: Matching) -> tuple[Rows, int]:
    """Of every row of the source the index of its example, −1 where it is left out; and how many are."""
    num = len(known.keys)
    if how.match == "order":
        if opened.num_rows != num:
            raise InvalidInput(
                f"The source has {opened.num_rows:,} rows and the dataset {num:,} examples: they cannot be matched in "
                "order. Match them by key.",
                field="match",
            )
        return np.arange(num, dtype=np.int64), 0
    faults = Faults(opened.parts)
    keys = read_keys(opened.keys, opened.parts, np.arange(opened.num_rows), faults)
    _refuse(faults.listed, faults.count)
    found = pc.index_in(pa.array(keys, pa.large_string()), value_set=known.keys)
    places = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    unknown = np.flatnonzero(places < 0)
    missing = np.setdiff1d(np.arange(num), places)
    wrong = [] if how.skip_unknown else _unknown(unknown, keys, faults)
    told = [*wrong, *_missing(missing, known)]
    remedy = NO_KEYS if opened.keys is None else ""
    _refuse(told, len(missing) + (0 if how.skip_unknown else len(unknown)), remedy)
    return places, len(unknown)


def _unknown(rows: Rows, keys: Sequence[str], faults: Faults) -> list[RowError]:
    return [
        RowError(
            int(row),
            "unknown_key",
            f"{faults.place(row).capitalize()}: the dataset has no example {keys[row]!r}.",
        )
        for row in rows[:_LISTED_ROWS].tolist()
    ]


def _missing(indices: Rows, known: Known) -> list[RowError]:
    return [
        RowError(
            index,
            "missing_input",
            f"Example {index} ({known.keys[index].as_py()!r}) has no row in the source.",
        )
        for index in indices[:_LISTED_ROWS].tolist()
    ]


def _compare_labels(opened: Opened, source: Source, known: Known, places: Rows) -> None:
    """Refuse labels that are not the dataset's, row by row."""
    rows = np.flatnonzero(places >= 0)
    faults = Faults(opened.parts)
    labels, names = encode_labels(
        opened.labels,
        rows=rows,
        faults=faults,
        names=source.class_names,
        declared=opened.label_names or (known.class_names if known.has_names else None),
    )
    _refuse(faults.listed, faults.count)
    numbers = _class_numbers(names, known)[labels[rows]]
    expected = known.labels[places[rows]]
    differing = np.flatnonzero(numbers != expected)
    told = [
        RowError(
            int(rows[at]),
            "label_differs",
            f"{faults.place(int(rows[at])).capitalize()}: its label is {names[labels[rows[at]]]!r}; that of example "
            f"{known.keys[int(places[rows[at]])].as_py()!r} is {known.class_names[expected[at]]!r}.",
        )
        for at in differing[:_LISTED_ROWS].tolist()
    ]
    _refuse(told, len(differing), REMEDY)


def _class_numbers(names: list[str], known: Known) -> Labels:
    """The dataset's number of each class of the source: by name; in their order where the dataset has numbers alone.

    Raises
    ------
    InvalidInput
        A class of the source is none of the dataset's.
    """
    number = {name: place for place, name in enumerate(known.class_names)}
    if all(name in number for name in names):
        return np.array([number[name] for name in names], dtype=np.int64)
    if not known.has_names and len(names) <= len(known.class_names):
        return np.arange(len(names), dtype=np.int64)
    strange = next(name for name in names if name not in number)
    few = ", ".join(known.class_names[:10]) + (", …" if len(known.class_names) > 10 else "")
    raise InvalidInput(
        f"The source has a class {strange!r}, which is none of the dataset's ({few}). Name its classes in their order "
        "with class_names, or say labels=ignore.",
        field="class_names",
    )


def _refuse(told: Sequence[RowError], number: int, remedy: str = "") -> None:
    if not number:
        return
    lines = [f"{number:,} rows do not fit, and nothing was added."]
    lines += [f"- {fault.message}" for fault in told[:_TOLD_ROWS]]
    lines += [f"- and {number - _TOLD_ROWS:,} more"] if number > _TOLD_ROWS else []
    lines += [remedy] if remedy else []
    raise InvalidRows("\n".join(lines), list(told[:_LISTED_ROWS]), num_rejected=number)


# ---- the inputs


def _copy(opened: Opened, rows: Rows, writer: PayloadWriter) -> None:
    """As they lie in the source. Every row has to be good: an example without its input is none."""
    faults = Faults(opened.parts)
    opened.inputs.announce(writer)
    for _, block in opened.inputs.blocks(rows, faults):
        writer.add(block)
    _refuse(faults.listed, faults.count)


def _reorder(payload: Payload, order: Rows, writer: PayloadWriter) -> ContentDigest:
    """Row *i* of the copy is row `order[i]` of the payload."""
    if payload.form.is_array:
        writer.start(payload.form, row_shape=payload.array.shape[1:])
    else:
        writer.start(payload.form, schema=next(payload.batches()).schema, columns=payload.columns)
    digest = ContentDigest()
    for block in _in_order(payload, order):
        writer.add(block)
        digest.add(block)
    writer.finish()
    return digest


def _digest(blocks: Iterator[Any]) -> ContentDigest:
    digest = ContentDigest()
    for block in blocks:
        digest.add(block)
    return digest


def _in_order(payload: Payload, order: Rows | None) -> Iterator[Any]:
    """A payload's rows in an order, its own when none is given, in blocks of bounded size."""
    if payload.form.is_array:
        step = max(1, _CHUNK_BYTES // max(1, payload.array.nbytes // payload.num_rows))
        for start in range(0, payload.num_rows, step):
            rows = slice(start, start + step) if order is None else order[start : start + step]
            yield np.ascontiguousarray(payload.array[rows])
    elif order is None:
        yield from payload.batches()
    else:
        yield from _taken(list(payload.batches()), order)


def _taken(batches: Sequence[pa.RecordBatch], order: Rows) -> Iterator[pa.RecordBatch]:
    """Rows of mapped batches in another order. Of each batch only the rows that are wanted are read."""
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    num_bytes = sum(batch.nbytes for batch in batches)
    step = max(1, _CHUNK_BYTES // max(1, num_bytes // len(order)))
    for first, last in pairwise([*range(0, len(order), step), len(order)]):
        wanted = order[first:last]
        number = np.searchsorted(starts, wanted, side="right") - 1
        by_batch = np.argsort(number, kind="stable")
        parts = [
            batches[one].take(pa.array(wanted[number == one] - starts[one])) for one in np.unique(number)
        ]
        together = pa.Table.from_batches(parts).combine_chunks()
        place = np.empty(len(wanted), dtype=np.int64)
        place[by_batch] = np.arange(len(wanted))
        table = together.take(pa.array(place)).combine_chunks()
        yield from table.to_batches()
