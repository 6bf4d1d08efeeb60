"""① The examples of a run that was recorded elsewhere: labels, ids and splits, and nothing of the inputs."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from sondage.bounds import (
    MAX_CLASSES,
    MAX_EXAMPLES,
    MAX_KEY_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MIN_CLASSES,
    is_key,
    is_key_text,
    is_utf8,
)
from sondage.errors import InvalidInput
from sondage.recorder.arrow import Column, arrow_stream
from sondage.types import AnyArray, Labels, Mask

SPLITS = ("train", "validation", "test")
SHOWN_CHARACTERS = 60
"""Of a wrong text in a message."""


class Examples:
    """What `init` was told of the examples.

    Attributes
    ----------
    num_examples : int or None
        None where only a name was given: the server knows.
    labels : array of int64, shape (num_examples,), or None
    class_names : list of str or None
    """

    def __init__(
        self,
        *,
        labels: Any = None,
        ids: Any = None,
        num_examples: int | None = None,
        class_names: Sequence[str] | None = None,
        splits: Any = None,
    ) -> None:
        self.labels = None if labels is None else _labels(labels)
        self._ids = None if ids is None else _ids(ids)
        self._splits = None if splits is None else _texts("splits", splits)
        self.class_names = None if class_names is None else _class_names(class_names, self.labels)
        number = None if num_examples is None else whole("num_examples", num_examples, MAX_EXAMPLES)
        self.num_examples = self._agreed_number(number)
        self._row_of: dict[str, int] | None = None
        self._check_splits()
        self._check_classes()

    @property
    def num_classes(self) -> int | None:
        if self.class_names is not None:
            return len(self.class_names)
        return None if self.labels is None else int(self.labels.max()) + 1

    @property
    def num_train(self) -> int | None:
        """Examples of the train split, which is all of them where no split is given."""
        return self.num_examples if self._splits is None else self._splits.count("train")

    def is_train(self, num_examples: int) -> Mask:
        """Which of so many examples are of the train split; all where no split is given."""
        if self._splits is None:
            return np.ones(num_examples, dtype=bool)
        return np.array([split == "train" for split in self._splits])

    def rows_of(self, keys: Any) -> AnyArray:
        """Rows of the ids that a batch names.

        Raises
        ------
        InvalidInput
            No ids are known, or one of these is not among them.
        """
        known = self._rows_by_key()
        found = [known.get(key, -1) for key in _texts("keys", keys)]
        if -1 in found:
            unknown = _texts("keys", keys)[found.index(-1)]
            raise InvalidInput(f"The dataset has no example with the id {unknown!r}.", field="keys")
        return np.array(found, dtype=np.int64)

    def to_arrow(self) -> bytes | None:
        """What makes the dataset on the server; None where it was registered before."""
        if self.labels is None:
            return None
        columns: dict[str, Column] = {"label": self.labels}
        if self._ids is not None:
            columns["key"] = self._ids
        if self._splits is not None:
            columns["split"] = self._splits
        names = {} if self.class_names is None else {"class_names": json.dumps(self.class_names)}
        return arrow_stream(columns, names)

    def digests(self) -> dict[str, str]:
        """SHA-256 (hex) of each argument of `init` that says which examples these are; of those that were given.

        That of `ids` is what the server says of the keys of a dataset: each with a line's end behind it.
        """
        found = {}
        if self.labels is not None:
            found["labels"] = hashlib.sha256(self.labels.astype("<i8").tobytes()).hexdigest()
        for name, texts in (("ids", self._ids), ("splits", self._splits)):
            if texts is not None:
                found[name] = hashlib.sha256("".join(f"{text}\n" for text in texts).encode()).hexdigest()
        if self.class_names is not None:
            found["class_names"] = hashlib.sha256(json.dumps(self.class_names).encode()).hexdigest()
        return found

    def _rows_by_key(self) -> dict[str, int]:
        if self._ids is None:
            raise InvalidInput(
                "keys= needs the ids of the examples: pass init(ids=…), of a dataset that is registered "
                "ids=Client().datasets.keys(NAME), or log rows=.",
                field="keys",
            )
        if self._row_of is None:
            self._row_of = {key: row for row, key in enumerate(self._ids)}
        return self._row_of

    def _agreed_number(self, num_examples: int | None) -> int | None:
        lengths = {
            "labels": None if self.labels is None else len(self.labels),
            "ids": None if self._ids is None else len(self._ids),
            "splits": None if self._splits is None else len(self._splits),
            "num_examples": num_examples,
        }
        given = {name: length for name, length in lengths.items() if length is not None}
        if len(set(given.values())) > 1:
            said = ", ".join(f"{name} {length}" for name, length in given.items())
            raise InvalidInput(f"The numbers of examples disagree: {said}.", field=next(iter(given)))
        if given and not 0 < next(iter(given.values())) <= MAX_EXAMPLES:
            raise InvalidInput(
                f"A dataset has at least one example, and at most {MAX_EXAMPLES:,}.", field=next(iter(given))
            )
        if self._ids is not None and len(set(self._ids)) < len(self._ids):
            raise InvalidInput(f"ids are not unique: {_first_twice(self._ids)!r} comes twice.", field="ids")
        return next(iter(given.values()), None)

    def _check_splits(self) -> None:
        unknown = sorted({*(self._splits or ())} - {*SPLITS})
        if unknown:
            raise InvalidInput(f"splits has {unknown[0]!r}; allowed are {', '.join(SPLITS)}.", field="splits")
        if self._splits is not None and "train" not in self._splits:
            raise InvalidInput(
                "splits has no example of train: only those are trained and tagged.", field="splits"
            )

    def _check_classes(self) -> None:
        if self.num_classes is not None and self.num_classes < MIN_CLASSES:
            raise InvalidInput(
                "There is one class, and a classifier needs two: pass the labels of all examples, or class_names.",
                field="labels" if self.class_names is None else "class_names",
            )


def _labels(labels: Any) -> Labels:
    found = _on_host(labels)
    if found.ndim != 1:
        raise InvalidInput(f"labels have shape {found.shape}: one class number per example.", field="labels")
    if not len(found):
        raise InvalidInput("labels is empty: a dataset has at least one example.", field="labels")
    if found.dtype.kind == "f" and np.isnan(found).any():
        first = int(np.flatnonzero(np.isnan(found))[0])
        raise InvalidInput(
            f"labels[{first}] is NaN: every example needs a class number. Leave out those without.",
            field="labels",
        )
    if found.dtype.kind not in "iu":
        raise InvalidInput(f"labels are {found.dtype}: class numbers are integers from 0.", field="labels")
    if found.min() < 0:
        first = int(np.flatnonzero(found < 0)[0])
        raise InvalidInput(f"labels[{first}] is {found[first]}: class numbers begin at 0.", field="labels")
    if found.max() >= MAX_CLASSES:
        first = int(np.flatnonzero(found >= MAX_CLASSES)[0])
        raise InvalidInput(
            f"labels[{first}] is {found[first]}: class numbers are below {MAX_CLASSES:,}; number the classes from 0 "
            "without gaps.",
            field="labels",
        )
    return found.astype(np.int64)


def whole(name: str, value: Any, largest: int) -> int:
    """A count from 1. Raises InvalidInput where it is no whole number, or out of range."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not 0 < number <= largest:
        raise InvalidInput(f"{name} is {value!r}: a whole number from 1 to {largest:,}.", field=name)
    return number


