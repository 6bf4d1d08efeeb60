"""① What a source is taken apart into, and what registering it gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from sondage.errors import InvalidRows, RowError
from sondage.types import Labels, Rows
from store.payloads import PIXEL_LIMIT, PayloadWriter
from worker.data.noise import Truth

_LISTED_ROWS = 100
GIB = 1024**3


@dataclass(frozen=True)
class SourceLimits:
    """What a source may cost before it is refused.

    Attributes
    ----------
    max_file_bytes : int
        Of one source file as it lies on the disk.
    max_array_bytes : int
        Of one array of an archive, or of all files of a zip, once unpacked.
    max_decoded_bytes : int
        Of all that Parquet files unfold to.
    max_unfolding, min_decoded_bytes : int
        They may unfold to so many times their own size, or to so many bytes in any case.
    max_line_bytes : int
        Of one line of a CSV file.
    max_picture_bytes, max_picture_pixels : int
        Of one encoded picture.
    max_files : int
        In an image folder.
    """

    max_file_bytes: int = 64 * GIB
    max_array_bytes: int = 256 * GIB
    max_decoded_bytes: int = 256 * GIB
    max_unfolding: int = 100
    min_decoded_bytes: int = GIB
    max_line_bytes: int = 64 * 1024 * 1024
    max_picture_bytes: int = 64 * 1024 * 1024
    max_picture_pixels: int = PIXEL_LIMIT
    max_files: int = 20_000_000


class Inputs(Protocol):
    """The inputs of a source, read once from front to back."""

    modality: str

    def announce(self, writer: PayloadWriter) -> None:
        """Tell the writer the form, and the shape or schema of a row."""
        ...

    def blocks(self, rows: Rows, faults: Faults) -> Iterator[tuple[Rows, Any]]:
        """The inputs of these rows (ascending), block by block: which rows they are, and their content.

        Rows that cannot be used are missing from the blocks and are told to `faults`.
        """
        ...


@dataclass(frozen=True)
class Opened:
    """A source that has been opened: columns as they came, nothing checked.

    Attributes
    ----------
    inputs : Inputs
    labels : pyarrow column of all rows
    parts : sequence of (split, number of rows)
        The source's rows in order; more than one when it has files or arrays per split.
    label_names : list of str, optional
        Class names that the source itself declares.
    keys, splits, categories : pyarrow columns, optional
        `categories` is looked for in sources of probes alone.
    notes : dict
        What was guessed, for the record.
    """

    inputs: Inputs
    labels: pa.ChunkedArray
    parts: Sequence[tuple[str, int]]
    label_names: list[str] | None = None
    keys: pa.ChunkedArray | None = None
    splits: pa.ChunkedArray | None = None
    categories: pa.ChunkedArray | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        return sum(num for _, num in self.parts)


class Faults:
    """The rows that cannot be used: all are marked, the first hundred are told in words."""

    def __init__(self, parts: Sequence[tuple[str, int]]) -> None:
        self._parts = parts
        self.bad = np.zeros(sum(num for _, num in parts), dtype=bool)
        self.listed: list[RowError] = []

    @property
    def count(self) -> int:
        return int(self.bad.sum())

    def add(self, row: int, code: str, message: str) -> None:
        """Mark a row. Its first fault is the one that is told."""
        if self.bad[row]:
            return
        self.bad[row] = True
        if len(self.listed) < _LISTED_ROWS:
            self.listed.append(RowError(int(row), code, f"{self.place(row).capitalize()}: {message}"))

    def place(self, row: int) -> str:
        """`row 7`, or `row 7 of test` where a source has several parts."""
        if len(self._parts) == 1:
            return f"row {row}"
        for name, num in self._parts:
            if row < num:
                return f"row {row} of {name}"
            row -= num
        raise IndexError(row)

    def settle(self, *, skip: bool) -> None:
        """Go on if there is no fault, or if faulty rows may be left out.

        Raises
        ------
        InvalidRows
            Otherwise.
        """
        if skip or not self.count:
            return
        raise InvalidRows(
            f"{self.count:,} of {len(self.bad):,} rows cannot be used, and nothing was registered. "
            f"{self.listed[0].message} Mend the rows, or leave them out with skip_invalid.",
            self.listed,
            num_rejected=self.count,
        )


@dataclass(frozen=True)
class Registration:
    """What reading a source gave; the inputs are in the writer by now.

    Attributes
    ----------
    modality : {"image", "text", "table", "vector"}
    class_names : list of str
        Class *i* of `labels` is `class_names[i]`.
    keys, splits : list of str, length N
    labels : int64 array, shape (N,)
        The given labels, planted errors included.
    fingerprint : str
        SHA-256 (hex) of inputs, labels, keys, splits and class names.
    provenance : dict
        Where it came from, what was guessed, what was left out; JSON-able.
    skipped : list of RowError
        The first hundred rows that were left out; `num_skipped` counts all.
    truth : Truth or None
        Which labels were set wrong on purpose. For demonstrations and benchmarks alone.
    categories : list of str
        Of a source of probes, what each example is; else empty.
    """

    modality: str
    class_names: list[str]
    keys: list[str]
    labels: Labels
    splits: list[str]
    fingerprint: str
    provenance: dict[str, Any]
    skipped: list[RowError]
    num_skipped: int
    truth: Truth | None
    categories: list[str] = field(default_factory=list)


def take_near(data: Any, rows: Rows) -> Any:
    """These rows (ascending) of a table or chunked column; only the chunks between the first and last are read."""
    if not len(rows):
        return data.slice(0, 0)
    first, last = int(rows[0]), int(rows[-1])
    return data.slice(first, last - first + 1).take(pa.array(rows - first))
