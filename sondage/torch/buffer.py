"""③ One epoch of curves, kept on the training device and moved to the host once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sondage.errors import InvalidInput
from sondage.recorder.channels import COUNT, DEFAULT_CHANNELS, channel_dtypes, finished_channels
from sondage.recorder.checks import check_batch, check_labels, check_rows
from sondage.torch.losses import margin_and_predicted, per_example_loss

# A step only appends to a list; the arithmetic runs for many batches at once. A launch costs about as much
# as a small kernel, so ten launches per step would be several percent of a small model's step on a GPU.
_MAX_PENDING_BATCHES = 64
_MAX_PENDING_VALUES = 1 << 22  # 16 MiB of float32 logits
_FIRST_CAPACITY = 1024


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

    Notes
    -----
    `log` neither launches a kernel nor waits for the device: it keeps references, and every 64 batches (or
    16 MiB of logits) the quantities are worked out together. The tensors handed over must not be written to
    in place meanwhile; where that happens the epoch is refused rather than recorded wrongly.

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
    ) -> None:
        if num_rows is not None and num_rows < 1:
            raise InvalidInput(f"num_rows is {num_rows}: a run has at least one row.", field="num_rows")
        self.num_rows = num_rows
        self.device = torch.device(device)
        self._dtypes = dict(channels or channel_dtypes(DEFAULT_CHANNELS, num_classes))
        self._labels: Tensor | None = None if labels is None else labels.to(self.device)
        self._largest_label = 0 if labels is None or not len(labels) else int(labels.max())
        self._host: Tensor | None = None
        self._pending: list[_Logged] = []
        self._checked: tuple[object, ...] = ()
        self._kind: tuple[object, ...] = ()
        self._allocate(_FIRST_CAPACITY if num_rows is None else num_rows)
        self.reset()

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
            Shapes or kinds of number do not fit together; a row or label is out of range (at once on the CPU;
            by `collect` on a device, which is not waited for); or, when the batches are worked out, a tensor
            was written to after it was logged.
        """
        if loss is not None:
            values["loss"] = loss
        self._check_form(rows, logits, labels, values)
        size = rows.shape[0]
        if not size:
            return
        self._check_range(rows, logits, labels)
        for name, tensor in values.items():
            values[name] = tensor.detach()
        logits = None if logits is None else logits.detach()
        logged = (rows, logits, labels, *values.values())
        # Tensors made in inference mode carry no counter.
        watched = [t for t in logged if t is not None and not t.is_inference()]
        versions = [t._version for t in watched]
        self._pending.append(_Logged(rows, logits, labels, values, watched, versions, self._kind))
        self._pending_values += size if logits is None else logits.numel()
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
        host = self._views(self._to_host().numpy())
        n = self._seen_rows if self.num_rows is None else self.num_rows
        out_of_range = int(host[COUNT][-1])
        count = host.pop(COUNT)[:n].copy()
        sums = {name: values[:n].copy() for name, values in host.items()}
        self.reset()
        if out_of_range:
            raise InvalidInput(
                f"{out_of_range} rows or labels of this epoch were out of range: rows are 0…{n - 1}, labels "
                "0…C−1 for C logits. The epoch was not recorded.",
                field="rows",
            )
        return finished_channels(sums, count, self._dtypes), count

    def reset(self) -> None:
        """Forget the epoch so far: every row is unseen."""
        self._pending.clear()
        self._pending_values = 0
        self._seen_rows = 0
        self._block.zero_()
        for name, tensor in self._store.items():
            if name != COUNT and not tensor.is_floating_point():
                tensor.fill_(-1)

    # ---- memory

    def _allocate(self, capacity: int) -> None:
        """One block of memory under all channels, so that the flush is one copy.

        The last place takes what is out of range on a device: an index that is out of range there would end
        the user's process.
        """
        self._capacity = capacity
        size = (capacity + 1) * sum(np.dtype(dtype).itemsize for _, dtype in self._layout())
        self._block = torch.zeros(size, dtype=torch.uint8, device=self.device)
        self._store: dict[str, Tensor] = self._views(self._block, torch_dtypes=True)
        self._host = None

    def _layout(self) -> list[tuple[str, str]]:
        """Sums of floating channels in float32, counts, integers; the widest first, to keep them aligned."""
        held = {name: "float32" if d.startswith("float") else d for name, d in self._dtypes.items()}
        held[COUNT] = "int32"
        return sorted(held.items(), key=lambda item: -np.dtype(item[1]).itemsize)

    def _views(self, block: Any, *, torch_dtypes: bool = False) -> dict[str, Any]:
        views, start = {}, 0
        for name, dtype in self._layout():
            end = start + (self._capacity + 1) * np.dtype(dtype).itemsize
            views[name] = block[start:end].view(getattr(torch, dtype) if torch_dtypes else dtype)
            start = end
        return views

    def _grow(self, num_rows: int) -> None:
        self._seen_rows = max(self._seen_rows, num_rows)
        if self._seen_rows <= self._capacity:
            return
        before, old = self._store, self._capacity
        self._allocate(max(self._seen_rows, 2 * old))
        for name, tensor in self._store.items():
            if name != COUNT and not tensor.is_floating_point():
                tensor.fill_(-1)
            tensor[:old] = before[name][:old]

    def _to_host(self) -> Tensor:
        if self.device.type != "cuda":
            return self._block.cpu()
        if self._host is None:
            self._host = torch.empty_like(self._block, device="cpu", pin_memory=True)
        self._host.copy_(self._block, non_blocking=True)
        torch.cuda.current_stream(self.device).synchronize()
        return self._host

    # ---- arithmetic

    @torch.no_grad()
    def _work_out(self) -> None:
        """Turn the pending batches into sums and counts by row."""
        pending, self._pending, self._pending_values = self._pending, [], 0
        if any([t._version for t in one.watched] != one.versions for one in pending):
            raise InvalidInput("A tensor was changed in place after it was logged: log a clone of it.")
        together: dict[tuple[object, ...], list[_Logged]] = {}
        for one in pending:
            together.setdefault(one.kind, []).append(one)
        for batches in together.values():
            self._add(batches)

    def _add(self, batches: list[_Logged]) -> None:
        rows = self._joined([one.rows for one in batches]).long()
        if self.num_rows is None:
            self._grow(int(rows.max()) + 1)
        if batches[0].rows.device.type != "cpu":
            rows = torch.where((rows >= 0) & (rows < self._capacity), rows, self._capacity)
        values = {name: self._joined([one.values[name] for one in batches]) for name in batches[0].values}
        if batches[0].logits is not None and not self._dtypes.keys() <= {*values, COUNT}:
            rows, worked_out = self._worked_out(batches, rows)
            values = {**worked_out, **values}
        for name, target in self._store.items():
            if name == COUNT:
                target.index_add_(0, rows, torch.ones_like(rows, dtype=torch.int32))
            elif target.is_floating_point():
                target.index_add_(0, rows, values[name].float())
            else:
                target.index_copy_(0, rows, values[name].to(target.dtype))

    def _worked_out(self, batches: list[_Logged], rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The rows, those with a label out of range sent to the last place, and what the logits say."""
        logits = self._joined([one.logits for one in batches if one.logits is not None])
        labels = self._labels_of(batches, rows)
        if labels.device.type != "cpu":
            good = (labels >= 0) & (labels < logits.shape[1])
            rows = torch.where(good, rows, self._capacity)
            labels = torch.where(good, labels, 0)
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
        self._checked = form

    def _check_range(self, rows: Tensor, logits: Tensor | None, labels: Tensor | None) -> None:
        """On the CPU alone: looking at a device's numbers would wait for it."""
        if rows.is_cpu:
            low, high = torch.aminmax(rows)
            check_rows(int(low), int(high), 1 << 40 if self.num_rows is None else self.num_rows)
        if logits is not None and labels is None:
            check_labels(0, self._largest_label, logits.shape[1])
        elif logits is not None and labels is not None and labels.is_cpu:
            low, high = torch.aminmax(labels)
            check_labels(int(low), int(high), logits.shape[1])


def _kind_of(tensor: Tensor) -> str:
    if tensor.is_floating_point():
        return "f"
    return "other" if tensor.is_complex() or tensor.dtype is torch.bool else "i"
