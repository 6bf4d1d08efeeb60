"""③ One epoch of curves in host memory, for loops that work with NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sondage.recorder.channels import COUNT, DEFAULT_CHANNELS, channel_dtypes, finished_channels
from sondage.recorder.checks import check_batch, check_labels
from sondage.recorder.sums import HostSums, summed_dtypes
from sondage.types import AnyArray


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
        self._sums = HostSums(num_rows, self._dtypes)
        self._usual = summed_dtypes(self._dtypes)

    def log(self, rows: Any, logits: Any = None, labels: Any = None, loss: Any = None, **values: Any) -> None:
        """Take one batch. Arrays have one entry per example, `logits` one row per example."""
        self.log_batch(rows, logits, labels, values if loss is None else {"loss": loss, **values})

    def log_batch(self, rows: Any, logits: Any, labels: Any, given: dict[str, Any]) -> None:
        """As `log`, with what there is by name in one mapping."""
        known = self._labels is not None
        check_batch(rows, logits, labels, given, self._dtypes, _kind_of, labels_known=known)
        if not len(rows):
            return
        if logits is not None and not self._dtypes.keys() <= {*given, COUNT}:
            self._sums.check_rows(rows)
            given = {**self._worked_out(rows, logits, labels), **given}
        self._sums.log(rows, {name: _held(array) for name, array in given.items()})

    def log_usual(self, rows: Any, values: dict[str, Any]) -> bool:
        """Take a batch of arrays of the usual kinds of numbers; False where there is more to look at."""
        usual = self._usual
        if type(rows) is not np.ndarray or rows.dtype != np.int64 or len(values) != len(usual):
            return False
        shape = rows.shape
        if len(shape) != 1 or not shape[0]:
            return False
        for name, array in values.items():
            if type(array) is not np.ndarray or array.dtype != usual.get(name) or array.shape != shape:
                return False
        self._sums.log(rows, values)
        return True

    def collect(self) -> tuple[dict[str, AnyArray], AnyArray]:
        """The epoch's channels and how often each row was seen, both of shape (num_rows,); starts the next."""
        sums, count = self._sums.take()
        return finished_channels(sums, count, self._dtypes), count

    def reset(self) -> None:
        """Forget the epoch so far."""
        self._sums.reset()

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


def _held(array: AnyArray) -> AnyArray:
    """Floating numbers as float32 has them: what is too large for it is infinite."""
    if array.dtype.kind != "f" or array.dtype == np.float32:
        return array
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _kind_of(array: AnyArray) -> str:
    return "i" if array.dtype.kind in "iu" else array.dtype.kind
