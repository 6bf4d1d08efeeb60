"""③ One epoch of curves, kept on the training device and moved to the host once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sondage.errors import InvalidInput
from sondage.recorder.channels import COUNT, DEFAULT_CHANNELS, channel_dtypes, finished_channels
from sondage.recorder.checks import check_batch, check_integers, check_labels, check_rows
from sondage.recorder.sums import HostSums
from sondage.torch.losses import margin_and_predicted, per_example_loss
from sondage.torch.sums import DeviceSums

# A step only appends to a list; the arithmetic runs for many batches at once. A launch costs about as much
# as a small kernel, so ten launches per step would be several percent of a small model's step on a GPU.
_MAX_PENDING_BATCHES = 64
_MAX_PENDING_VALUES = 1 << 22  # 16 MiB of float32 logits
_SPARE_BYTES = 1 << 16
"""What a kept view may hold of its base beside twice its own size; beyond that a copy costs less than the memory."""
_UNSIGNED = frozenset({torch.uint16, torch.uint32, torch.uint64})
"""Integers that PyTorch stores and hardly computes with."""
_CHANGED = "A tensor was changed in place after it was logged: log a clone of it."


class _Logged(NamedTuple):
    rows: Tensor
    logits: Tensor | None
    labels: Tensor | None
    values: dict[str, Tensor]
    watched: list[Tensor]
    versions: list[int]
    """Torch's own counters of in-place writes to the watched tensors."""
    kind: tuple[object, ...]
    """Batches of one kind can be worked out together."""


