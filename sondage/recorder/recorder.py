"""③ Between a training loop and a sink: takes batches, hands over whole epochs."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from sondage.errors import InvalidInput
from sondage.recorder.channels import FLOATS, narrowed
from sondage.recorder.sinks import Channels, Metrics, Sink


class Buffer(Protocol):
    """Holds the epoch under way. Arrays are the training framework's own (`sondage.torch.EpochBuffer`)."""

    def log(self, rows: Any, logits: Any, labels: Any, loss: Any = None) -> None: ...

    def flush(self) -> Channels: ...

    def reset(self) -> None: ...


class Recorder:
    """Two verbs for a loop: `log` after each forward pass, `end_epoch` after each epoch.

    A loop that must make something durable first (a checkpoint) calls `collect`, does so, and then
    `commit`: an epoch is never committed that could not be resumed from.

    Parameters
    ----------
    buffer : Buffer
    sink : Sink
    dtype : {"float32", "float16"}
        In which floating channels are handed to the sink. Half precision halves the space and keeps three
        digits; what does not fit into it is cut to its largest number.
    """

    def __init__(self, buffer: Buffer, sink: Sink, *, dtype: str = "float32") -> None:
        if dtype not in FLOATS:
            raise InvalidInput(f"dtype is {dtype!r}: allowed are {', '.join(FLOATS)}.", field="dtype")
        self._buffer = buffer
        self._sink = sink
        self._dtype = np.dtype(dtype)
        self._collected: Channels | None = None

    def log(self, rows: Any, logits: Any, labels: Any, loss: Any = None) -> None:
        """Take one batch: row numbers, logits, given labels and, if at hand, the plain cross-entropies."""
        self._buffer.log(rows, logits, labels, loss)

    def collect(self) -> Channels:
        """Close the epoch under way and return its channels in full precision; `commit` comes next."""
        self._collected = self._buffer.flush()
        return self._collected

    def commit(self, epoch: int, metrics: Metrics) -> None:
        """Write the collected epoch to the sink."""
        if self._collected is None:
            raise InvalidInput("commit needs an epoch that was collected: call collect first.")
        channels = {
            name: narrowed(values, self._dtype) if values.dtype.kind == "f" else values
            for name, values in self._collected.items()
        }
        self._sink.write_epoch(epoch, channels, metrics)
        self._collected = None

    def end_epoch(self, epoch: int, metrics: Metrics | None = None) -> None:
        """Collect and commit."""
        self.collect()
        self.commit(epoch, metrics or {})

    def discard(self) -> None:
        """Forget the epoch under way, so that it can be trained again from its start."""
        self._buffer.reset()
        self._collected = None
