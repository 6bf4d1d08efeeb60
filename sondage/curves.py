"""③ Curves: channels × rows × epochs of one run, and how to fill, cut and align them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray, CurveArray, Mask, Rows

NOT_SEEN = -1
"""In whole-number channels (`predicted`), where floats have NaN."""
_BAD_END = {"loss": np.inf, "margin": -np.inf}
_CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class Curves:
    """What was recorded of a run.

    Parameters
    ----------
    channels : mapping of str to array, shape (rows, epochs)
        Floats (`loss` in nats, `margin` in logits) with NaN, or whole numbers (`predicted`, a class) with −1,
        where a row was not seen in an epoch. Kept as contiguous float32 or as the whole numbers they are.

    Raises
    ------
    InvalidInput
        Without a channel, or when the shapes differ.
    """

    channels: Mapping[str, AnyArray]

    def __post_init__(self) -> None:
        kept = {name: _as_channel(name, values) for name, values in self.channels.items()}
        if not kept:
            raise InvalidInput("Curves need at least one channel, for instance loss.", field="channels")
        shapes = {name: values.shape for name, values in kept.items()}
        if len(set(shapes.values())) > 1:
            raise InvalidInput(f"All channels must have the same rows and epochs; got {shapes}.")
        object.__setattr__(self, "channels", kept)

    @classmethod
    def from_epochs(cls, channels: Mapping[str, Sequence[AnyArray]]) -> Curves:
        """From one array (rows,) per epoch, as recorded, to (rows, epochs)."""
        return cls({name: transpose(epochs) for name, epochs in channels.items()})

    def __getitem__(self, channel: str) -> AnyArray:
        """The curves of one channel, shape (rows, epochs)."""
        if channel not in self.channels:
            there = ", ".join(sorted(self.channels))
            raise InvalidInput(f"There is no channel {channel!r}; recorded are: {there}.", field="channel")
        return self.channels[channel]

    def __contains__(self, channel: object) -> bool:
        return channel in self.channels

    @property
    def num_rows(self) -> int:
        return int(self._any_channel().shape[0])

    @property
    def num_epochs(self) -> int:
        return int(self._any_channel().shape[1])

    def take(self, rows: Rows | slice) -> Curves:
        """These rows, in this order."""
        return Curves({name: values[rows] for name, values in self.channels.items()})

    def epochs(self, window: slice) -> Curves:
        """These epochs of all rows."""
        return Curves({name: values[:, window] for name, values in self.channels.items()})

    def seen(self, channel: str = "loss") -> Mask:
        """Rows seen in every epoch, shape (rows,)."""
        return np.asarray(_was_seen(self[channel]).all(axis=1))

    def ever_seen(self, channel: str = "loss") -> Mask:
        """Rows seen in at least one epoch; the others were displaced or never trained on. Shape (rows,)."""
        return np.asarray(_was_seen(self[channel]).any(axis=1))

    def fill(self) -> Curves:
        """Close the gaps of partly seen rows: the last value seen before, at the start the first one after.

        Infinite values (a loss that overflowed) become the largest finite value of their channel, or the
        smallest. So does what is NaN in an epoch in which the row was seen, by `predicted`: there the training
        diverged, the loss is bad and the margin too, and the value before it would make it look harmless. Rows that
        were never seen stay as they are. What needs no filling is not copied.
        """
        return Curves({name: _fill(self._diverged(name)) for name in self.channels})

    def _diverged(self, channel: str) -> AnyArray:
        """A channel with its bad end, infinity, where a row was seen and has no number."""
        values = self[channel]
        if channel not in _BAD_END or "predicted" not in self:
            return values
        diverged = np.isnan(values) & _was_seen(self["predicted"])
        return np.where(diverged, values.dtype.type(_BAD_END[channel]), values) if diverged.any() else values

    def _any_channel(self) -> AnyArray:
        return next(iter(self.channels.values()))


def align(runs: Sequence[Curves]) -> list[Curves]:
    """Cut runs to the channels that all of them have and to the epochs of the shortest one."""
    if not runs:
        return []
    shared = [name for name in runs[0].channels if all(name in run for run in runs)]
    num_epochs = min(run.num_epochs for run in runs)
    return [Curves({name: run[name][:, :num_epochs] for name in shared}) for run in runs]


def transpose(epochs: Sequence[AnyArray]) -> AnyArray:
    """Stack arrays of shape (rows,) to (rows, epochs), a block of rows at a time, which the cache thanks."""
    if not epochs:
        raise InvalidInput("There are no epochs yet: wait until one is recorded.")
    out = np.empty((len(epochs[0]), len(epochs)), dtype=epochs[0].dtype)
    for start in range(0, len(out), _CHUNK_ROWS):
        block = slice(start, start + _CHUNK_ROWS)
        out[block] = np.stack([epoch[block] for epoch in epochs], axis=1)
    return out


def _as_channel(name: str, values: AnyArray) -> AnyArray:
    array = np.asarray(values)
    if array.ndim != 2:
        raise InvalidInput(f"Channel {name!r} has {array.ndim} axes; rows × epochs are needed.", field=name)
    if array.dtype.kind not in "fiu":
        raise InvalidInput(f"Channel {name!r} holds {array.dtype}; numbers are needed.", field=name)
    dtype = np.float32 if array.dtype.kind == "f" else array.dtype
    return np.ascontiguousarray(array, dtype=dtype)


def _was_seen(values: AnyArray) -> Mask:
    return ~np.isnan(values) if values.dtype.kind == "f" else values != NOT_SEEN


def _fill(values: AnyArray) -> AnyArray:
    seen = _was_seen(values)
    gappy = np.flatnonzero(seen.any(axis=1) & ~seen.all(axis=1))
    if len(gappy):
        values = values.copy()
        # All rows may have gaps, and filling takes several copies of what it fills.
        for start in range(0, len(gappy), _CHUNK_ROWS):
            rows = gappy[start : start + _CHUNK_ROWS]
            values[rows] = _carry(values[rows], seen[rows])
    return _bound(values) if values.dtype.kind == "f" else values


def _carry(values: AnyArray, seen: Mask) -> AnyArray:
    """Each entry from the last seen epoch at or before it, else from the first seen one."""
    epochs = np.arange(values.shape[1])
    source = np.maximum.accumulate(np.where(seen, epochs, -1), axis=1)
    source = np.where(source < 0, seen.argmax(axis=1)[:, None], source)
    return np.take_along_axis(values, source, axis=1)


def _bound(values: CurveArray) -> CurveArray:
    infinite = np.isinf(values)
    if not infinite.any():
        return values
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise InvalidInput(
            "Every recorded value is infinite: the training diverged; lower the learning rate."
        )
    return np.where(infinite, np.clip(values, finite.min(), finite.max()), values)
