"""④ Probes made of table rows and of vectors: jittered and resampled values; and columns permuted apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray, Vectors


@dataclass(frozen=True)
class TableInputs:
    """Rows of a table.

    Parameters
    ----------
    numeric : float array, shape (n, columns)
        NaN where a number is missing.
    codes : int array, shape (n, other columns)
        Numbers of categorical values from 0; −1 where one is missing.
    """

    numeric: AnyArray
    codes: AnyArray

    def __post_init__(self) -> None:
        shapes = self.numeric.shape, self.codes.shape
        if self.numeric.ndim != 2 or self.codes.ndim != 2 or len(self.numeric) != len(self.codes):
            raise InvalidInput(f"Numeric columns and codes must be [n, columns] with one n; got {shapes}.")

    def __len__(self) -> int:
        return len(self.numeric)


def corrupt_table(
    rows: TableInputs, reference: TableInputs, rng: np.random.Generator, *, strength: float
) -> TableInputs:
    """Jitter numbers and resample categories; what is missing stays missing.

    Parameters
    ----------
    rows, reference : TableInputs
    strength : float
        In (0, 1]. Numbers move by N(0, (strength · the column's standard deviation in `reference`)²). Each
        category is drawn again, with probability `strength`, from the column's values in `reference`.
    """
    numeric = corrupt_vectors(rows.numeric, reference.numeric, rng, strength=strength)
    drawn = _draw_columns(reference.codes, len(rows), rng)
    again = (rng.random(rows.codes.shape) < strength) & (rows.codes >= 0)
    return TableInputs(numeric, np.where(again, drawn, rows.codes).astype(rows.codes.dtype))


def scramble_table(rows: TableInputs, reference: TableInputs, rng: np.random.Generator) -> TableInputs:
    """Every value from another random row of `reference`: columns keep their distribution, rows their sense not."""
    return TableInputs(
        scramble_vectors(rows.numeric, reference.numeric, rng),
        _draw_columns(reference.codes, len(rows), rng).astype(rows.codes.dtype),
    )


def corrupt_vectors(
    vectors: Vectors, reference: Vectors, rng: np.random.Generator, *, strength: float
) -> Vectors:
    """Add N(0, (strength · the dimension's standard deviation in `reference`)²) to every value."""
    moves = rng.standard_normal(vectors.shape) * (strength * _column_std(reference))
    return np.asarray(vectors + moves, dtype=vectors.dtype)


def scramble_vectors(vectors: Vectors, reference: Vectors, rng: np.random.Generator) -> Vectors:
    """As many vectors, every value from that dimension of another random vector of `reference`."""
    return np.asarray(_draw_columns(reference, len(vectors), rng), dtype=vectors.dtype)


def _draw_columns(reference: AnyArray, num_rows: int, rng: np.random.Generator) -> AnyArray:
    if not len(reference):
        raise InvalidInput("There are no reference rows to draw from.", field="reference")
    source = rng.integers(len(reference), size=(num_rows, reference.shape[1]))
    return np.take_along_axis(reference, source, axis=0)


def _column_std(reference: AnyArray) -> AnyArray:
    """Per column, over the numbers that are there; 0 for a column without any."""
    there = ~np.isnan(reference)
    num = np.maximum(there.sum(axis=0), 1)
    values = np.where(there, reference, 0.0).astype(np.float64)
    mean = values.sum(axis=0) / num
    return np.asarray(np.sqrt((np.where(there, values - mean, 0.0) ** 2).sum(axis=0) / num))
