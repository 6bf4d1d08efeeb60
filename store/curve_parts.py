"""③ Epochs that arrive in parts: per shard, and under several ranks per rank, until the epoch closes.

A run of one rank writes its blocks straight to `curve_blocks`, where nobody looks before their epoch is closed. Of
several ranks the parts wait in `curve_parts` until `store.closing` makes blocks of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from sondage.errors import Conflict, InvalidInput
from store import curves, runs
from store.bulk import driver_connection
from store.tables import (
    SHARD_ROWS,
    CurveBlock,
    CurvePart,
    EpochPart,
    Recording,
    Run,
)

EPOCHS_AHEAD = 10_000
"""How far beyond those announced, or closed, an epoch's number may lie: one that is wrong bars all before it."""
MOST_OPEN_EPOCHS = 1_000
"""A spool of one rank may go up whole before that of the next one."""


class EpochClosed(Conflict):
    """The epoch is closed with other values, or a later one is."""

    code = "epoch_closed"


class RunClosed(Conflict):
    """The run is not running any more."""

    code = "run_closed"


class IncompleteEpoch(InvalidInput):
    """Something that was announced has not been sent."""

    code = "incomplete_epoch"


class TooManyOpen(Conflict):
    """So many epochs wait to be closed that no other is begun."""

    code = "too_many_open_epochs"


@dataclass(frozen=True)
class Part:
    """What one rank saw of one channel of a shard: little-endian values, NaN or −1 where it did not."""

    channel: str
    epoch: int
    shard: int
    rank: int
    dtype: str
    data: bytes

    @property
    def num_rows(self) -> int:
        return len(self.data) // np.dtype(self.dtype).itemsize


