"""③ One epoch of curves, kept on the training device and moved to the host once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sondage.errors import InvalidInput
from sondage.torch.losses import margin_and_predicted, per_example_loss

# A step only appends to a list; the arithmetic runs for many batches at once. A launch costs about as much
# as a small kernel, so ten launches per step would be several percent of a small model's step on a GPU.
_MAX_PENDING_BATCHES = 64
_MAX_PENDING_VALUES = 1 << 22  # 16 MiB of float32 logits
_LARGEST_INT16 = 32_767


class _Logged(NamedTuple):
    rows: Tensor
    logits: Tensor
    labels: Tensor
    loss: Tensor | None
    versions: tuple[int, ...]


class EpochBuffer:
    """Loss, margin and predicted class of every row of a run, for one epoch, on one device.

    Parameters
    ----------
    num_rows : int
        Rows of the run: the dataset's examples and the made probes.
    num_classes : int, optional
        Decides the integer that holds the predicted class: int16 where it suffices, else int32.
        Unknown means int32.
    device : str or torch.device
        Where the model trains.

    Notes
    -----
    `log` neither launches a kernel nor waits for the device: it keeps references, and every 64 batches (or
    16 MiB of logits) the quantities are worked out together. The tensors handed over must not be written to
    in place meanwhile; where that happens the epoch is refused rather than recorded wrongly.
    """

    def __init__(
        self, num_rows: int, num_classes: int | None = None, device: str | torch.device = "cpu"
    ) -> None:
        if num_rows < 1:
            raise InvalidInput(f"num_rows is {num_rows}: a run has at least one row.", field="num_rows")
        self.num_rows = num_rows
        self.device = torch.device(device)
        small = num_classes is not None and num_classes <= _LARGEST_INT16 + 1
        integer, size = (torch.int16, 2) if small else (torch.int32, 4)
        # One block of memory under the three channels: the flush is one copy.
        self._block = torch.empty(num_rows * (8 + size), dtype=torch.uint8, device=self.device)
        self._loss = self._block[: 4 * num_rows].view(torch.float32)
        self._margin = self._block[4 * num_rows : 8 * num_rows].view(torch.float32)
        self._predicted = self._block[8 * num_rows :].view(integer)
        self._host: Tensor | None = None
        self._pending: list[_Logged] = []
        self._pending_values = 0
        self.reset()

    def log(self, rows: Tensor, logits: Tensor, labels: Tensor, loss: Tensor | None = None) -> None:
        """Take the outcome of one batch.

        Parameters
        ----------
        rows : Tensor, shape (B,), integers in 0…num_rows−1
            A row logged twice in an epoch keeps one of its outcomes.
        logits : Tensor, shape (B, C)
        labels : Tensor, shape (B,), integers
            The given labels.
        loss : Tensor, shape (B,), optional
            The plain cross-entropy of each example, where it is at hand already: it saves working it out.
            Never a smoothed, mixed or weighted loss.

        Raises
        ------
        InvalidInput
            Shapes do not fit together; or (when the batches are worked out) a row is out of range or a
            tensor was written to after it was logged.
        """
        _check_shapes(rows, logits, labels, loss)
        kept = _Logged(rows, logits.detach(), labels, None if loss is None else loss.detach(), ())
        self._pending.append(kept._replace(versions=_versions(kept)))
        self._pending_values += logits.numel()
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
        self._work_out()
        block = self._to_host().numpy()
        n, integer = self.num_rows, self._predicted.element_size()
        channels: dict[str, np.ndarray[Any, Any]] = {
            "loss": block[: 4 * n].view(np.float32).copy(),
            "margin": block[4 * n : 8 * n].view(np.float32).copy(),
            "predicted": block[8 * n :].view(f"<i{integer}").copy(),
        }
        self.reset()
        return channels

    def reset(self) -> None:
        """Forget the epoch so far: every row is unseen."""
        self._pending.clear()
        self._pending_values = 0
        self._loss.fill_(torch.nan)
        self._margin.fill_(torch.nan)
        self._predicted.fill_(-1)

    @torch.no_grad()
    def _work_out(self) -> None:
        """Turn the pending batches into loss, margin and predicted class of their rows."""
        pending, self._pending, self._pending_values = self._pending, [], 0
        if not pending:
            return
        if any(_versions(one) != one.versions for one in pending):
            raise InvalidInput("A tensor was changed in place after it was logged: log a clone of it.")
        rows = self._checked_rows([one.rows for one in pending])
        logits = torch.cat([one.logits for one in pending]).to(self.device)
        labels = torch.cat([one.labels for one in pending]).to(self.device)
        losses = [one.loss for one in pending if one.loss is not None]
        given = len(losses) == len(pending)
        loss = torch.cat(losses).float().to(self.device) if given else per_example_loss(logits, labels)
        difference, predicted = margin_and_predicted(logits, labels)
        self._loss.index_copy_(0, rows, loss)
        self._margin.index_copy_(0, rows, difference)
        self._predicted.index_copy_(0, rows, predicted.to(self._predicted.dtype))

    def _checked_rows(self, rows: list[Tensor]) -> Tensor:
        together = torch.cat(rows).long()
        # Looking at a device's numbers would wait for it; there, a wrong row fails in the copy itself.
        if together.device.type == "cpu" and together.numel():
            low, high = int(together.min()), int(together.max())
            if low < 0 or high >= self.num_rows:
                raise InvalidInput(f"Rows {low}…{high} were logged; this run has 0…{self.num_rows - 1}.")
        return together.to(self.device)

    def _to_host(self) -> Tensor:
        if self.device.type != "cuda":
            return self._block.cpu()
        if self._host is None:
            self._host = torch.empty_like(self._block, device="cpu", pin_memory=True)
        self._host.copy_(self._block, non_blocking=True)
        torch.cuda.current_stream(self.device).synchronize()
        return self._host


def _check_shapes(rows: Tensor, logits: Tensor, labels: Tensor, loss: Tensor | None) -> None:
    if logits.dim() != 2 or logits.shape[1] < 2:
        raise InvalidInput(
            f"logits have shape {tuple(logits.shape)}: one row per example and at least two classes are "
            "needed. A model with one output per example wants a second class.",
            field="logits",
        )
    one_each = (logits.shape[0],)
    for name, tensor in (("rows", rows), ("labels", labels), ("loss", loss)):
        if tensor is not None and tensor.shape != one_each:
            raise InvalidInput(
                f"{name} has shape {tuple(tensor.shape)}; one value for each of the {one_each[0]} logits "
                "rows is needed.",
                field=name,
            )


def _versions(logged: _Logged) -> tuple[int, ...]:
    """Torch's own counters of in-place writes; tensors made in inference mode carry none."""
    tensors = (logged.rows, logged.logits, logged.labels, logged.loss)
    return tuple(t._version for t in tensors if t is not None and not t.is_inference())
