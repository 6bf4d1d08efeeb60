"""③ The epoch under way: takes batches of NumPy or PyTorch, whichever the training works with."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from sondage.errors import InvalidInput
from sondage.recorder.arrays import ArrayBuffer
from sondage.recorder.channels import OF_LOOKS
from sondage.recorder.spool import RunSpec
from sondage.recorder.trouble import Trouble
from sondage.types import AnyArray, Labels


class ChannelBuffer(Protocol):
    """Holds the channels of an epoch (`ArrayBuffer`, `sondage.torch.EpochBuffer`)."""

    def log_batch(self, rows: Any, logits: Any, labels: Any, values: dict[str, Any]) -> None: ...

    def log_usual(self, rows: Any, values: dict[str, Any]) -> bool:
        """Take a batch that needs no second look, whatever kind of arrays it is of; False: it does need one."""

    def collect(self) -> tuple[dict[str, AnyArray], AnyArray]: ...

    def reset(self) -> None: ...


class EpochUnderWay:
    """Between `Run.log` and a buffer.

    What is wrong with a batch raises. What is wrong with the machine, such as a device without memory, costs the
    batch and never the training; so does a tensor that was written to after it was logged.

    Parameters
    ----------
    spec : RunSpec
    labels : int64 array or None
        The given label of every row, for batches that come without.
    trouble : Trouble
    """

    def __init__(self, spec: RunSpec, labels: Labels | None, trouble: Trouble) -> None:
        self.num_rows = None if spec.num_examples is None else spec.num_examples + spec.num_made
        self.channels = {name: dtype for name, dtype in spec.channels.items() if name not in OF_LOOKS}
        """What batches are asked for: not what looks tell."""
        self._labels = labels
        self._trouble = trouble
        self._buffer: ChannelBuffer | None = None
        self._tensor: type | None = None
        self._num_lost_batches = 0
        self._started: float | None = None

    @property
    def has_begun(self) -> bool:
        return self._buffer is not None

    @property
    def has_batches(self) -> bool:
        """Was anything logged since the epoch began, be it lost since?"""
        return self._started is not None

    def log(self, rows: Any, logits: Any, labels: Any, values: dict[str, Any]) -> None:
        if self._started is None:
            self._started = time.monotonic()
        try:
            if self._buffer is not None and logits is None and labels is None:
                if self._buffer.log_usual(rows, values):
                    return
            self._log(rows, logits, labels, values)
        except InvalidInput:
            raise
        except Exception as fault:
            self._lose(1, str(fault))

    def _lose(self, num_batches: int, why: str) -> None:
        self._num_lost_batches += num_batches
        self._trouble(f"Some batches could not be recorded ({why.rstrip('.')}).")

    def _log(self, rows: Any, logits: Any, labels: Any, values: dict[str, Any]) -> None:
        if self._buffer is None:
            self._choose((rows, logits, labels, *values.values()))
        tensor = self._tensor
        for name, value in values.items():
            if type(value) is not tensor:
                values[name] = self._converted(name, value)
        rows = rows if type(rows) is tensor else self._converted("rows", rows)
        if logits is not None and type(logits) is not tensor:
            logits = self._converted("logits", logits)
        if labels is not None and type(labels) is not tensor:
            labels = self._converted("labels", labels)
        buffer = self._buffer or self._make_buffer((rows, logits, *values.values()))
        buffer.log_batch(rows, logits, labels, values)

    def collect(self) -> tuple[dict[str, AnyArray], AnyArray, dict[str, Any]]:
        """Channels, how often each row was seen, and what it took; the next epoch begins."""
        channels, count = self._collected()
        figures: dict[str, Any] = {}
        if self._started is not None:
            figures["seconds"] = time.monotonic() - self._started
        if self._num_lost_batches:
            figures["num_lost_batches"] = self._num_lost_batches
        self._started, self._num_lost_batches = None, 0
        return channels, count, figures

    def drop(self) -> None:
        """Forget the epoch so far: nothing of it is in the next one's means."""
        try:
            if self._buffer is not None:
                self._buffer.reset()
        except Exception:  # the device itself fails: another buffer is made when a batch comes
            self._buffer = None
        self._started, self._num_lost_batches = None, 0

    def _collected(self) -> tuple[dict[str, AnyArray], AnyArray]:
        try:
            if self._buffer is not None:
                return self._buffer.collect()
        except InvalidInput:
            self.drop()
            raise
        except Exception as fault:
            self._trouble(f"An epoch could not be recorded ({fault}).")
            self.drop()
        return {}, np.zeros(self.num_rows or 0, np.int32)

    def _choose(self, arrays: tuple[Any, ...]) -> None:
        """One tensor, and the epoch is kept in tensors."""
        torch = sys.modules.get("torch")
        if torch is not None and any(isinstance(one, torch.Tensor) for one in arrays):
            self._tensor = torch.Tensor

    def _make_buffer(self, arrays: tuple[Any, ...]) -> ChannelBuffer:
        if self._tensor is None:
            self._buffer = ArrayBuffer(self.num_rows, channels=self.channels, labels=self._labels)
            return self._buffer
        given = [one for one in arrays if one is not None]
        floating = [one for one in given if one.is_floating_point()]
        torch_part: Any = import_module("sondage.torch.buffer")
        buffer: ChannelBuffer = torch_part.EpochBuffer(
            self.num_rows,
            device=(floating or given)[-1].device,  # where the model trains; rows may be elsewhere
            channels=self.channels,
            labels=None if self._labels is None else torch_part.torch.from_numpy(self._labels),
            on_lost=self._lose,
        )
        self._buffer = buffer
        return buffer

    def _converted(self, name: str, value: Any) -> Any:
        """In the buffer's own kind of array; subclasses of its kind stay as they are.

        What becomes a tensor is copied: it is kept for some steps, and torch sees no writes by NumPy.
        """
        torch = sys.modules.get("torch")
        is_tensor = torch is not None and isinstance(value, torch.Tensor)
        try:
            if self._tensor is not None and torch is not None:
                return value if is_tensor else torch.from_numpy(np.array(value))
            if is_tensor:
                value = value.detach().cpu()
                return (value.float() if value.is_floating_point() else value).numpy()
            return np.asarray(value)
        except (TypeError, ValueError) as fault:
            raise InvalidInput(f"{name} is no array of numbers: {fault}.", field=name) from None