def _ids(ids: Any) -> list[str]:
    found = _texts("ids", ids)
    # All at once first: of a million, none is wrong as a rule.
    if max(map(len, found), default=0) <= MAX_KEY_CHARACTERS and is_key_text("".join(found)):
        return found
    for position, text in enumerate(found):
        if not is_key(text):
            shown = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
            raise InvalidInput(
                f"ids[{position}] is {shown!r}, of {len(text)} signs: an id has 1 to {MAX_KEY_CHARACTERS}, and no "
                "control characters such as a line's end.",
                field="ids",
            )
    return found


def _class_names(names: Sequence[str], labels: Labels | None) -> list[str]:
    if isinstance(names, str) or len(set(names)) != len(list(names)):
        raise InvalidInput("class_names is a list of different names, one per class.", field="class_names")
    found = [str(name) for name in names]
    if len(found) > MAX_CLASSES:
        raise InvalidInput(f"class_names are {len(found):,}: up to {MAX_CLASSES:,}.", field="class_names")
    for position, name in enumerate(found):
        if not _is_class_name(name):
            raise InvalidInput(
                f"class_names[{position}] is {name[:SHOWN_CHARACTERS]!r}: a name has 1 to {MAX_NAME_CHARACTERS:,} "
                "signs that UTF-8 can write, and no NUL.",
                field="class_names",
            )
    if labels is not None and labels.max() >= len(found):
        raise InvalidInput(
            f"labels go up to {labels.max()} and there are {len(found)} class_names: name every class.",
            field="class_names",
        )
    return found


def _is_class_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME_CHARACTERS and "\0" not in name and is_utf8(name)


def _texts(name: str, values: Any) -> list[str]:
    """Ids are text: a number stands for the text that is written like it."""
    if isinstance(values, str):
        raise InvalidInput(f"{name} is one text: pass one for each example.", field=name)
    listed = values if isinstance(values, list | tuple) else _on_host(values).tolist()
    # A missing value of a data frame is not equal to itself.
    empty = [position for position, value in enumerate(listed) if value in (None, "") or value != value]
    if empty:
        raise InvalidInput(f"{name}[{empty[0]}] is empty.", field=name)
    return [str(value) for value in listed]


def _on_host(values: Any) -> AnyArray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _first_twice(texts: Sequence[str]) -> str:
    seen: set[str] = set()
    return next(text for text in texts if text in seen or seen.add(text))  # type: ignore[func-returns-value]  # add returns None
