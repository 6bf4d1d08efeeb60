"""① Inputs that come as arrays: pictures of one size, and vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sondage.errors import InvalidInput
from sondage.types import AnyArray, Rows
from store.payloads import Form, PayloadWriter
from worker.data.sources.model import Faults, take_near

BLOCK_BYTES = 16 * 1024 * 1024


class ArrayInputs:
    """Pictures uint8 (N, H, W, C) or vectors float32 (N, d), read block by block.

    Parameters
    ----------
    modality : {"image", "vector"}
    row_shape : tuple of int
        (H, W, C) or (d,).
    stream : callable
        Gives the blocks, in order; their rows may have other types or axes of length 1.
    """

    def __init__(
        self,
        modality: Literal["image", "vector"],
        row_shape: tuple[int, ...],
        stream: Callable[[], Iterable[AnyArray]],
    ) -> None:
        self.modality: str = modality
        self._row_shape = row_shape
        self._stream = stream

    def announce(self, writer: PayloadWriter) -> None:
        form = Form.PIXELS if self.modality == "image" else Form.VALUES
        writer.start(form, row_shape=self._row_shape)

    def blocks(self, rows: Rows, faults: Faults) -> Iterator[tuple[Rows, AnyArray]]:
        start = 0
        for block in self._stream():
            low, high = np.searchsorted(rows, [start, start + len(block)])
            if low < high:
                chosen = rows[low:high]
                yield self._checked(chosen, block[chosen - start], faults)
            start += len(block)

    def _checked(self, rows: Rows, block: AnyArray, faults: Faults) -> tuple[Rows, AnyArray]:
        block = block.reshape(len(block), *self._row_shape)
        return (rows, block) if self.modality == "image" else finite_vectors(rows, block, faults)


def finite_vectors(rows: Rows, values: AnyArray, faults: Faults) -> tuple[Rows, AnyArray]:
    """Vectors as float32, without those that hold NaN or infinity (or do once they are float32)."""
    with np.errstate(over="ignore"):  # what overflows is told as infinite
        vectors = values.astype(np.float32)
    good = np.isfinite(vectors).all(axis=1)
    for place in np.flatnonzero(~good):
        position = int(np.flatnonzero(~np.isfinite(vectors[place]))[0])
        faults.add(
            rows[place], "not_finite", f"its vector holds {vectors[place, position]} at position {position}."
        )
    return rows[good], vectors[good]


def as_blocks(array: AnyArray) -> Iterator[AnyArray]:
    """An array in blocks of bounded size."""
    step = max(1, BLOCK_BYTES // max(1, array.nbytes // max(1, len(array))))
    for start in range(0, len(array), step):
        yield array[start : start + step]


class ListVectors:
    """Vectors in a column of lists, one list per row."""

    modality = "vector"

    def __init__(self, column: pa.ChunkedArray, name: str) -> None:
        self._column = column
        self._name = name
        lengths = pc.value_counts(pc.list_value_length(column).drop_null()).to_pylist()
        if not lengths:
            raise InvalidInput(f"Column {name!r} is empty in every row.", field="input_columns")
        self._length = max(lengths, key=lambda item: item["counts"])["values"]
        if not self._length:
            raise InvalidInput(f"The vectors in column {name!r} have no values.", field="input_columns")

    def announce(self, writer: PayloadWriter) -> None:
        writer.start(Form.VALUES, row_shape=(self._length,))

    def blocks(self, rows: Rows, faults: Faults) -> Iterator[tuple[Rows, AnyArray]]:
        step = max(1, BLOCK_BYTES // (8 * self._length))
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step]
            lists = take_near(self._column, chosen).combine_chunks()
            lengths = pc.fill_null(pc.list_value_length(lists), -1).to_numpy(zero_copy_only=False)
            for place in np.flatnonzero(lengths != self._length):
                faults.add(
                    chosen[place],
                    "wrong_length",
                    f"column {self._name!r} holds {max(0, lengths[place])} values; {self._length} are usual here.",
                )
            good = lengths == self._length
            values: Any = pc.list_flatten(lists.filter(pa.array(good))).cast(pa.float64(), safe=False)
            flat = values.to_numpy(zero_copy_only=False).reshape(-1, self._length)
            yield finite_vectors(chosen[good], flat, faults)
