"""③ Numbers that cross the wire as bytes."""

from __future__ import annotations

import httpx
import numpy as np

from sondage.client.http import Http
from sondage.client.problems import not_sondage
from sondage.types import AnyArray
from sondage.wire import Run

SHARD_ROWS = 65_536
"""Rows of one block. Part of the contract with the server (`store.tables.SHARD_ROWS`)."""
_WHOLE_NUMBERS = {1: "int8", 2: "int16", 4: "int32"}
_FLOATS = {2: "float16", 4: "float32"}


def read_channel(http: Http, run: Run, channel: str) -> AnyArray:
    """All closed epochs of a channel, shape (rows, epochs), in the dtype it is stored in."""
    epochs = [_read_epoch(http, run, channel, epoch) for epoch in range(run.epochs_done)]
    if not epochs:
        return np.empty((run.num_rows, 0), np.float32)
    return np.ascontiguousarray(np.stack(epochs, axis=1))


def _read_epoch(http: Http, run: Run, channel: str, epoch: int) -> AnyArray:
    num_shards = -(-run.num_rows // SHARD_ROWS)
    return np.concatenate([_read_block(http, run, channel, epoch, shard) for shard in range(num_shards)])


def _read_block(http: Http, run: Run, channel: str, epoch: int, shard: int) -> AnyArray:
    response = http.fetch(http.of_project("runs", run.id, "curves", channel, epoch, shard))
    num_rows = min(SHARD_ROWS, run.num_rows - shard * SHARD_ROWS)
    return array_of(response, num_rows, channel)


def array_of(response: httpx.Response, num_rows: int, channel: str) -> AnyArray:
    """One little-endian number per row; its width tells its dtype, as only `predicted` holds whole numbers."""
    width, rest = divmod(len(response.content), num_rows)
    dtype = (_WHOLE_NUMBERS if channel == "predicted" else _FLOATS).get(width)
    if rest or dtype is None:
        raise not_sondage(response)
    return np.frombuffer(response.content, np.dtype(dtype).newbyteorder("<")).astype(dtype)
