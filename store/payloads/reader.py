"""① Reading a payload by index: pictures, thumbnails, texts, values; each a random read of one row."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from PIL import Image

from sondage.errors import DataFolderError, NotFound
from store.payloads.form import ROWS, Column, Form, Meta
from store.payloads.pictures import decode, from_pixels, to_png

_PREVIEW_CHARACTERS = 300
_PREVIEW_VALUES = 16
Array = np.ndarray[Any, Any]


class Payload:
    """The inputs of a dataset version, or of made probes, by index. Made by `open_payload`.

    Safe to share between threads; keeps one memory-mapped file open.

    Attributes
    ----------
    folder : Path
    form : Form
    num_rows : int
    columns : tuple of Column
        Of a table; empty otherwise.
    """

    def __init__(self, folder: Path, meta: Meta) -> None:
        self.folder = folder
        self.form = meta.form
        self.num_rows = meta.num_rows
        self.columns: tuple[Column, ...] = meta.columns
        self._starts = meta.batch_starts

    @property
    def modality(self) -> str:
        """image, text, table or vector."""
        return self.form.modality

    @cached_property
    def array(self) -> Array:
        """All rows, memory-mapped and read-only: uint8 [N, H, W, C] or float32 [N, d].

        Raises
        ------
        NotFound
            The payload is not an array; read it by `batches`.
        """
        if not self.form.is_array:
            raise NotFound(f"A payload of {self.form} holds no array; read it by batches.")
        try:
            mode: Literal["r"] | None = "r" if self.num_rows else None  # nothing cannot be mapped
            array: Array = np.load(self.folder / self.form.file_name, mmap_mode=mode, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise _damaged(self.folder, error) from error
        if len(array) != self.num_rows:
            raise _damaged(self.folder, f"{len(array)} rows, {self.num_rows} expected")
        return array

    def picture(self, index: int) -> Image.Image:
        """The picture of an example, in mode `L` or `RGB`."""
        return self._picture(index, None)

    def thumbnail(self, index: int, size: int) -> bytes:
        """PNG bytes with neither side above `size` pixels."""
        return to_png(self._picture(index, (size, size)), size)

    def text(self, index: int) -> str:
        """The whole text of an example."""
        self._must_be(Form.TEXTS, index)
        return str(self._cell(index, "text"))

    def values(self, index: int) -> dict[str, Any]:
        """Column names and values of a table row (None where missing), or positions and values of a vector."""
        self._check(index)
        if self.form is Form.VALUES:
            return {str(place): float(value) for place, value in enumerate(self.array[index])}
        self._must_be(Form.TABLE, index)
        return {column.name: self._cell(index, column.name) for column in self.columns}

    def preview(self, index: int) -> dict[str, Any]:
        """What a list shows beside the label: `text` (its beginning), or `values`; nothing for pictures."""
        if self.modality == "text":
            text = self.text(index)
            short = text if len(text) <= _PREVIEW_CHARACTERS else text[: _PREVIEW_CHARACTERS - 1] + "…"
            return {"text": short}
        if self.modality == "vector":
            self._check(index)
            return {"values": {str(p): float(v) for p, v in enumerate(self.array[index, :_PREVIEW_VALUES])}}
        return {"values": self.values(index)} if self.modality == "table" else {}

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The record batches of a payload that is no array, in order."""
        for number in range(len(self._starts) - 1):
            yield self._batch(number)

    def column(self, name: str, rows: Sequence[int] | Array | None = None) -> list[Any]:
        """One column as Python values: of all rows, or of these in this order."""
        if rows is not None:
            return [self._cell(int(row), name) for row in rows]
        return [value for batch in self.batches() for value in batch.column(name).to_pylist()]

    def _picture(self, index: int, near: tuple[int, int] | None) -> Image.Image:
        self._check(index)
        if self.form is Form.PIXELS:
            return from_pixels(self.array[index])
        self._must_be(Form.PICTURES, index)
        return decode(self._cell(index, "image"), near=near)

    def _cell(self, index: int, column: str) -> Any:
        self._check(index)
        number = bisect_right(self._starts, index) - 1
        return self._batch(number).column(column)[index - self._starts[number]].as_py()

    def _batch(self, number: int) -> pa.RecordBatch:
        try:
            return self._reader.get_batch(number)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self.folder, error) from error

    @cached_property
    def _reader(self) -> pa.RecordBatchFileReader:
        try:
            return pa.ipc.open_file(pa.memory_map(str(self.folder / ROWS), "r"))
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self.folder, error) from error

    def _check(self, index: int) -> None:
        if not 0 <= index < self.num_rows:
            raise NotFound(f"There is no row {index}; there are {self.num_rows}, counted from 0.")

    def _must_be(self, form: Form, index: int) -> None:
        if self.form is not form:
            raise NotFound(f"Row {index} is of modality {self.modality}; it has no {form}.")


def open_payload(folder: Path) -> Payload:
    """Open the payload in a folder; its file is mapped at the first read.

    Raises
    ------
    DataFolderError
        There is none, or it is damaged.
    """
    return Payload(folder, Meta.read(folder))


def _damaged(folder: Path, reason: object) -> DataFolderError:
    return DataFolderError(
        f"The payload in {folder.name!r} is damaged ({reason}). Restore its folder from a backup, or register "
        "the dataset again under another name."
    )
