"""③ Epochs that come whole, from files of records kept elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from sondage.errors import Conflict
from store import closing, runs
from store.curve_parts import EpochClosed, Part, num_shards, require_near, require_running, write_block
from store.tables import SHARD_ROWS, CurveBlock, Recording, Run

Array = NDArray[Any]


def write(
    session: Session, *, run: Run, recording: Recording, channels: Mapping[str, Array], epochs: Sequence[int]
) -> list[int]:
    """Store epochs that come whole, and close those that have all channels. The caller holds the run, alone.

    Parameters
    ----------
    channels
        Arrays [rows of the run, epochs] in the announced dtypes.

    Returns
    -------
    The epochs that are closed now.

    Raises
    ------
    EpochClosed
        One of them, or a later one, is closed.
    Conflict
        The run is recorded by several ranks.
    InvalidInput
        The number of one is far beyond the run's epochs.
    """
    require_running(run)
    if recording.world_size != 1:
        raise Conflict(
            f"Run {run.id} is recorded by {recording.world_size} ranks; records go to a run of one."
        )
    last = runs.last_closed_epoch(session, run_id=run.id)
    if last is not None and min(epochs) <= last:
        raise EpochClosed(
            f"Run {run.id} has closed epoch {last}; records from epoch {last + 1} on can be added."
        )
    require_near(run, max(epochs))
    closed = []
    for column, epoch in sorted(enumerate(epochs), key=lambda item: item[1]):
        for name, values in channels.items():
            _write_channel(session, run, epoch, name, values[:, column])
        if _has_all(session, run, recording, epoch):
            seen = {name: int(closing.is_seen(values[:, column]).sum()) for name, values in channels.items()}
            metrics = {"counts": seen, "coverage": closing.coverage(session, run, seen)}
            closing.close(
                session, run=run, recording=recording, epoch=epoch, rank=0, metrics=metrics, force=False
            )
            closed.append(epoch)
    return closed


def _write_channel(session: Session, run: Run, epoch: int, name: str, values: Array) -> None:
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    for shard in range(num_shards(run.num_rows)):
        data = little[shard * SHARD_ROWS : (shard + 1) * SHARD_ROWS].tobytes()
        write_block(session, run.id, Part(name, epoch, shard, 0, values.dtype.name, data))


def _has_all(session: Session, run: Run, recording: Recording, epoch: int) -> bool:
    there = {name for name, _ in closing.shards_there(session, CurveBlock, run.id, epoch)}
    return set(recording.channels) <= there
