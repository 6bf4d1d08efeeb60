"""③ The sums of an epoch by row, in host memory: batches are copied as they come and added up many at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sondage.recorder.channels import COUNT
from sondage.recorder.checks import check_integers, check_rows, row_limit
from sondage.types import AnyArray

STAGED_VALUES = 8192
"""Values that wait to be added up: at 128 a batch, one pass over the sums in 64 steps."""
FIRST_CAPACITY = 1024


def summed_dtypes(dtypes: Mapping[str, str]) -> dict[str, str]:
    """In what each channel is kept during an epoch: floating ones as sums in float32. The count is kept apart."""
    return {
        name: "float32" if dtype.startswith("float") else dtype
        for name, dtype in dtypes.items()
        if name != COUNT
    }


class HostSums:
    """Per row the sum of each floating channel, the last value of each other one, and how often it was seen.

    Parameters
    ----------
    num_rows : int or None
        None: not known yet; the arrays grow with the rows that are seen.
    dtypes : mapping of name to dtype
        The run's channels.
    """

    def __init__(self, num_rows: int | None, dtypes: Mapping[str, str]) -> None:
        self._num_rows = num_rows
        self._limit = row_limit(num_rows)
        self._dtypes = summed_dtypes(dtypes)
        self._integers = {name: dtype for name, dtype in self._dtypes.items() if dtype.startswith("int")}
        self._rows = np.empty(STAGED_VALUES, np.int64)
        self._unsigned = self._rows.view(np.uint64)
        self._ones = np.ones(STAGED_VALUES, np.int32)
        self._staged = {name: np.empty(STAGED_VALUES, dtype) for name, dtype in self._dtypes.items()}
        self.reset()

    def reset(self) -> None:
        """Every row is unseen. What was handed out stays as it is."""
        size = FIRST_CAPACITY if self._num_rows is None else self._num_rows
        self._filled = 0
        self._seen_rows = 0
        self._count = np.zeros(size, np.int32)
        self._sums: dict[str, AnyArray] = {
            name: np.zeros(size, dtype) if dtype == "float32" else np.full(size, -1, dtype)
            for name, dtype in self._dtypes.items()
        }

    def log(self, rows: AnyArray, values: Mapping[str, AnyArray]) -> None:
        """Copy a batch, which is not looked at again.

        Parameters
        ----------
        rows : integers, shape (B,), B at least 1
        values : mapping of name to array, shape (B,)
            Every channel but the count. Floating ones are float32, or of a type that float32 holds.

        Raises
        ------
        InvalidInput
            A row is out of range, or an integer beyond what its channel holds; nothing of the batch was taken.
        """
        if self._integers:
            self._check_integers(values)
        size = len(rows)
        end = self._filled + size
        if end > STAGED_VALUES:
            self._add_staged()
            if size > STAGED_VALUES:
                self._log_large(rows, values)
                return
            end = size
        start = end - size
        self._rows[start:end] = rows
        # As an unsigned number, a row below 0 is beyond all others: one look for both ends. `argmax` takes a quarter
        # of the time of `max`, which goes through the machinery of a ufunc.
        unsigned = self._unsigned[start:end]
        high = unsigned.item(unsigned.argmax())
        if high >= self._limit:
            self.check_rows(self._rows[start:end])
        if high >= self._seen_rows:
            self._seen_rows = high + 1
        for name, staged in self._staged.items():
            staged[start:end] = values[name]
        self._filled = end

    def take(self) -> tuple[dict[str, AnyArray], AnyArray]:
        """The sums and the count, both of shape (num_rows,), and start anew."""
        self._add_staged()
        n = self._seen_rows if self._num_rows is None else self._num_rows
        taken = {name: sums[:n] for name, sums in self._sums.items()}, self._count[:n]
        self.reset()
        return taken

    def check_rows(self, rows: AnyArray) -> None:
        """Raises InvalidInput where one is out of range."""
        check_rows(int(rows.min()), int(rows.max()), self._num_rows)

    def _check_integers(self, values: Mapping[str, AnyArray]) -> None:
        for name, dtype in self._integers.items():
            array = values[name]
            if array.dtype != dtype:
                check_integers(name, array.item(array.argmin()), array.item(array.argmax()), dtype)

    def _log_large(self, rows: AnyArray, values: Mapping[str, AnyArray]) -> None:
        self.check_rows(rows)
        self._seen_rows = max(self._seen_rows, int(rows.max()) + 1)
        self._add(np.asarray(rows, np.int64), values, np.ones(len(rows), np.int32))

    def _add_staged(self) -> None:
        filled, self._filled = self._filled, 0
        if filled:
            staged = {name: values[:filled] for name, values in self._staged.items()}
            self._add(self._rows[:filled], staged, self._ones[:filled])

    def _add(self, rows: AnyArray, values: Mapping[str, AnyArray], ones: AnyArray) -> None:
        self._make_room()
        np.add.at(self._count, rows, ones)
        with np.errstate(all="ignore"):  # losses that are not finite are recorded as such
            for name, sums in self._sums.items():
                if sums.dtype.kind == "f":
                    np.add.at(sums, rows, np.asarray(values[name], np.float32))
                else:
                    sums[rows] = values[name]

    def _make_room(self) -> None:
        if self._seen_rows <= len(self._count):
            return
        more = max(self._seen_rows, 2 * len(self._count)) - len(self._count)
        self._count = np.pad(self._count, (0, more))
        for name, sums in self._sums.items():
            self._sums[name] = np.pad(sums, (0, more), constant_values=0 if sums.dtype.kind == "f" else -1)
