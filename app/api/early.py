"""⑤ Taggings by the first epochs of their runs: how many there are to look at, of trainings that still go on too."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from sondage.errors import Conflict, InvalidInput
from sondage.wire import TaggingCreate
from store import recording, runs, taggings
from store.tables import Run


def parameters_of(session: Session, body: TaggingCreate, found: list[Run]) -> dict[str, Any]:
    """What the tagging keeps of the request: neighbours, and the number of epochs where not all are to be looked at.

    Raises
    ------
    InvalidInput
        Both `epochs` and `now`, or more epochs than a run has completed.
    Conflict
        A run has completed no epoch.
    """
    kept: dict[str, Any] = {} if body.k is None else {"k": body.k}
    epochs = _first_epochs(session, body, found)
    if epochs is not None:
        kept |= {taggings.EPOCHS: epochs, taggings.OF_EPOCHS: _planned(session, found)}
    return kept


def _planned(session: Session, found: list[Run]) -> int | None:
    """How many epochs the longest run is to have; None where a recorded run has not said so, and has not ended."""
    for run in found:
        recorded = recording.get(session, run=run)
        if recorded is not None and recorded.num_epochs is None and run.state == "running":
            return None
    return max(run.num_epochs for run in found)


def _first_epochs(session: Session, body: TaggingCreate, found: list[Run]) -> int | None:
    """None for all of them: nothing was asked for, or the runs have finished and have no more."""
    if body.epochs is None and not body.now:
        return None
    if body.epochs is not None and body.now:
        raise InvalidInput("Say how many epochs, or now: not both.", field="now")
    counts = runs.epochs_done(session, run_ids=[run.id for run in found])
    done = [counts.get(run.id, 0) for run in found]
    least, run = min(zip(done, found, strict=True), key=lambda one: one[0])
    if least == 0:
        raise Conflict(
            f"Run {run.id} ({run.name}) has completed no epoch yet, so there is nothing to tag by: "
            + ("leave it out, or ask again later." if max(done) else "ask again later.")
        )
    epochs = least if body.epochs is None else body.epochs
    if epochs > least:
        raise InvalidInput(
            f"Run {run.id} ({run.name}) has completed {least} of {run.num_epochs} epochs, and {epochs} were asked for: "
            f"ask for {least} at most, or later.",
            field="epochs",
        )
    whole = all(one.state == "finished" for one in found) and (body.now or max(done) == epochs)
    return None if whole else epochs
