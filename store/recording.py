"""② Runs that are trained elsewhere and recorded here: begun, gone on with, finished, reopened.

::

    begin ──> running ── finish ──> finished, failed, aborted
                ^                       │
                └── resume, reopen ─────┘    (not when a tagging looks at it)

Whoever writes to a run holds its row: shared for a part of a block, alone for what opens or closes anything. Taggings
that wait for the run are locked before it, as in `store.jobs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from sondage.errors import Conflict
from store import closing, curve_parts, runs, taggings
from store.tables import Dataset, Recording, Run, RunProbe, Tagging, TaggingRun

ABORTED = "It was aborted on the server."


class RunDiffers(Conflict):
    """A run of this name is there, and it is not the one that was announced."""

    code = "run_differs"


class EpochOpen(Conflict):
    """An epoch still waits for the parts of some ranks."""

    code = "epoch_open"


@dataclass(frozen=True)
class NewRecording:
    """What a client announces. `session` is its training process's own word."""

    name: str
    num_rows: int
    channels: dict[str, str]
    num_epochs: int | None = None
    protocol: dict[str, Any] | None = None
    suite_id: int | None = None
    client_version: str = ""
    world_size: int = 1
    session: str | None = None


def begin(
    session: Session, *, dataset: Dataset, new: NewRecording, resume: bool
) -> tuple[Run, Recording, bool]:
    """A running run without a job, or the one of this name to go on with.

    Returns
    -------
    The run, what it announced, and whether it was made now.

    Raises
    ------
    Conflict
        The name is taken, and `resume` was not asked for or what was announced differs.
    """
    try:
        run = runs.create(
            session,
            dataset=dataset,
            name=new.name,
            suite_id=new.suite_id,
            recipe={},
            protocol=new.protocol or {},
            num_epochs=new.num_epochs or 1,
            seed=0,
            slot=0,
            num_slots=1,
        )
    except Conflict:
        return *_go_on(session, dataset, new, resume=resume), False
    run.state, run.num_rows = "running", new.num_rows
    recording = Recording(
        run_id=run.id,
        channels=new.channels,
        world_size=new.world_size,
        num_epochs=new.num_epochs,
        client_version=new.client_version,
        session=new.session,
    )
    session.add(recording)
    session.flush()
    return run, recording, True


def _go_on(session: Session, dataset: Dataset, new: NewRecording, *, resume: bool) -> tuple[Run, Recording]:
    of_name = (Run.project_id == dataset.project_id) & (Run.name == new.name)
    run = session.scalars(select(Run).where(of_name).with_for_update()).one()
    recording = session.get(Recording, run.id)
    if recording is None:
        raise Conflict(f"Run {new.name!r} is trained by a job of the server; choose another name.")
    same_process = new.session is not None and new.session == recording.session
    differing = _differing(run, recording, dataset, new)
    if differing:
        raise RunDiffers(f"There is a run {new.name!r} already, and it differs: {'; '.join(differing)}.")
    if not (resume or same_process):
        raise RunDiffers(
            f"There is a run {new.name!r} already (run {run.id}, {run.state}). Go on with it by resume=True, or "
            "choose another name."
        )
    if not same_process or new.world_size != recording.world_size:
        _take_over(session, run, recording, new)
    return run, recording


def _differing(run: Run, recording: Recording, dataset: Dataset, new: NewRecording) -> list[str]:
    pairs = {
        "dataset_id": (run.dataset_id, dataset.id),
        "num_rows": (run.num_rows, new.num_rows),
        "channels": (recording.channels, new.channels),
        "suite_id": (run.suite_id, new.suite_id),
    }
    return [f"{name} is {there!r}, not {asked!r}" for name, (there, asked) in pairs.items() if there != asked]


def _take_over(session: Session, run: Run, recording: Recording, new: NewRecording) -> None:
    """Another process goes on: what the former one left of open epochs is trained again."""
    _reopen(session, run)
    curve_parts.drop_open(session, run_id=run.id)
    recording.world_size, recording.session = new.world_size, new.session
    recording.client_version, recording.message = new.client_version, None
    if new.num_epochs is not None:
        recording.num_epochs = new.num_epochs
        run.num_epochs = max(new.num_epochs, runs.epochs_done(session, run_ids=[run.id]).get(run.id, 0))
    session.flush()


# Put together once: for every block of a recording it would be a third of what its statements take in Python.
_HELD = {
    alone: select(Run, Recording)
    .join(Recording, Recording.run_id == Run.id)
    .where(Run.project_id == bindparam("project_id"), Run.id == bindparam("run_id"))
    .with_for_update(of=Run, read=not alone)
    .execution_options(populate_existing=True)
    for alone in (True, False)
}


