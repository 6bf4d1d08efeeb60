"""③ The sums of an epoch by row on a training device, moved to the host in one copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from sondage.errors import InvalidInput
from sondage.recorder.channels import COUNT
from sondage.recorder.checks import row_limit
from sondage.recorder.sums import FIRST_CAPACITY, summed_dtypes
from sondage.types import AnyArray

P = ParamSpec("P")
R = TypeVar("R")


def _outside_inference(method: Callable[P, R]) -> Callable[P, R]:
    """What is made in inference mode cannot be written to outside of it, and an epoch may see both."""

    @wraps(method)
    def outside(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(False), torch.no_grad():  # the first alone would switch gradients on
            return method(*args, **kwargs)

    return outside


class DeviceSums:
    """What `sondage.recorder.sums.HostSums` is in host memory, on a device that is not waited for.

    Parameters
    ----------
    num_rows : int or None
        None: not known yet; the memory grows with the rows that are seen, for which the device is waited for.
    dtypes : mapping of name to dtype
        The run's channels.
    device : torch.device
    """

    @_outside_inference
    def __init__(self, num_rows: int | None, dtypes: Mapping[str, str], device: torch.device) -> None:
        self._num_rows = num_rows
        self._device = device
        # The widest first, to keep them aligned.
        held = {**summed_dtypes(dtypes), COUNT: "int32"}
        self._layout = sorted(held.items(), key=lambda item: -np.dtype(item[1]).itemsize)
        self._host: Tensor | None = None
        self._allocate(FIRST_CAPACITY if num_rows is None else num_rows)
        self.reset()

    @_outside_inference
    def reset(self) -> None:
        """Every row is unseen."""
        self._seen_rows = 0
        self._block.zero_()
        for name, tensor in self._store.items():
            if name != COUNT and not tensor.is_floating_point():
                tensor.fill_(-1)

    @_outside_inference
    def within(self, rows: Tensor) -> Tensor:
        """The rows, those out of range sent to the last place: an index out of range would end the user's process."""
        good = (rows >= 0) & (rows < row_limit(self._num_rows))
        if self._num_rows is None:
            self._grow(int(torch.where(good, rows, -1).max()) + 1)
        return self.nowhere(rows, good)

    def nowhere(self, rows: Tensor, good: Tensor) -> Tensor:
        """The rows, those that are not good sent to the last place."""
        return torch.where(good, rows, self._capacity)

    @_outside_inference
    def add(self, rows: Tensor, values: Mapping[str, Tensor]) -> None:
        """Add batches, of rows that went through `within`.

        A row with an integer that its channel does not hold is sent nowhere.
        """
        for name, target in self._store.items():
            if name != COUNT and not target.is_floating_point() and values[name].dtype is not target.dtype:
                held = torch.iinfo(target.dtype)
                rows = self.nowhere(rows, (values[name] >= held.min) & (values[name] <= held.max))
        for name, target in self._store.items():
            if name == COUNT:
                target.index_add_(0, rows, torch.ones_like(rows, dtype=torch.int32))
            elif target.is_floating_point():
                target.index_add_(0, rows, values[name].float())
            else:
                target.index_copy_(0, rows, values[name].to(target.dtype))

    @_outside_inference
    def take(self) -> tuple[dict[str, AnyArray], AnyArray]:
        """The sums and the count, both of shape (num_rows,), and start anew.

        Raises
        ------
        InvalidInput
            Something was out of range.
        """
        host = self._views(self._to_host().numpy())
        n = self._seen_rows if self._num_rows is None else self._num_rows
        out_of_range = int(host[COUNT][-1])
        count = host.pop(COUNT)[:n].copy()
        sums = {name: values[:n].copy() for name, values in host.items()}
        self.reset()
        if out_of_range:
            last = row_limit(self._num_rows) - 1
            raise InvalidInput(
                f"{out_of_range} numbers of this epoch were out of range: rows are 0…{last}, labels 0…C−1 for C "
                f"logits{self._said_of_integers()}. The epoch was not recorded. Leave out examples "
                "without a label, such as those of −100 (ignore_index).",
                field="rows",
            )
        return sums, count

    def _said_of_integers(self) -> str:
        """Which other numbers have a range."""
        given = {name: dtype for name, dtype in self._layout if name != COUNT and dtype.startswith("int")}
        return "".join(
            f", {name} ({dtype}) {np.iinfo(dtype).min}…{np.iinfo(dtype).max}" for name, dtype in given.items()
        )

    def _allocate(self, capacity: int) -> None:
        """One block of memory under all channels, so that `take` is one copy. The last place is nobody's."""
        self._capacity = capacity
        size = (capacity + 1) * sum(np.dtype(dtype).itemsize for _, dtype in self._layout)
        self._block = torch.zeros(size, dtype=torch.uint8, device=self._device)
        self._store: dict[str, Tensor] = self._views(self._block, torch_dtypes=True)
        self._host = None

    def _views(self, block: Any, *, torch_dtypes: bool = False) -> dict[str, Any]:
        views, start = {}, 0
        for name, dtype in self._layout:
            end = start + (self._capacity + 1) * np.dtype(dtype).itemsize
            views[name] = block[start:end].view(getattr(torch, dtype) if torch_dtypes else dtype)
            start = end
        return views

    def _grow(self, num_rows: int) -> None:
        self._seen_rows = max(self._seen_rows, num_rows)
        if self._seen_rows <= self._capacity:
            return
        before, old, seen = self._store, self._capacity, self._seen_rows
        self._allocate(max(seen, 2 * old))
        self.reset()
        self._seen_rows = seen
        for name, tensor in self._store.items():
            tensor[:old] = before[name][:old]

    def _to_host(self) -> Tensor:
        if self._device.type != "cuda":
            return self._block.cpu()
        if self._host is None:
            self._host = torch.empty_like(self._block, device="cpu", pin_memory=True)
        self._host.copy_(self._block, non_blocking=True)
        torch.cuda.current_stream(self._device).synchronize()
        return self._host
