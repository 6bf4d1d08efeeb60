"""③ Curves that were kept elsewhere: channels over rows and epochs, and what the rows are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sondage.errors import InvalidInput
from sondage.loops import Recording
from sondage.types import AnyArray, Labels, Mask


@dataclass(frozen=True)
class Records:
    """Curves from a file.

    Parameters
    ----------
    channels : mapping of name to array, shape (num_rows, num_epochs)
        float32, NaN where there is no record; or integers, −1 there.
    seen : bool array, shape (num_rows, num_epochs)
        There is a record.
    epochs : tuple of int
        What the file calls the epochs; they are recorded as 0, 1, …
    keys : list of str, or None
        The user's id of each row. None: a row is the position of its example in the dataset.
    labels : int64 array, shape (num_rows,), or None
    class_names : list of str, or None
    """

    channels: Mapping[str, AnyArray]
    seen: Mask
    epochs: tuple[int, ...]
    keys: list[str] | None = None
    labels: Labels | None = field(default=None, repr=False)
    class_names: list[str] | None = None

    @property
    def num_rows(self) -> int:
        return int(self.seen.shape[0])

    @property
    def dtypes(self) -> dict[str, str]:
        """For `sondage.init(channels=…)`."""
        return {name: values.dtype.name for name, values in self.channels.items()}

    def record(self, run: Recording, rows: AnyArray | None = None) -> None:
        """Log all epochs that the run has not closed. `rows`: where each row of the file is in the dataset."""
        places = np.arange(self.num_rows) if rows is None else rows
        for epoch in range(run.next_epoch, len(self.epochs)):
            there = np.flatnonzero(self.seen[:, epoch])
            run.log(
                rows=places[there],
                **{name: values[there, epoch] for name, values in self.channels.items()},
            )
            run.end_epoch()


def class_numbers(labels: Any, class_names: Any = None) -> tuple[Labels | None, list[str] | None]:
    """Labels as class numbers, and the names of the classes.

    Whole numbers from 0 are class numbers as they are; anything else is named by its text, in sorted order.

    Raises
    ------
    InvalidInput
        A label is missing or is none of `class_names`.
    """
    if labels is None:
        return None, None
    given = np.asarray(labels)
    names = None if class_names is None else [str(name) for name in class_names]
    if given.dtype.kind in "iu":
        if given.min() < 0 or (names is not None and given.max() >= len(names)):
            raise InvalidInput(
                f"Labels {given.min()}…{given.max()} were read; class numbers begin at 0, and each has a name if any "
                "has.",
                field="labels",
            )
        return given.astype(np.int64), names
    texts = [str(label) for label in given.tolist()]
    known = sorted(set(texts)) if names is None else names
    number = {name: position for position, name in enumerate(known)}
    if unknown := sorted(set(texts) - set(known)):
        raise InvalidInput(f"The label {unknown[0]!r} is none of class_names.", field="labels")
    return np.array([number[text] for text in texts], dtype=np.int64), known
