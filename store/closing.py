"""③ Closing epochs of recorded runs: everything that was announced is there, or nothing is closed.

The channels `label_odds` and `distance` alone may be absent: they are of the epochs in which the training looked at its
features.

Of several ranks the last one closes the epoch: their parts become blocks, in one transaction. Of a row that several
saw, the lowest rank's value counts: a distributed sampler pads with duplicates, and these say nothing new. A run that
records the channel `count` says how often each rank saw each row, as where examples are drawn with replacement: then
the counts are added, and floats become the mean over all that was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from sondage.recorder.channels import COUNT, MAY_LACK
from store import runs
from store.bulk import fetch_binary
from store.curve_parts import (
    EpochClosed,
    IncompleteEpoch,
    Part,
    num_shards,
    require_running,
    write_block,
)
from store.tables import (
    CurveBlock,
    CurvePart,
    Dataset,
    Epoch,
    EpochPart,
    Recording,
    Run,
    RunProbe,
)

ATTEMPT = 1
"""Epochs of jobs say which attempt closed them; a recorded run has no job."""
Array = NDArray[Any]


@dataclass(frozen=True)
class State:
    """Is the epoch closed, and if not, for which ranks does it wait?"""

    closed: bool
    waiting_for: tuple[int, ...] = ()


def close(
    session: Session,
    *,
    run: Run,
    recording: Recording,
    epoch: int,
    rank: int,
    metrics: dict[str, Any],
    force: bool,
) -> State:
    """One rank has sent its parts of an epoch. The last one closes it. The caller holds the run, alone.

    Raises
    ------
    IncompleteEpoch
        A channel, a shard or the run's probes are missing.
    EpochClosed
        It is not closed, and a later one is.
    RunClosed
        The run has ended.
    """
    if session.get(Epoch, (run.id, epoch)) is not None:
        return State(closed=True)
    last = runs.last_closed_epoch(session, run_id=run.id)
    if last is not None and epoch < last:
        raise EpochClosed(f"Run {run.id} has closed epoch {last}; epoch {epoch} cannot be closed behind it.")
    require_running(run)
    _require_probes(session, run)
    if recording.world_size == 1:
        _require_all(shards_there(session, CurveBlock, run.id, epoch), run, recording, epoch, rank)
        _commit(session, run, recording, epoch, metrics)
        return State(closed=True)
    _close_part(session, run, recording, epoch, rank, metrics, force=force)
    waiting = missing_ranks(session, run_id=run.id, epoch=epoch, world_size=recording.world_size)
    if waiting and not force:
        return State(closed=False, waiting_for=waiting)
    merge(session, run=run, recording=recording, epoch=epoch)
    return State(closed=True)


def _require_probes(session: Session, run: Run) -> None:
    """Rows beyond the dataset are known rows: without their category and label nothing can be made of them."""
    dataset = session.get_one(Dataset, run.dataset_id)
    made = run.num_rows - dataset.num_examples
    if made == 0:
        return
    beyond = (RunProbe.run_id == run.id) & (RunProbe.row >= dataset.num_examples)
    named = session.scalar(select(func.count()).where(beyond)) or 0
    if named != made:
        raise IncompleteEpoch(
            f"Run {run.id} has {made} rows beyond its dataset and {named} probes there: send them by "
            f"`PUT /runs/{run.id}/probes` before the first epoch closes.",
            field="probes",
        )


def shards_there(
    session: Session,
    table: type[CurveBlock] | type[CurvePart],
    run_id: int,
    epoch: int,
    rank: int | None = None,
) -> set[tuple[str, int]]:
    statement = select(table.channel, table.shard).where(table.run_id == run_id, table.epoch == epoch)
    if rank is not None:
        statement = statement.where(CurvePart.rank == rank)
    return {(row[0], row[1]) for row in session.execute(statement)}


def _require_all(there: set[tuple[str, int]], run: Run, recording: Recording, epoch: int, rank: int) -> None:
    shards = range(num_shards(run.num_rows))
    needed = set(recording.channels) - (set(MAY_LACK) - {name for name, _ in there})
    missing = [(name, shard) for name in sorted(needed) for shard in shards if (name, shard) not in there]
    if missing:
        some = ", ".join(f"{name}/{shard}" for name, shard in missing[:10])
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise IncompleteEpoch(
            f"Epoch {epoch} lacks of rank {rank} (channel/shard): {some}{more}.", field="epoch"
        )


def _close_part(
    session: Session,
    run: Run,
    recording: Recording,
    epoch: int,
    rank: int,
    metrics: dict[str, Any],
    *,
    force: bool,
) -> None:
    """With `force`, a rank that has sent nothing closes for the others."""
    there = shards_there(session, CurvePart, run.id, epoch, rank)
    if force and not there:
        return
    _require_all(there, run, recording, epoch, rank)
    values = {"metrics": metrics, "digests": _digests(session, run.id, epoch, rank)}
    statement = insert(EpochPart).values(run_id=run.id, epoch=epoch, rank=rank, **values)
    session.execute(statement.on_conflict_do_update(constraint="pk_epoch_parts", set_=values))


def _digests(session: Session, run_id: int, epoch: int, rank: int) -> dict[str, str]:
    query = (
        "SELECT channel, shard, encode(sha256(data), 'hex') FROM curve_parts"
        " WHERE run_id = %s AND epoch = %s AND rank = %s"
    )
    rows = fetch_binary(session, query, [run_id, epoch, rank])
    return {f"{channel}/{shard}": digest for channel, shard, digest in rows}


def missing_ranks(session: Session, *, run_id: int, epoch: int, world_size: int) -> tuple[int, ...]:
    """The ranks that have not closed their part of an epoch."""
    statement = select(EpochPart.rank).where(EpochPart.run_id == run_id, EpochPart.epoch == epoch)
    return tuple(sorted(set(range(world_size)) - set(session.scalars(statement))))


def waiting_for(session: Session, *, run: Run, recording: Recording) -> dict[int, list[int]]:
    """Of the open epochs that some ranks have closed, in order: the ranks that have not."""
    last = runs.last_closed_epoch(session, run_id=run.id)
    is_open = (EpochPart.run_id == run.id) & (EpochPart.epoch > (-1 if last is None else last))
    open_epochs = session.scalars(select(EpochPart.epoch).where(is_open).distinct().order_by(EpochPart.epoch))
    size = recording.world_size
    return {
        epoch: list(missing_ranks(session, run_id=run.id, epoch=epoch, world_size=size))
        for epoch in open_epochs
    }


def merge(session: Session, *, run: Run, recording: Recording, epoch: int) -> None:
    """Close an epoch with the parts of the ranks that have closed theirs.

    Raises
    ------
    IncompleteEpoch
        None has.
    """
    of_epoch = (EpochPart.run_id == run.id) & (EpochPart.epoch == epoch)
    closings = session.scalars(select(EpochPart).where(of_epoch).order_by(EpochPart.rank)).all()
    if not closings:
        raise IncompleteEpoch(f"No rank has closed its part of epoch {epoch}; there is nothing to close.")
    ranks = [closing.rank for closing in closings]
    seen = {name: 0 for name in recording.channels if name not in MAY_LACK}
    for shard in range(num_shards(run.num_rows)):
        for name, number in _merge_shard(session, run, recording, epoch, ranks, shard).items():
            seen[name] += number
    # Those of epochs before, too: behind this one they cannot be closed any more.
    session.execute(delete(CurvePart).where(CurvePart.run_id == run.id, CurvePart.epoch <= epoch))
    missing = sorted(set(range(recording.world_size)) - set(ranks))
    of_all = {"counts": seen, "coverage": coverage(session, run, seen), "missing_ranks": missing or None}
    known = {name: value for name, value in of_all.items() if value is not None}
    _commit(session, run, recording, epoch, closings[0].metrics | known)


def _merge_shard(
    session: Session, run: Run, recording: Recording, epoch: int, ranks: Sequence[int], shard: int
) -> dict[str, int]:
    """The blocks of a shard of the parts of some ranks. Per channel, how many rows were seen."""

    def parts(channel: str) -> list[Array]:
        query = (
            "SELECT data FROM curve_parts WHERE run_id = %s AND epoch = %s AND channel = %s AND shard = %s"
            " AND rank = ANY(%s) ORDER BY rank"
        )
        little = np.dtype(recording.channels[channel]).newbyteorder("<")
        found = fetch_binary(session, query, [run.id, epoch, channel, shard, list(ranks)])
        return [np.frombuffer(data, little) for (data,) in found]

    counts = parts(COUNT) if COUNT in recording.channels else None
    seen = {}
    for channel, dtype in recording.channels.items():
        if channel in MAY_LACK:
            looked = parts(channel)
            if not looked:
                continue
            merged, _ = combine(looked)  # of no pass: neither counts nor coverage are of it
        elif counts is None:
            merged, seen[channel] = combine(parts(channel))
        elif channel == COUNT:
            merged, seen[channel] = added(counts)
        else:
            merged, seen[channel] = mean(parts(channel), counts)
        write_block(session, run.id, Part(channel, epoch, shard, 0, dtype, merged.tobytes()))
    return seen


def combine(parts: Sequence[Array]) -> tuple[Array, int]:
    """Parts of the same rows, lowest rank first: of each row the first value that was seen, and how many were."""
    merged = parts[0].copy()
    unseen = ~is_seen(merged)
    for part in parts[1:]:
        np.copyto(merged, part, where=unseen)
        unseen &= ~is_seen(part)
    return merged, int(len(merged) - unseen.sum())


def added(counts: Sequence[Array]) -> tuple[Array, int]:
    """How often each row was seen by all ranks, and how many rows were at all. Never beyond what the dtype holds."""
    dtype = counts[0].dtype
    total = _times(counts).sum(axis=0)
    return np.minimum(total, np.iinfo(dtype).max).astype(dtype), int((total > 0).sum())


def mean(parts: Sequence[Array], counts: Sequence[Array]) -> tuple[Array, int]:
    """Parts of the same rows, and how often each rank saw each row, lowest rank first.

    Of each row the mean of floats over all that was seen; of integers the lowest rank's value; and how many rows were
    seen.

    Notes
    -----
    Each part holds its rank's mean *m* of *c* values: of all it is the sum of *c m* by the sum of *c*, in float64.
    A value that is NaN or infinite makes the mean so, as it does within one rank; what was not seen weighs nothing.
    """
    times = _times(counts)
    total = times.sum(axis=0)
    seen = total > 0
    if parts[0].dtype.kind != "f":
        return combine(parts)[0], int(seen.sum())
    merged = np.full_like(parts[0], np.nan)
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN, and that is what is kept
        sums = sum(
            np.where(of > 0, part.astype(np.float64), 0) * of for part, of in zip(parts, times, strict=True)
        )
        merged[seen] = sums[seen] / total[seen]
    return merged, int(seen.sum())


def _times(counts: Sequence[Array]) -> NDArray[np.int64]:
    """Counts [ranks, rows]; a rank that sent no value of a row (−1) did not see it."""
    return np.maximum(np.stack(counts).astype(np.int64), 0)


def is_seen(values: Array) -> NDArray[np.bool_]:
    """NaN in floats and −1 in integers say that a row was not seen."""
    return ~np.isnan(values) if values.dtype.kind == "f" else np.asarray(values != -1)


def coverage(session: Session, run: Run, seen: dict[str, int]) -> float | None:
    """Share of the rows to be trained that were seen: the train split, less those whose place a made probe took."""
    channel = "loss" if "loss" in seen else min(seen, default=None)
    if channel is None:
        return None
    dataset = session.get_one(Dataset, run.dataset_id)
    made = (RunProbe.run_id == run.id) & (RunProbe.row >= dataset.num_examples)
    displaced = session.scalar(select(func.count(RunProbe.source_row.distinct())).where(made)) or 0
    expected = dataset.splits.get("train", 0) - displaced + run.num_rows - dataset.num_examples
    return min(1.0, seen[channel] / expected) if expected > 0 else None


def _commit(session: Session, run: Run, recording: Recording, epoch: int, metrics: dict[str, Any]) -> None:
    runs.close_epoch(session, run_id=run.id, epoch=epoch, attempt=ATTEMPT, metrics=metrics)
    announced = recording.num_epochs or 1
    run.num_epochs = max(announced, epoch + 1)
    session.flush()
