"""③ Curves as slabs: one `bytea` per (run, channel, epoch, shard of 65,536 rows).

Writing an epoch is an upsert of a few blocks. One curve is one `substring` per epoch, which fetches one page of each
block. A whole run is read shard by shard and transposed while a shard is in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from sondage.errors import InvalidInput, NotFound
from store.bulk import driver_connection, fetch_binary
from store.tables import DTYPES, SHARD_ROWS, CurveBlock, Epoch

Array = NDArray[Any]


def write_epoch(session: Session, *, run_id: int, epoch: int, channels: Mapping[str, Array]) -> None:
    """Store one epoch of some channels, replacing what is there.

    Parameters
    ----------
    channels
        Per channel an array [rows] of one of `DTYPES`; NaN (floats) or −1 (integers) where a row was not seen.

    Raises
    ------
    InvalidInput
        An array is not one-dimensional, or of a dtype that is not stored.
    """
    for channel, values in channels.items():
        _check(channel, values)
    connection = driver_connection(session)
    with connection.pipeline(), connection.cursor() as cursor:
        cursor.executemany(
            "DELETE FROM curve_blocks WHERE run_id = %s AND channel = %s AND epoch = %s AND shard >= %s",
            [(run_id, channel, epoch, -(-len(values) // SHARD_ROWS)) for channel, values in channels.items()],
        )
        write_blocks(
            session,
            (
                (run_id, channel, epoch, shard, values.dtype.name, len(block) // values.itemsize, block)
                for channel, values in channels.items()
                for shard, block in _blocks(values)
            ),
        )


_WRITE_BLOCK = (
    "INSERT INTO curve_blocks (run_id, channel, epoch, shard, dtype, num_rows, data)"
    " VALUES (%s, %s, %s, %s, %s, %s, %b) ON CONFLICT (run_id, channel, epoch, shard)"
    " DO UPDATE SET dtype = EXCLUDED.dtype, num_rows = EXCLUDED.num_rows, data = EXCLUDED.data"
)


def write_blocks(session: Session, blocks: Iterable[Sequence[object]]) -> None:
    """Store blocks (run id, channel, epoch, shard, dtype, number of rows, bytes), each in place of what is there.

    Through the driver, in binary: 256 KiB of bytea as hexadecimal text would cost three times as much. The statements
    go out without waiting for one another's answers; beside DELETE and COPY that takes about 0.7 of the time.
    """
    with driver_connection(session).cursor() as cursor:
        cursor.executemany(_WRITE_BLOCK, blocks)


def write_block(session: Session, block: Sequence[object]) -> None:
    """One block as for `write_blocks`, without a pipeline, which waits three times for what takes one."""
    with driver_connection(session).cursor() as cursor:
        cursor.execute(_WRITE_BLOCK, block)


def _check(channel: str, values: Array) -> None:
    if values.ndim != 1:
        raise InvalidInput(
            f"Channel {channel!r} must be one value per row, not shape {values.shape}.", field=channel
        )
    if values.dtype.name not in DTYPES:
        raise InvalidInput(
            f"Channel {channel!r}: dtype {values.dtype} is not one of {', '.join(DTYPES)}.", field=channel
        )


def _blocks(values: Array) -> Iterator[tuple[int, memoryview]]:
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    for shard, start in enumerate(range(0, len(little), SHARD_ROWS)):
        yield shard, memoryview(little[start : start + SHARD_ROWS].data).cast("B")


def read_channel(
    session: Session, *, run_id: int, channel: str, num_rows: int, epochs: Sequence[int] | None = None
) -> Array:
    """One channel of a whole run: an array [num_rows, epochs], C-contiguous, in the stored dtype.

    Parameters
    ----------
    epochs
        Which epochs, ascending; all closed ones when not given.
    """
    epochs = closed_epochs(session, run_id=run_id) if epochs is None else list(epochs)
    dtype = channel_dtype(session, run_id=run_id, channel=channel)
    curves = np.full((num_rows, len(epochs)), _missing(dtype), dtype=dtype)
    for shard, block in read_shards(session, run_id=run_id, channel=channel, epochs=epochs, dtype=dtype):
        start = shard * SHARD_ROWS
        curves[start : start + block.shape[1]] = block.T
    return curves


def read_shards(
    session: Session, *, run_id: int, channel: str, epochs: Sequence[int], dtype: np.dtype[Any]
) -> Iterator[tuple[int, Array]]:
    """The shards of a channel, each an array [epochs, rows of the shard]; at most 24 MiB at 90 epochs."""
    column = {epoch: position for position, epoch in enumerate(epochs)}
    for shard, num_rows in _shards(session, run_id, channel):
        block = np.full((len(epochs), num_rows), _missing(dtype), dtype=dtype)
        query = (
            "SELECT epoch, data FROM curve_blocks"
            " WHERE run_id = %s AND channel = %s AND epoch = ANY(%s) AND shard = %s"
        )
        for epoch, data in fetch_binary(session, query, [run_id, channel, list(epochs), shard]):
            values = np.frombuffer(data, dtype.newbyteorder("<"))
            block[column[epoch], : len(values)] = values
        yield shard, block


def _shards(session: Session, run_id: int, channel: str) -> list[tuple[int, int]]:
    query = (
        "SELECT shard, max(num_rows) FROM curve_blocks WHERE run_id = %s AND channel = %s"
        " GROUP BY shard ORDER BY shard"
    )
    return [(shard, num_rows) for shard, num_rows in fetch_binary(session, query, [run_id, channel])]


def read_rows(
    session: Session, *, run_id: int, channel: str, rows: Sequence[int], epochs: Sequence[int] | None = None
) -> Array:
    """The curves of a few rows: an array [len(rows), epochs]. One page of each block is fetched per row."""
    epochs = closed_epochs(session, run_id=run_id) if epochs is None else list(epochs)
    column = {epoch: position for position, epoch in enumerate(epochs)}
    # A block knows the size of its values, so that one query will do. Without the last line the planner, which
    # expects one row, reads every shard of the channel and then throws all but one away.
    query = (
        "SELECT position, epoch, dtype, substring(data FROM place * size + 1 FOR size)"
        " FROM unnest(%s::int4[], %s::int4[], %s::int4[]) AS wanted (position, shard, place)"
        " JOIN curve_blocks USING (shard), LATERAL (SELECT octet_length(data) / num_rows) AS value (size)"
        " WHERE run_id = %s AND channel = %s AND epoch BETWEEN %s AND %s AND num_rows > 0"
        " AND curve_blocks.shard = ANY(%s)"
    )
    shards, places = [row // SHARD_ROWS for row in rows], [row % SHARD_ROWS for row in rows]
    between = [min(epochs, default=0), max(epochs, default=-1)]
    parameters = [list(range(len(rows))), shards, places, run_id, channel, *between, sorted(set(shards))]
    found = list(fetch_binary(session, query, parameters))
    dtype = np.dtype(found[0][2]) if found else channel_dtype(session, run_id=run_id, channel=channel)
    curves = np.full((len(rows), len(epochs)), _missing(dtype), dtype=dtype)
    for position, epoch, _, data in found:
        if data and epoch in column:
            curves[position, column[epoch]] = np.frombuffer(data, dtype.newbyteorder("<"))[0]
    return curves


def read_block(session: Session, *, run_id: int, channel: str, epoch: int, shard: int) -> CurveBlock:
    """One block of a closed epoch."""
    of_epoch = (Epoch.run_id == CurveBlock.run_id) & (Epoch.epoch == CurveBlock.epoch)
    statement = select(CurveBlock).join(Epoch, of_epoch).where(CurveBlock.run_id == run_id)
    place = (CurveBlock.channel == channel) & (CurveBlock.epoch == epoch) & (CurveBlock.shard == shard)
    block = session.scalars(statement.where(place)).one_or_none()
    if block is None:
        raise NotFound(
            f"Run {run_id} has no shard {shard} of {channel!r} in epoch {epoch}, or has not closed it."
        )
    return block


def channels(session: Session, *, run_id: int, epochs: Sequence[int] | None = None) -> list[str]:
    """The channels a run has recorded, in some of these epochs when they are given."""
    statement = select(CurveBlock.channel).where(CurveBlock.run_id == run_id)
    if epochs is not None:
        statement = statement.where(CurveBlock.epoch.in_(epochs))
    return list(session.scalars(statement.distinct().order_by(CurveBlock.channel)))


def epochs_of_channel(session: Session, *, run_id: int, channel: str) -> list[int]:
    """The closed epochs in which a channel was recorded, ascending."""
    query = (
        "SELECT epoch FROM epochs WHERE run_id = %s AND EXISTS (SELECT FROM curve_blocks AS b"
        " WHERE b.run_id = epochs.run_id AND b.channel = %s AND b.epoch = epochs.epoch) ORDER BY epoch"
    )
    return [epoch for (epoch,) in fetch_binary(session, query, [run_id, channel])]


def channel_dtype(session: Session, *, run_id: int, channel: str) -> np.dtype[Any]:
    statement = (
        select(CurveBlock.dtype).where(CurveBlock.run_id == run_id, CurveBlock.channel == channel).limit(1)
    )
    name = session.scalar(statement)
    if name is None:
        recorded = ", ".join(channels(session, run_id=run_id)) or "none yet"
        raise NotFound(f"Run {run_id} has no channel {channel!r}; recorded: {recorded}.")
    return np.dtype(name)


def closed_epochs(session: Session, *, run_id: int, first: int | None = None) -> list[int]:
    """Ascending; the first so many, or all. An epoch closes after those before it, so the first ones never change."""
    query = "SELECT epoch FROM epochs WHERE run_id = %s ORDER BY epoch LIMIT %s"
    return [epoch for (epoch,) in fetch_binary(session, query, [run_id, first])]


def _missing(dtype: np.dtype[Any]) -> float:
    return float("nan") if dtype.kind == "f" else -1
