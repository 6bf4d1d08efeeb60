"""② Runs: one training over one dataset version, its epochs and its planted probes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from sondage.errors import Conflict, NotFound
from store.bulk import copy_in, driver_connection
from store.paging import ascending, newest_first
from store.tables import Dataset, Epoch, Run, RunProbe


@dataclass(frozen=True)
class PlantedProbe:
    """A probe of a run; `label` is what the training is told.

    `source_row` is the example it was made from. One of the user's own has none, and takes nobody's place;
    `example_index` is its index among the suite's, where these are on the server.
    """

    row: int
    category: str
    role: str
    generator: str
    source_row: int | None
    label: int
    example_index: int | None = None


def create(
    session: Session,
    *,
    dataset: Dataset,
    name: str,
    suite_id: int | None,
    recipe: dict[str, Any],
    protocol: dict[str, Any],
    num_epochs: int,
    seed: int,
    slot: int,
    num_slots: int,
) -> Run:
    """A queued run. Its name is taken once per project."""
    values = {
        "project_id": dataset.project_id,
        "dataset_id": dataset.id,
        "suite_id": suite_id,
        "name": name,
        "recipe": recipe,
        "protocol": protocol,
        "seed": seed,
        "slot": slot,
        "num_slots": num_slots,
        "num_epochs": num_epochs,
        "num_rows": dataset.num_examples,
        "state": "queued",
    }
    statement = insert(Run).values(values).on_conflict_do_nothing(constraint="uq_runs__project_id_name")
    run = session.scalars(statement.returning(Run)).one_or_none()
    if run is None:
        raise Conflict(f"There is a run {name!r} already; choose another name or delete it first.")
    return run


def get(session: Session, *, project_id: int, run_id: int) -> Run:
    run = session.scalars(select(Run).where(Run.project_id == project_id, Run.id == run_id)).one_or_none()
    if run is None:
        raise NotFound(f"There is no run {run_id} in this project.")
    return run


def listed(
    session: Session,
    *,
    project_id: int,
    dataset_id: int | None = None,
    name: str | None = None,
    state: str | None = None,
    below: int | None = None,
    limit: int = 100,
) -> tuple[Sequence[Run], int | None]:
    statement = select(Run).where(Run.project_id == project_id)
    if dataset_id is not None:
        statement = statement.where(Run.dataset_id == dataset_id)
    if name is not None:
        statement = statement.where(Run.name == name)
    if state is not None:
        statement = statement.where(Run.state == state)
    return newest_first(session, statement, number=Run.id, below=below, limit=limit)


def set_state(session: Session, *, run_id: int, state: str) -> None:
    ended = func.now() if state in ("finished", "failed", "aborted") else None
    session.execute(update(Run).where(Run.id == run_id).values(state=state, finished_at=ended))


def finished(session: Session, *, run_ids: Sequence[int]) -> list[int]:
    """Those of these runs that have finished."""
    statement = select(Run.id).where(Run.id.in_(run_ids), Run.state == "finished")
    return list(session.scalars(statement.order_by(Run.id)))


# ---- probes


def plant(session: Session, *, run: Run, probes: Iterable[PlantedProbe]) -> None:
    """Store the probes of a run that has none, and its final number of rows."""
    rows = list(probes)
    copy_in(
        session,
        "run_probes",
        ("run_id", "row", "category", "role", "generator", "source_row", "label", "example_index"),
        ("int8", "int8", "text", "text", "text", "int8", "int4", "int8"),
        (
            (run.id, p.row, p.category, p.role, p.generator, p.source_row, p.label, p.example_index)
            for p in rows
        ),
    )
    run.num_rows = max([run.num_rows, *(p.row + 1 for p in rows)])
    session.flush()


def probes(session: Session, *, run_id: int) -> Sequence[RunProbe]:
    """All planted probes of a run, by row."""
    return session.scalars(select(RunProbe).where(RunProbe.run_id == run_id).order_by(RunProbe.row)).all()


def probe(session: Session, *, run_id: int, row: int) -> RunProbe:
    found = session.get(RunProbe, (run_id, row))
    if found is None:
        raise NotFound(f"Row {row} of run {run_id} is no probe.")
    return found


def probes_at(session: Session, *, run_id: int, rows: Sequence[int]) -> dict[int, RunProbe]:
    """Those of these rows that are planted probes."""
    statement = select(RunProbe).where(RunProbe.run_id == run_id, RunProbe.row.in_(rows))
    return {probe.row: probe for probe in session.scalars(statement)}


def probes_page(
    session: Session, *, run_id: int, above: int | None = None, limit: int = 100
) -> tuple[Sequence[RunProbe], int | None]:
    statement = select(RunProbe).where(RunProbe.run_id == run_id)
    return ascending(session, statement, number=RunProbe.row, above=above, limit=limit)


# ---- epochs


def close_epoch(session: Session, *, run_id: int, epoch: int, attempt: int, metrics: dict[str, Any]) -> None:
    """Say that all blocks of the epoch are written. Closed again by a later attempt, it is replaced."""
    # By the driver: an epoch of a small run takes 3 ms to write, of which building this statement took half of one.
    driver_connection(session).execute(
        "INSERT INTO epochs (run_id, epoch, attempt, metrics) VALUES (%s, %s, %s, %s) ON CONFLICT (run_id, epoch)"
        " DO UPDATE SET attempt = EXCLUDED.attempt, metrics = EXCLUDED.metrics, closed_at = now()",
        [run_id, epoch, attempt, Jsonb(metrics)],
    )


_LAST_CLOSED = select(func.max(Epoch.epoch)).where(Epoch.run_id == bindparam("run_id"))


def last_closed_epoch(session: Session, *, run_id: int) -> int | None:
    return session.scalar(_LAST_CLOSED, {"run_id": run_id})


def last_fruitful_attempt(session: Session, *, run_id: int) -> int:
    """The newest attempt that closed an epoch, 0 when none did."""
    return session.scalar(select(func.max(Epoch.attempt)).where(Epoch.run_id == run_id)) or 0


def epochs_done(session: Session, *, run_ids: Sequence[int]) -> dict[int, int]:
    """How many epochs each run has closed."""
    statement = select(Epoch.run_id, func.count()).where(Epoch.run_id.in_(run_ids)).group_by(Epoch.run_id)
    return {row[0]: row[1] for row in session.execute(statement)}


def epochs(
    session: Session, *, run_id: int, above: int | None = None, limit: int = 1000
) -> tuple[Sequence[Epoch], int | None]:
    statement = select(Epoch).where(Epoch.run_id == run_id)
    return ascending(session, statement, number=Epoch.epoch, above=above, limit=limit)
