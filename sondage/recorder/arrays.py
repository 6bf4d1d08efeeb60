"""③ One epoch of curves in host memory, for loops that work with NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sondage.recorder.channels import COUNT, DEFAULT_CHANNELS, channel_dtypes, finished_channels
from sondage.recorder.checks import check_batch, check_labels, check_rows
from sondage.types import AnyArray

_FIRST_CAPACITY = 1024


class ArrayBuffer:
    """What `sondage.torch.EpochBuffer` is for tensors, for NumPy arrays.

    Parameters
    ----------
    num_rows : int or None
        None: not known yet; the buffer grows with the rows that it sees.
    channels : mapping of name to dtype, optional
        loss, margin and predicted when not given. `count` is kept in any case.
    labels : array, shape (num_rows,), optional
        The given labels, for batches that come without.
    """

    def __init__(
        self,
        num_rows: int | None,
        *,
        channels: Mapping[str, str] | None = None,
        labels: AnyArray | None = None,
    ) -> None:
        self.num_rows = num_rows
        self._dtypes = dict(channels or channel_dtypes(DEFAULT_CHANNELS, None))
        self._labels = labels
        self.reset()

    def log(self, rows: Any, logits: Any = None, labels: Any = None, loss: Any = None, **values: Any) -> None:
        """Take one batch. Arrays have one entry per example, `logits` one row per example."""
        given = values if loss is None else {"loss": loss, **values}
        known = self._labels is not None
        check_batch(rows, logits, labels, given, self._dtypes, _kind_of, labels_known=known)
        if not len(rows):
            return
        self._make_room(int(rows.min()), int(rows.max()))
        if logits is not None and not self._dtypes.keys() <= {*given, COUNT}:
            given = {**self._worked_out(rows, logits, labels), **given}
        self._count += np.bincount(rows, minlength=len(self._count)).astype(np.int32)
        for name, sums in self._sums.items():
            if sums.dtype.kind == "f":
                np.add.at(sums, rows, np.asarray(given[name], dtype=np.float32))
            else:
                sums[rows] = given[name]

    def collect(self) -> tuple[dict[str, AnyArray], AnyArray]:
        """The epoch's channels and how often each row was seen, both of shape (num_rows,); starts the next."""
        n = self._seen_rows if self.num_rows is None else self.num_rows
        count = self._count[:n]
        sums = {name: values[:n] for name, values in self._sums.items()}
        self.reset()
        return finished_channels(sums, count, self._dtypes), count

    def reset(self) -> None:
        """Forget the epoch so far."""
        size = _FIRST_CAPACITY if self.num_rows is None else self.num_rows
        self._seen_rows = 0
        self._count = np.zeros(size, np.int32)
        self._sums: dict[str, AnyArray] = {
            name: np.zeros(size, np.float32) if dtype.startswith("float") else np.full(size, -1, dtype)
            for name, dtype in self._dtypes.items()
            if name != COUNT
        }

    def _make_room(self, low: int, high: int) -> None:
        check_rows(low, high, 1 << 40 if self.num_rows is None else self.num_rows)
        self._seen_rows = max(self._seen_rows, high + 1)
        more = max(self._seen_rows, 2 * len(self._count)) - len(self._count)
        if self._seen_rows <= len(self._count):
            return
        self._count = np.pad(self._count, (0, more))
        for name, sums in self._sums.items():
            missing = 0 if sums.dtype.kind == "f" else -1
            self._sums[name] = np.pad(sums, (0, more), constant_values=missing)

    def _worked_out(self, rows: AnyArray, logits: AnyArray, labels: AnyArray | None) -> dict[str, AnyArray]:
        given: AnyArray = np.asarray(self._labels)[rows] if labels is None else labels
        check_labels(int(given.min()), int(given.max()), logits.shape[1])
        return quantities(logits, given)


def quantities(logits: AnyArray, labels: AnyArray) -> dict[str, AnyArray]:
    """Plain cross-entropy in nats, margin and predicted class, as `sondage.torch.losses` defines them."""
    logits = logits.astype(np.float32)
    each = np.arange(len(labels))
    given = logits[each, labels]
    with np.errstate(all="ignore"):  # losses that are not finite are recorded as such
        top = logits.max(axis=1)
        loss = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top - given
        others = logits.copy()
        others[each, labels] = -np.inf
        other = others.argmax(axis=1)
        margin = given - others[each, other]
    return {"loss": loss, "margin": margin, "predicted": np.where(margin > 0, labels, other)}


def _kind_of(array: AnyArray) -> str:
    return "i" if array.dtype.kind in "iu" else array.dtype.kind
