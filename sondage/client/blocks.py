"""③ Numbers that cross the wire as bytes."""

from __future__ import annotations

import httpx
import numpy as np

from sondage.client.http import Http
from sondage.client.problems import not_sondage
from sondage.errors import NotFound
from sondage.types import AnyArray
from sondage.wire import Run

SHARD_ROWS = 65_536
"""Rows of one block. Part of the contract with the server (`store.tables.SHARD_ROWS`)."""
_DTYPES = ("float32", "float16", "int8", "int16", "int32")


def read_channel(http: Http, run: Run, channel: str) -> AnyArray:
    """All closed epochs of a channel, shape (rows, epochs), in the dtype it is stored in.

    Epochs that lack it, as most do of `label_odds`, are NaN or −1. Raises NotFound where all do.
    """
    epochs = [_read_epoch(http, run, channel, epoch) for epoch in range(run.epochs_done)]
    if not epochs:
        return np.empty((run.num_rows, 0), np.float32)
    there = [found for found in epochs if not isinstance(found, NotFound)]
    if not there:
        raise next(fault for fault in epochs if isinstance(fault, NotFound))
    dtype = there[0].dtype
    nothing = np.full(run.num_rows, np.nan if dtype.kind == "f" else -1, dtype)
    return np.stack([nothing if isinstance(found, NotFound) else found for found in epochs], axis=1)


def _read_epoch(http: Http, run: Run, channel: str, epoch: int) -> AnyArray | NotFound:
    num_shards = -(-run.num_rows // SHARD_ROWS)
    try:
        return np.concatenate([_read_block(http, run, channel, epoch, shard) for shard in range(num_shards)])
    except NotFound as fault:
        return fault


def _read_block(http: Http, run: Run, channel: str, epoch: int, shard: int) -> AnyArray:
    response = http.fetch(http.of_project("runs", run.id, "curves", channel, epoch, shard))
    return array_of(response, min(SHARD_ROWS, run.num_rows - shard * SHARD_ROWS))


def array_of(response: httpx.Response, num_rows: int) -> AnyArray:
    """One little-endian number per row, of the dtype that the answer names."""
    name = response.headers.get("X-Dtype")
    if name not in _DTYPES or len(response.content) != num_rows * np.dtype(name).itemsize:
        raise not_sondage(response)
    return np.frombuffer(response.content, np.dtype(name).newbyteorder("<")).astype(name)
