"""① Sources of probes: examples of the user's own, labelled in the classes of another dataset, each with a category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from sondage.errors import InvalidInput, InvalidRows, RowError
from sondage.probes.categories import Category, unknown_category
from sondage.probes.generators import random_labels
from sondage.types import Rows
from worker.data.sources.columns import valid_text
from worker.data.sources.model import Faults, Opened

USUAL_COLUMN = "category"
MAX_EXAMPLES = 100_000
"""Each is planted in every run: more would be another dataset."""


LISTED_ROWS = 100
TOLD_ROWS = 10


def not_probes(faults: Sequence[RowError], number: int) -> InvalidRows:
    """All that is wrong with some examples: in words the first ten, as rows the first hundred."""
    told = [f"- {fault.message}" for fault in faults[:TOLD_ROWS]]
    more = [f"- and {number - TOLD_ROWS:,} more"] if number > TOLD_ROWS else []
    head = f"{number:,} of the examples cannot be probes, and nothing was stored:"
    return InvalidRows("\n".join([head, *told, *more]), list(faults[:LISTED_ROWS]), num_rejected=number)


@dataclass(frozen=True)
class ProbeSource:
    """What a source of probes is read for.

    Attributes
    ----------
    class_names : sequence of str
        Of the dataset that the probes are for. A label is one of these names, or a number from 0 in their order.
    categories : mapping by name
        Those that an example may have.
    category : str, optional
        Of all examples, where the source does not say.
    category_column : str, optional
        Name of the column that says; `category` if there is one. In an `.npz`, the array `categories_train`.
    label_names : mapping
        The source's word for a label to the dataset's class.
    seed : int, optional
        Draw the labels at random over the classes, whatever the source says. For foreign inputs, which have none.
    """

    class_names: Sequence[str]
    categories: Mapping[str, Category]
    category: str | None = None
    category_column: str | None = None
    label_names: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.label_names.values()) - set(self.class_names))
        if unknown:
            raise InvalidInput(
                f"label_names leads to {unknown[0]!r}, which is no class of the dataset; its classes: "
                f"{_few(self.class_names)}.",
                field="label_names",
            )
        if self.category is not None and self.category not in self.categories:
            raise InvalidInput(unknown_category(self.category), field="category")

    def column(self, table: pa.Table) -> str | None:
        """The column that says the category, if any."""
        if self.category_column is not None or self.category is not None:
            return self.category_column
        return USUAL_COLUMN if USUAL_COLUMN in table.column_names else None

    def applied(self, opened: Opened, names: Sequence[str] | None) -> Opened:
        """The source with labels in words of the dataset's classes; all of it is planted, so it has one split.

        Parameters
        ----------
        names : sequence of str, optional
            What the numbers among the source's labels stand for; what it declares itself when not given.

        Raises
        ------
        InvalidInput
            There are too many examples, or nothing says what they are.
        """
        if opened.num_rows > MAX_EXAMPLES:
            raise InvalidInput(
                f"The source has {opened.num_rows:,} rows; a suite holds at most {MAX_EXAMPLES:,} examples.",
                field="path",
            )
        if self.category is None and opened.categories is None:
            raise InvalidInput(
                "Nothing says of which category the examples are: name one for all, or add a column (in an .npz the "
                f"array categories_train) {USUAL_COLUMN!r}.",
                field="category",
            )
        words = opened.num_rows * ["train"]
        return replace(
            opened,
            labels=self._labels(opened, names or opened.label_names),
            label_names=list(self.class_names),
            splits=pa.chunked_array([pa.array(words, pa.string())]),
        )

    def categories_of(self, opened: Opened, rows: Rows, faults: Faults) -> list[str]:
        """The category of every row; rows without a known one are told."""
        if self.category is not None:
            return [self.category] * opened.num_rows
        column = opened.categories
        if column is None or not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            kind = None if column is None else column.type
            raise InvalidInput(f"Categories are of type {kind}; words are needed.", field="category_column")
        found = valid_text(column.combine_chunks(), rows, faults, "category").to_pylist()
        for row in rows.tolist():
            if not found[row]:
                faults.add(row, "missing_category", "it has no category.")
            elif found[row] not in self.categories:
                faults.add(row, "unknown_category", unknown_category(found[row]))
        return ["" if word is None else word for word in found]

    def _labels(self, opened: Opened, names: Sequence[str] | None) -> pa.ChunkedArray:
        if self.seed is not None:
            drawn = random_labels(
                opened.num_rows, len(self.class_names), np.random.default_rng([0x50D46E, self.seed])
            )
            return pa.chunked_array([pa.array(drawn)])
        column = opened.labels
        if pa.types.is_dictionary(column.type):
            column = pa.chunked_array([column.combine_chunks().dictionary_decode()])
        if not (names or self.label_names) or pa.types.is_nested(column.type):
            return column
        return pa.chunked_array(
            [pa.array([self._word(one, names) for one in column.to_pylist()], pa.string())]
        )

    def _word(self, label: Any, names: Sequence[str] | None) -> str | None:
        if isinstance(label, bytes):
            label = label.decode("utf-8", "replace")
        if label is None or label == "":
            return None
        if names is not None and isinstance(label, int):
            label = names[label] if 0 <= label < len(names) else label
        return self.label_names.get(str(label), str(label))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