class EpochBuffer:
    """Loss, margin, predicted class and channels by name of every row of a run, for one epoch, on one device.

    Parameters
    ----------
    num_rows : int or None
        Rows of the run: the dataset's examples and the made probes. None: not known yet; the buffer grows
        with the rows that it sees, for which rows on a device are waited for now and then.
    num_classes : int, optional
        Decides the integer that holds the predicted class: int16 where it suffices, else int32.
        Unknown means int32.
    device : str or torch.device
        Where the model trains.
    channels : mapping of name to dtype, optional
        loss, margin and predicted when not given.
    labels : Tensor, shape (num_rows,), optional
        The given labels, for batches that come without.
    on_lost : callable, optional
        Called with a number of batches and why they cannot be worked out, in place of raising: for a training that is
        to go on without them.

    Notes
    -----
    `log` never waits for a device. On the CPU, what needs no working out is copied at once. Everything else is
    kept by reference (small views of large tensors are copied, so that these are free again), and every 64
    batches (or 16 MiB of logits) the quantities are worked out together: tensors handed over must not be written
    to in place meanwhile; batches where that happened are refused rather than recorded wrongly.

    A row that comes several times in an epoch gets the mean of its values, and one of its predicted classes.
    """

    def __init__(
        self,
        num_rows: int | None,
        num_classes: int | None = None,
        device: str | torch.device = "cpu",
        *,
        channels: Mapping[str, str] | None = None,
        labels: Tensor | None = None,
        on_lost: Callable[[int, str], None] | None = None,
    ) -> None:
        if num_rows is not None and num_rows < 1:
            raise InvalidInput(f"num_rows is {num_rows}: a run has at least one row.", field="num_rows")
        self.num_rows = num_rows
        self.device = torch.device(device)
        self._dtypes = dict(channels or channel_dtypes(DEFAULT_CHANNELS, num_classes))
        self._labels: Tensor | None = None if labels is None else _computable(labels).to(self.device)
        self._largest_label = 0 if labels is None or not len(labels) else int(_computable(labels).max())
        self._on_lost = on_lost
        self._pending: list[_Logged] = []
        self._pending_values = 0
        self._checked: tuple[object, ...] = ()
        self._kind: tuple[object, ...] = ()
        self._is_direct = self._is_worked_out = self._has_unsigned = False
        # One of the two: in host memory there is no copy to make, and nothing to be waited for.
        self._host = HostSums(num_rows, self._dtypes) if self.device.type == "cpu" else None
        self._sums = self._host or DeviceSums(num_rows, self._dtypes, self.device)
        self._integers = {
            name for name, dtype in self._dtypes.items() if dtype.startswith("int") and name != COUNT
        }
        self._usual = {
            name: torch.float32 if dtype.startswith("float") else torch.int64
            for name, dtype in self._dtypes.items()
            if name != COUNT
        }

    def log(
        self,
        rows: Tensor,
        logits: Tensor | None = None,
        labels: Tensor | None = None,
        loss: Tensor | None = None,
        **values: Tensor,
    ) -> None:
        """Take the outcome of one batch.

        Parameters
        ----------
        rows : Tensor, shape (B,), integers in 0…num_rows−1
        logits : Tensor, shape (B, C), optional
            Not needed where every channel is given.
        labels : Tensor, shape (B,), integers
            The given labels.
        loss : Tensor, shape (B,), optional
            The plain cross-entropy of each example, where it is at hand already: it saves working it out.
            Never a smoothed, mixed or weighted loss.
        **values : Tensor, shape (B,)
            Further channels by name, and margin or predicted where they are at hand.

        Raises
        ------
        InvalidInput
            Shapes or kinds of number do not fit together; a row, label or integer is out of range (at once on the CPU;
            by `collect` on a device, which is not waited for); or, when the batches are worked out, a tensor
            was written to after it was logged.
        """
        if loss is not None:
            values["loss"] = loss
        self.log_batch(rows, logits, labels, values)

    def log_batch(
        self, rows: Tensor, logits: Tensor | None, labels: Tensor | None, values: dict[str, Tensor]
    ) -> None:
        """As `log`, with what there is by name in one mapping, which is kept."""
        self._check_form(rows, logits, labels, values)
        if not rows.shape[0]:
            return
        if self._has_unsigned:
            rows, labels = _computable(rows), None if labels is None else _computable(labels)
        if logits is not None and self._is_worked_out:
            self._check_labels(logits, labels)
        if self._is_direct and self._host is not None:
            self._host.log(rows.numpy(force=True), {name: _as_array(t) for name, t in values.items()})
            return
        if rows.is_cpu:
            self._check_rows(rows)
        for name in self._integers & values.keys():
            self._check_integers(name, values[name])
            values[name] = _computable(values[name])
        self._keep(rows, logits, labels, values)

    def log_usual(self, rows: Any, values: Mapping[str, Any]) -> bool:
        """Copy a batch of the usual kinds of numbers in host memory; False where there is more to look at.

        This is all that a step of "loss alone" costs on a CPU. The two arrays are half of it; every operator of
        PyTorch would be one or two microseconds more, whatever its size.
        """
        host, usual = self._host, self._usual
        if host is None or type(rows) is not Tensor or rows.dtype is not torch.int64 or not rows.is_cpu:
            return False
        indices = rows.numpy()
        shape, arrays = indices.shape, {}
        if len(shape) != 1 or not shape[0] or len(values) != len(usual):
            return False
        for name, tensor in values.items():
            if type(tensor) is not Tensor or tensor.dtype is not usual.get(name) or not tensor.is_cpu:
                return False
            arrays[name] = array = tensor.numpy(force=True)
            if array.shape != shape:
                return False
        host.log(indices, arrays)
        return True

    def _keep(
        self, rows: Tensor, logits: Tensor | None, labels: Tensor | None, values: dict[str, Tensor]
    ) -> None:
        for name, tensor in values.items():
            values[name] = _without_base(tensor)
        rows = _without_base(rows)
        logits = None if logits is None else _without_base(logits)
        labels = None if labels is None else _without_base(labels)
        logged = (rows, logits, labels, *values.values())
        # Tensors made in inference mode carry no counter.
        watched = [t for t in logged if t is not None and not t.is_inference()]
        versions = [t._version for t in watched]
        self._pending.append(_Logged(rows, logits, labels, values, watched, versions, self._kind))
        self._pending_values += rows.shape[0] if logits is None else logits.numel()
        if len(self._pending) >= _MAX_PENDING_BATCHES or self._pending_values >= _MAX_PENDING_VALUES:
            self._work_out()

    def flush(self) -> dict[str, np.ndarray[Any, Any]]:
        """Move the epoch to the host and start the next one.

        Returns
        -------
        dict of arrays, shape (num_rows,)
            `loss` float32 in nats (high is bad), `margin` float32 (low is bad), `predicted` int16 or int32.
            A row not seen has NaN, NaN and −1. A row seen with a loss that is not finite keeps that loss;
            `predicted` tells it from a row not seen.
        """
        return self.collect()[0]

    def collect(self) -> tuple[dict[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
        """As `flush`; and, second, how often each row was seen, shape (num_rows,), int32."""
        self._work_out()
        sums, count = self._sums.take()
        return finished_channels(sums, count, self._dtypes), count

    def reset(self) -> None:
        """Forget the epoch so far: every row is unseen."""
        self._pending.clear()
        self._pending_values = 0
        self._sums.reset()

    # ---- arithmetic

    @torch.no_grad()
    def _work_out(self) -> None:
        """Turn the pending batches into sums and counts by row."""
        pending, self._pending, self._pending_values = self._pending, [], 0
        whole = [one for one in pending if [t._version for t in one.watched] == one.versions]
        if len(whole) < len(pending):
            self._lose(len(pending) - len(whole), InvalidInput(_CHANGED))
        together: dict[tuple[object, ...], list[_Logged]] = {}
        for one in whole:
            together.setdefault(one.kind, []).append(one)
        for batches in together.values():
            try:
                self._add(batches)
            except InvalidInput:
                raise
            except Exception as fault:
                self._lose(len(batches), fault)

    def _lose(self, num_batches: int, fault: Exception) -> None:
        if self._on_lost is None:
            raise fault
        self._on_lost(num_batches, str(fault))

    def _add(self, batches: list[_Logged]) -> None:
        rows = self._joined([one.rows for one in batches]).long()
        if isinstance(self._sums, DeviceSums):
            rows = self._sums.within(rows)
        elif batches[0].rows.device.type != "cpu":
            self._check_rows(rows)
        values = {name: self._joined([one.values[name] for one in batches]) for name in batches[0].values}
        if batches[0].logits is not None and self._are_needed(values):
            rows, worked_out = self._worked_out(batches, rows)
            values = {**worked_out, **values}
        if isinstance(self._sums, DeviceSums):
            self._sums.add(rows, values)
        else:
            self._sums.log(rows.numpy(), {name: _as_array(values[name]) for name in values})

    def _are_needed(self, values: Mapping[str, Tensor]) -> bool:
        """Is anything to be worked out from logits?"""
        return not self._dtypes.keys() <= {*values, COUNT}

    def _worked_out(self, batches: list[_Logged], rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The rows, on a device those with a label out of range sent nowhere, and what the logits say."""
        logits = self._joined([one.logits for one in batches if one.logits is not None])
        labels = self._labels_of(batches, rows)
        if isinstance(self._sums, DeviceSums):
            good = (labels >= 0) & (labels < logits.shape[1])
            rows = self._sums.nowhere(rows, good)
            labels = torch.where(good, labels, 0)
        elif batches[0].labels is not None and batches[0].labels.device.type != "cpu":
            self._check_labels(logits, labels)
        found: dict[str, Tensor] = {}
        if "loss" in self._dtypes and "loss" not in batches[0].values:
            found["loss"] = per_example_loss(logits, labels)
        if {"margin", "predicted"} & self._dtypes.keys() - batches[0].values.keys():
            found["margin"], found["predicted"] = margin_and_predicted(logits, labels)
        return rows, found

    def _labels_of(self, batches: list[_Logged], rows: Tensor) -> Tensor:
        if self._labels is not None and batches[0].labels is None:
            return self._labels[rows.clamp(0, len(self._labels) - 1)].long()
        return self._joined([one.labels for one in batches if one.labels is not None]).long()

    def _joined(self, tensors: list[Tensor]) -> Tensor:
        together = torch.cat(tensors)
        if together.device.type == "cpu" and self.device.type == "cuda":
            # From pinned memory the copy needs no wait.
            return together.pin_memory().to(self.device, non_blocking=True)
        return together.to(self.device)

    def _check_form(
        self, rows: Tensor, logits: Tensor | None, labels: Tensor | None, values: dict[str, Tensor]
    ) -> None:
        """A batch of the form of the one before needs no second look: this is what a step waits for."""
        tensors = (rows, logits, labels, *values.values())
        form = (*values, *[t if t is None else (t.shape, t.dtype, t.device) for t in tensors])
        if form == self._checked:
            return
        known = self._labels is not None
        check_batch(rows, logits, labels, values, self._dtypes, _kind_of, labels_known=known)
        self._kind = (*values, *[t if t is None else (t.shape[1:], t.dtype, t.device) for t in tensors])
        all_here = all(t.is_cpu for t in (rows, *values.values()))
        self._has_unsigned = any(t is not None and t.dtype in _UNSIGNED for t in (rows, labels))
        self._is_worked_out = self._are_needed(values)
        self._is_direct = all_here and not self._is_worked_out
        self._checked = form

    def _check_rows(self, rows: Tensor) -> None:
        """On the CPU alone: looking at a device's numbers would wait for it."""
        low, high = torch.aminmax(rows)
        check_rows(int(low), int(high), self.num_rows)

    def _check_integers(self, name: str, values: Tensor) -> None:
        """On the CPU alone, as for rows; `DeviceSums` looks at those on a device."""
        if values.is_cpu:
            array = values.numpy(force=True)
            check_integers(name, int(array.min()), int(array.max()), self._dtypes[name])

    def _check_labels(self, logits: Tensor, labels: Tensor | None) -> None:
        """On the CPU alone, as for rows."""
        if labels is None:
            check_labels(0, self._largest_label, logits.shape[1])
        elif labels.is_cpu:
            low, high = torch.aminmax(labels)
            check_labels(int(low), int(high), logits.shape[1])


def _without_base(tensor: Tensor) -> Tensor:
    """To be kept for some steps: without its graph, and copied where it is a small view of much memory."""
    tensor = tensor.detach()
    small = 2 * tensor.nbytes + _SPARE_BYTES
    return tensor.clone() if tensor.untyped_storage().nbytes() > small else tensor


def _computable(tensor: Tensor) -> Tensor:
    """In int64 where PyTorch has no arithmetic for its type; beyond 2⁶³ − 1 it is below 0, which no row or label is."""
    return tensor.long() if tensor.dtype in _UNSIGNED else tensor


def _as_array(tensor: Tensor) -> np.ndarray[Any, Any]:
    """Floating numbers as NumPy and float32 have them: no bfloat16, and what is too large for float32 is infinite."""
    if tensor.dtype is not torch.float32 and tensor.is_floating_point():
        tensor = tensor.float()
    return tensor.numpy(force=True)


def _kind_of(tensor: Tensor) -> str:
    if tensor.is_floating_point():
        return "f"
    return "other" if tensor.is_complex() or tensor.dtype is torch.bool else "i"
