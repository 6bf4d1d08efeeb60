"""③ One closed epoch of one process, in memory and as a file that knows whether it is whole."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray

_MAGIC = b"SONDAGE1"
_DIGEST_BYTES = 32


@dataclass(frozen=True, eq=False)
class Parcel:
    """An epoch as one process saw it.

    `channels` is empty where the epoch was lost (the disk was full and the server away): it is then sent as an
    epoch in which nothing was seen.
    """

    epoch: int
    rank: int
    num_rows: int
    channels: Mapping[str, AnyArray] = field(repr=False)
    metrics: Mapping[str, Any]
    counts: Mapping[str, int]
    coverage: float | None

    @property
    def num_bytes(self) -> int:
        return sum(values.nbytes for values in self.channels.values())

    def emptied(self) -> Parcel:
        """What is left of it when there is no room to keep it."""
        metrics = {**self.metrics, "lost": True}
        return replace(self, channels={}, counts=dict.fromkeys(self.counts, 0), coverage=0.0, metrics=metrics)

    @classmethod
    def lost(cls, epoch: int, rank: int) -> Parcel:
        """Stands for an epoch of which nothing is left, so that the server can close it."""
        return cls(epoch, rank, 0, {}, {"lost": True}, {}, 0.0)

    def to_bytes(self) -> bytes:
        """Magic, length of the header, header in JSON, channels little-endian, SHA-256 of all before."""
        header = {
            "epoch": self.epoch,
            "rank": self.rank,
            "num_rows": self.num_rows,
            "channels": {name: values.dtype.name for name, values in self.channels.items()},
            "metrics": dict(self.metrics),
            "counts": dict(self.counts),
            "coverage": self.coverage,
        }
        written = json.dumps(header).encode()
        held = b"".join(
            [
                _MAGIC,
                struct.pack("<I", len(written)),
                written,
                *(np.ascontiguousarray(v, v.dtype.newbyteorder("<")).data for v in self.channels.values()),
            ]
        )
        return held + hashlib.sha256(held).digest()

    @classmethod
    def from_bytes(cls, content: bytes) -> Parcel:
        """Raises InvalidInput where the bytes are not those that were written."""
        held, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
        if not held.startswith(_MAGIC) or hashlib.sha256(held).digest() != digest:
            raise InvalidInput("not a whole epoch: its checksum is wrong")
        start = len(_MAGIC) + 4
        (length,) = struct.unpack_from("<I", held, len(_MAGIC))
        header: dict[str, Any] = json.loads(held[start : start + length])
        channels, start = {}, start + length
        for name, dtype in header.pop("channels").items():
            kind = np.dtype(dtype).newbyteorder("<")
            channels[name] = np.frombuffer(held, kind, header["num_rows"], start)
            start += header["num_rows"] * kind.itemsize
        return cls(channels=channels, **header)