def num_shards(num_rows: int) -> int:
    return -(-num_rows // SHARD_ROWS)


def rows_of_shard(num_rows: int, shard: int) -> int:
    """How many rows a shard of a run has; 0 beyond the last one."""
    return max(0, min(SHARD_ROWS, num_rows - shard * SHARD_ROWS))


def require_running(run: Run) -> None:
    if run.state != "running":
        raise RunClosed(
            f"Run {run.id} ({run.name}) is {run.state}. To record more, reopen it: sondage run reopen {run.id}."
        )


def require_near(run: Run, epoch: int) -> None:
    """`run.num_epochs` is what was announced, or one more than the last that closed where that is more."""
    if epoch >= run.num_epochs + EPOCHS_AHEAD:
        raise InvalidInput(
            f"epoch is {epoch}; run {run.id} has {run.num_epochs} epochs so far or announced, and up to "
            f"{EPOCHS_AHEAD:,} more are taken. Count epochs from 0, or announce num_epochs when the run begins.",
            field="epoch",
        )


# Each step is one look into the primary key, however many parts an epoch has.
_OPEN_EPOCHS = """
    WITH RECURSIVE open (epoch) AS (
        SELECT min(epoch) FROM {table} WHERE {those} AND epoch > :after
        UNION ALL
        SELECT (SELECT min(epoch) FROM {table} WHERE {those} AND epoch > open.epoch) FROM open
        WHERE open.epoch IS NOT NULL
    )
    SELECT count(epoch) FROM open
"""
_OPEN_PARTS = text(_OPEN_EPOCHS.format(table="curve_parts", those="run_id = :run_id"))
_OPEN_BLOCKS = text(
    _OPEN_EPOCHS.format(table="curve_blocks", those="run_id = :run_id AND channel = :channel")
)


def _require_few_open(session: Session, run: Run, recording: Recording, part: Part, *, after: int) -> None:
    """Of a run of one rank, for each channel."""
    place = {"run_id": run.id, "channel": part.channel}
    if recording.world_size == 1:
        there = select(CurveBlock.run_id).filter_by(**place, epoch=part.epoch)
        counted = _OPEN_BLOCKS.bindparams(**place, after=after)
    else:
        there = select(CurvePart.run_id).filter_by(run_id=run.id, epoch=part.epoch)
        counted = _OPEN_PARTS.bindparams(run_id=run.id, after=after)
    if session.scalar(there.limit(1)) is not None:
        return
    number = session.scalar(counted) or 0
    if number >= MOST_OPEN_EPOCHS:
        raise TooManyOpen(
            f"Run {run.id} has {number:,} epochs that are not closed, as many as may be. Send what the other ranks "
            f"saw of them (sondage sync, on each machine) or close them with force, then send epoch {part.epoch} again."
        )


# One statement through the driver: on the way of every block, each one by the ORM costs as much as the database's part.
_BOUNDS = {
    "curve_blocks": "SELECT (SELECT max(epoch) FROM epochs WHERE run_id = %(run)s),"
    " (SELECT max(epoch) FROM curve_blocks WHERE run_id = %(run)s AND channel = %(channel)s)",
    "curve_parts": "SELECT (SELECT max(epoch) FROM epochs WHERE run_id = %(run)s),"
    " (SELECT max(epoch) FROM curve_parts WHERE run_id = %(run)s)",
}


def _bounds(session: Session, run: Run, recording: Recording, part: Part) -> tuple[int, int]:
    """The last closed epoch, −1 before the first, and the last one that something was sent of; it may be closed."""
    table = "curve_blocks" if recording.world_size == 1 else "curve_parts"
    with driver_connection(session).cursor() as cursor:
        row = cursor.execute(_BOUNDS[table], {"run": run.id, "channel": part.channel}).fetchone()
    last, sent = row or (None, None)
    return -1 if last is None else last, -1 if sent is None else sent


def put(session: Session, *, run: Run, recording: Recording, part: Part) -> bool:
    """Store a part in place of what the same rank had sent. The caller holds the run, shared.

    Returns
    -------
    False where nothing was changed: the epoch is closed with this very part.

    Raises
    ------
    EpochClosed
        The epoch, or a later one, is closed with other values.
    RunClosed
        The run has ended.
    InvalidInput
        Its number is far beyond the run's epochs.
    TooManyOpen
        As many epochs as may be open are.
    """
    last, sent = _bounds(session, run, recording, part)
    if part.epoch <= last:
        if _was_sent(session, run.id, part):
            return False
        raise EpochClosed(
            f"Run {run.id} has closed epoch {last}; epoch {part.epoch} does not change any more, and this part "
            "is not the one it was closed with."
        )
    require_running(run)
    require_near(run, part.epoch)
    if max(sent, part.epoch) - last > MOST_OPEN_EPOCHS:  # there are no more open ones than numbers between
        _require_few_open(session, run, recording, part, after=last)
    if recording.world_size == 1:
        write_block(session, run.id, part)
        return True
    _withdraw_closing(session, run.id, part)
    _write_part(session, run.id, part)
    return True


def _was_sent(session: Session, run_id: int, part: Part) -> bool:
    digest = hashlib.sha256(part.data)
    closing = session.get(EpochPart, (run_id, part.epoch, part.rank))
    if closing is not None:
        return closing.digests.get(f"{part.channel}/{part.shard}") == digest.hexdigest()
    key = (
        (CurveBlock.run_id == run_id)
        & (CurveBlock.channel == part.channel)
        & (CurveBlock.epoch == part.epoch)
        & (CurveBlock.shard == part.shard)
    )
    return session.scalar(select(func.sha256(CurveBlock.data)).where(key)) == digest.digest()


def _withdraw_closing(session: Session, run_id: int, part: Part) -> None:
    """A rank that sends other values after closing its part has to close it again."""
    closing = session.get(EpochPart, (run_id, part.epoch, part.rank))
    digest = hashlib.sha256(part.data).hexdigest() if closing is not None else ""
    if closing is not None and closing.digests.get(f"{part.channel}/{part.shard}") != digest:
        session.delete(closing)


def write_block(session: Session, run_id: int, part: Part) -> None:
    """In place of what is there."""
    place = (run_id, part.channel, part.epoch, part.shard)
    curves.write_block(session, (*place, part.dtype, part.num_rows, part.data))


def _write_part(session: Session, run_id: int, part: Part) -> None:
    with driver_connection(session).cursor() as cursor:
        cursor.execute(
            "INSERT INTO curve_parts (run_id, epoch, channel, shard, rank, dtype, num_rows, data)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %b) ON CONFLICT (run_id, epoch, channel, shard, rank)"
            " DO UPDATE SET dtype = EXCLUDED.dtype, num_rows = EXCLUDED.num_rows, data = EXCLUDED.data",
            [run_id, part.epoch, part.channel, part.shard, part.rank, part.dtype, part.num_rows, part.data],
        )


def drop_open(session: Session, *, run_id: int) -> None:
    """Forget what was sent of epochs that did not close."""
    last = runs.last_closed_epoch(session, run_id=run_id)
    after = -1 if last is None else last
    for table in (CurvePart, EpochPart, CurveBlock):
        session.execute(delete(table).where(table.run_id == run_id, table.epoch > after))
