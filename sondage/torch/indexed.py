"""① Datasets that say which row each example is, and batches that keep the rows out of the model's inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset, default_collate

from sondage.errors import InvalidInput, Unsupported

ROW = "row"
"""The key, or attribute, under which an example of an `Indexed` dataset carries its row."""


class Indexed(Dataset[Any]):
    """A map-style dataset whose examples also say their row.

    A tuple or list gets the row as one more entry at its end: `for images, labels, rows in loader`. A mapping gets
    it under the key `row`. Anything else, such as an object, a named tuple or a tensor, comes as `(example, row)`;
    batch objects with `collate`, or with a collate function of your own.

    Parameters
    ----------
    dataset : map-style dataset
        With `__getitem__` and `__len__`. One that is `Indexed` already, or a `Subset` of such a one, keeps its rows.
    rows : sequence of int, optional
        The row of each example where `dataset` is a part of the recorded one. A `torch.utils.data.Subset` knows
        its rows by itself.
    key : str
        Under which a mapping carries the row.

    Examples
    --------
    >>> loader = DataLoader(Indexed(dataset), batch_size=128, shuffle=True)
    >>> for images, labels, rows in loader: ...
    """

    def __init__(self, dataset: Any, *, rows: Sequence[int] | None = None, key: str = ROW) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise Unsupported(
                "An iterable dataset has no rows: yield the row with each example yourself and log it.",
                field="dataset",
            )
        examples, known = _parted(dataset)
        rows = known if rows is None else rows
        if rows is not None and len(rows) != len(dataset):
            raise InvalidInput(
                f"There are {len(dataset)} examples and {len(rows)} rows: give one for each.", field="rows"
            )
        self.dataset = dataset
        self._examples = examples
        self._rows = rows
        self._key = key

    def with_key(self, key: str) -> Self:
        """The same examples and rows, mappings with their row under another key."""
        other = copy(self)
        other._key = key
        return other

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> Any:
        return self._with_row(self._examples[position], self._row(position))

    def __getitems__(self, positions: Sequence[int]) -> list[Any]:
        """Many at once, where the dataset can; loaders ask for it."""
        fetch = getattr(self._examples, "__getitems__", None)
        found = fetch(list(positions)) if fetch else [self._examples[position] for position in positions]
        return [self._with_row(one, self._row(at)) for one, at in zip(found, positions, strict=True)]

    def __getattr__(self, name: str) -> Any:
        # What the dataset offers beside (classes, targets) stays within reach. Unpickling asks before there is one.
        if name.startswith("__") or "dataset" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def _row(self, position: int) -> int:
        if position < 0:
            position += len(self)
        return int(position if self._rows is None else self._rows[position])

    def _with_row(self, example: Any, row: int) -> Any:
        if isinstance(example, Mapping):
            if self._key in example:
                raise InvalidInput(
                    f"Examples have something under {self._key!r} already: choose another Indexed(key=…).",
                    field="key",
                )
            return {**example, self._key: row}
        if isinstance(example, tuple | list) and not hasattr(example, "_fields"):
            return (*example, row)
        return WithRow(example, row)


class WithRow(NamedTuple):
    """An example that has no place for a row of its own."""

    example: Any
    row: int


class Batch(NamedTuple):
    """What `collate` gives: the batch as it would be without rows, and the rows."""

    inputs: Any
    rows: Tensor


def collate(
    collate_fn: Callable[[list[Any]], Any] = default_collate, *, key: str = ROW
) -> Callable[[list[Any]], Batch]:
    """A collate function for examples of `Indexed` that keeps the rows out of the model's inputs.

    Parameters
    ----------
    collate_fn : callable
        Gets the examples as the dataset gave them, without rows.

    Examples
    --------
    >>> loader = DataLoader(Indexed(dataset), collate_fn=collate(tokenise_and_pad))
    >>> for batch, rows in loader: ...
    """
    return _Collate(collate_fn, key)


class _Collate:
    """A class and not a closure: loaders that spawn their workers pickle it."""

    def __init__(self, collate_fn: Callable[[list[Any]], Any], key: str) -> None:
        self._collate_fn = collate_fn
        self._key = key

    def __call__(self, examples: list[Any]) -> Batch:
        parted = [_without_row(example, self._key) for example in examples]
        rows = torch.tensor([row for _, row in parted], dtype=torch.int64)
        return Batch(self._collate_fn([example for example, _ in parted]), rows)


def _without_row(example: Any, key: str) -> tuple[Any, int]:
    if isinstance(example, Mapping):
        return {name: value for name, value in example.items() if name != key}, example[key]
    if isinstance(example, WithRow):
        return example.example, example.row
    return tuple(example[:-1]), example[-1]


def without_rows(dataset: Any) -> tuple[Any, Sequence[int] | None]:
    """The examples as they are beneath an `Indexed`, and their rows where it is told any.

    A `Subset` of anything else stays as it is: it may be all that is recorded.
    """
    examples, rows = _parted(dataset)
    return (dataset, None) if examples is dataset else (examples, rows)


def _parted(dataset: Any) -> tuple[Any, Sequence[int] | None]:
    """The examples without rows, and their rows where the dataset knows any: a subset is about those of the whole."""
    if isinstance(dataset, Indexed):
        return dataset._examples, dataset._rows
    if not isinstance(dataset, Subset):
        return dataset, None
    inner, known = _parted(dataset.dataset)
    rows = dataset.indices if known is None else [known[position] for position in dataset.indices]
    return dataset if inner is dataset.dataset else Subset(inner, dataset.indices), rows