def held(session: Session, *, project_id: int, run_id: int, alone: bool = True) -> tuple[Run, Recording]:
    """A recorded run and what it announced, locked for this transaction.

    Raises
    ------
    NotFound
        There is no such run in the project.
    Conflict
        A job trains it.
    """
    row = session.execute(_HELD[alone], {"project_id": project_id, "run_id": run_id}).one_or_none()
    if row is not None:
        return row[0], row[1]
    run = runs.get(session, project_id=project_id, run_id=run_id)
    raise Conflict(
        f"Run {run.id} ({run.name}) is trained by a job of the server; nothing is recorded into it."
    )


def get(session: Session, *, run: Run) -> Recording | None:
    """What a run has announced; None when a job trains it."""
    return session.get(Recording, run.id)


def among(session: Session, *, run_ids: Sequence[int]) -> set[int]:
    """Those of these runs that are recorded from elsewhere."""
    return set(session.scalars(select(Recording.run_id).where(Recording.run_id.in_(run_ids))))


def finish(
    session: Session, *, project_id: int, run_id: int, state: str, message: str | None, force: bool
) -> tuple[Run, Recording]:
    """End a run, and wake the taggings that wait for it. Asked again, nothing happens.

    Epochs that some ranks have closed are closed with what is there when `force` is given or the training broke off;
    what no rank has closed is dropped.

    Raises
    ------
    EpochOpen
        A run that is to be `finished` has an epoch that waits for ranks.
    RunClosed
        It has ended in another state.
    """
    taggings.hold_waiting(session, run_id=run_id)
    run, recording = held(session, project_id=project_id, run_id=run_id)
    if run.state == state:
        return run, recording
    curve_parts.require_running(run)
    waiting = closing.waiting_for(session, run=run, recording=recording)
    if waiting and state == "finished" and not force:
        epoch, ranks = next(iter(waiting.items()))
        raise EpochOpen(
            f"Epoch {epoch} of run {run.id} waits for the ranks {ranks}: send them, or use force."
        )
    for epoch in waiting:
        closing.merge(session, run=run, recording=recording, epoch=epoch)
    curve_parts.drop_open(session, run_id=run.id)
    recording.message = message
    runs.set_state(session, run_id=run.id, state=state)
    taggings.run_has_ended(session, run_id=run.id, state=state)
    session.flush()
    session.refresh(run)
    return run, recording


def abort(session: Session, *, project_id: int, run_id: int) -> Run:
    """End a run from the server's side. What its epochs have closed stays; a run that has ended stays as it is.

    The training is not touched. What its recorder sends from now on is refused (`RunClosed`) and waits in its spool,
    until the run is reopened.
    """
    taggings.hold_waiting(session, run_id=run_id)
    run, _ = held(session, project_id=project_id, run_id=run_id)
    if run.state == "running":
        finish(session, project_id=project_id, run_id=run_id, state="aborted", message=ABORTED, force=True)
    return run


def reopen(session: Session, *, project_id: int, run_id: int) -> tuple[Run, Recording]:
    """Let a run that has ended record again.

    Raises
    ------
    Conflict
        A tagging was made from its whole curves: they must stay what they were. One by its first epochs is no
        hindrance, since closed epochs never change.
    """
    run, recording = held(session, project_id=project_id, run_id=run_id)
    _reopen(session, run)
    return run, recording


def _reopen(session: Session, run: Run) -> None:
    if run.state == "running":
        return
    used_by = select(Tagging.id).join(TaggingRun, TaggingRun.tagging_id == Tagging.id)
    of_all_epochs = used_by.where(TaggingRun.run_id == run.id, ~taggings.is_early())
    tagging_id = session.scalar(of_all_epochs.order_by(Tagging.id).limit(1))
    if tagging_id is not None:
        raise Conflict(
            f"Tagging {tagging_id} was made from run {run.id} ({run.name}), whose curves must stay as they are. "
            "Delete the tagging first, or record a new run."
        )
    run.state, run.finished_at = "running", None
    session.flush()


def plant(session: Session, *, run: Run, probes: list[runs.PlantedProbe]) -> None:
    """Store the known rows of a run, in place of those it had.

    Raises
    ------
    EpochClosed
        An epoch has closed: its curves are those of the rows as they were.
    """
    curve_parts.require_running(run)
    if runs.last_closed_epoch(session, run_id=run.id) is not None:
        raise curve_parts.EpochClosed(
            f"Run {run.id} has closed its first epoch; its probes can be named before that alone."
        )
    session.execute(delete(RunProbe).where(RunProbe.run_id == run.id))
    runs.plant(session, run=run, probes=probes)
