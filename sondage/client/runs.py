"""② Runs: start trainings, watch them, read what they recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np

from sondage.client.blocks import read_channel
from sondage.client.datasets import DatasetRef, Datasets
from sondage.client.http import Http
from sondage.client.jobs import Jobs, OnProgress
from sondage.client.problems import checked
from sondage.client.tagging_wait import wait_for_tagging
from sondage.errors import Conflict, InvalidInput, NotFound
from sondage.types import AnyArray, CurveArray
from sondage.wire import (
    Curves,
    Deleted,
    Epoch,
    Job,
    Probe,
    RecordedRun,
    Run,
    RunAborted,
    RunCreate,
    RunsCreated,
    Tagging,
)

RunRef: TypeAlias = Run | int | str
"""A run, its number, or its name."""


@dataclass(frozen=True)
class StartedRuns:
    """One run per seed, their jobs, and the tagging that follows them."""

    runs: tuple[Run, ...]
    jobs: tuple[Job, ...]
    tagging: Tagging | None
    _of: Runs = field(repr=False, compare=False)

    def wait(self, *, on_progress: OnProgress | None = None) -> StartedRuns:
        """Wait for the trainings and the tagging; the same runs, jobs and tagging as they are then.

        Raises
        ------
        JobFailed, JobAborted
            The first one that did not succeed. The other jobs go on.
        """
        return self._of._finished(self, on_progress)


class Runs:
    """`client.runs`."""

    def __init__(self, http: Http, jobs: Jobs, datasets: Datasets) -> None:
        self._http = http
        self._jobs = jobs
        self._datasets = datasets

    def start(
        self,
        dataset: DatasetRef,
        *,
        name: str | None = None,
        recipe: Mapping[str, Any] | None = None,
        seeds: Sequence[int] = (0, 1),
        suite: str | None = "default",
        tag: bool = True,
    ) -> StartedRuns:
        """Train with planted probes, once per seed, and tag when the last run has finished.

        Parameters
        ----------
        name : str, optional
            The runs' names begin with it; the dataset's name and the time when not given.
        recipe : mapping, optional
            What is to differ from the usual recipe, such as `{"num_epochs": 10}`.
        seeds : sequence of int
            At least two give every example a tag from a run in which no probe took its place.
        suite : str, optional
            Name of a suite of generators; None plants nothing.
        tag : bool
            Tag with the default tagger afterwards, unless nothing is planted.
        """
        chosen = self._datasets.get(dataset)
        body = checked(
            RunCreate,
            name=name or _usual_name(chosen.name),
            dataset_id=chosen.id,
            suite=suite,
            recipe=dict(recipe or {}),
            seeds=list(seeds),
            tag=tag and suite is not None,
        )
        created = self._http.post(RunsCreated, self._path(), body)
        return StartedRuns(tuple(created.runs), tuple(created.jobs), created.tagging, self)

    def _finished(self, started: StartedRuns, on_progress: OnProgress | None) -> StartedRuns:
        jobs = tuple(self._jobs.wait_all(started.jobs, on_progress=on_progress))
        tagging = started.tagging
        if tagging is not None:
            tagging = wait_for_tagging(self._http, self._jobs, tagging.id, on_progress)
        return StartedRuns(tuple(self.get(run) for run in started.runs), jobs, tagging, self)

    def get(self, run: RunRef) -> Run:
        if isinstance(run, str):
            return self._http.newest_named(Run, self._path(), run)
        return self._http.get(Run, self._path(self.number(run)))

    def number(self, run: RunRef) -> int:
        if isinstance(run, str):
            return self.get(run).id
        return run if isinstance(run, int) else run.id

    def named(self, run: RunRef) -> tuple[Run, ...]:
        """The run; or, for a name that was given to `start`, the runs of all its seeds."""
        try:
            return (self.get(run),)
        except NotFound:
            found = [other for other in self.list() if other.name == f"{run}-s{other.seed}"]
            if not found:
                raise
            return tuple(sorted(found, key=lambda other: other.slot))

    def list(
        self, *, dataset: DatasetRef | None = None, state: str | None = None, limit: int | None = None
    ) -> Iterator[Run]:
        """Newest first."""
        number = None if dataset is None else self._datasets.number(dataset)
        return self._http.pages(Run, self._path(), limit=limit, dataset_id=number, state=state)

    def abort(self, run: RunRef) -> RunAborted:
        """Ask for the end of a training; what it recorded so far stays.

        A run that a loop of the user's own records is closed at once. The training itself goes on: its recorder warns,
        and keeps what follows in its spool, to be sent by `sondage sync` once the run is reopened.
        """
        return self._http.post(RunAborted, self._path(self.number(run), "abort"))

    def reopen(self, run: RunRef) -> Run:
        """Let a run that was recorded from a loop of the user's own, and has ended, take more epochs.

        Raises
        ------
        Conflict
            A tagging was made from it, or a worker trained it.
        """
        return self._http.post(RecordedRun, self._path(self.number(run), "reopen")).run

    def resume(self, run: RunRef) -> Job:
        """Queue a training again that failed or was aborted; it goes on from its last closed epoch.

        A tagging that ended with it stays ended: tag again when the runs have finished.

        Raises
        ------
        Conflict
            The run is open, has finished, or was not trained by a worker.
        """
        return self._http.post(Job, self._path(self.number(run), "resume"))

    def delete(self, run: RunRef, *, cascade: bool = False, dry_run: bool = False) -> Deleted:
        """See `Datasets.delete`."""
        return self._http.delete(Deleted, self._path(self.number(run)), cascade=cascade, dry_run=dry_run)

    def epochs(self, run: RunRef) -> Iterator[Epoch]:
        """What was measured in each closed epoch, the first one first."""
        return self._http.pages(Epoch, self._path(self.number(run), "epochs"))

    def probes(self, run: RunRef) -> Iterator[Probe]:
        """The planted ones, by row."""
        return self._http.pages(Probe, self._path(self.number(run), "probes"))

    def curve(self, run: RunRef, rows: Sequence[int], channel: str = "loss") -> CurveArray:
        """The curves of a few rows, shape (len(rows), epochs); NaN where a row was not seen."""
        if not len(rows):
            raise InvalidInput("Say of which rows.", field="rows")
        path = self._path(self.number(run), "curves", channel)
        answer = self._http.get(Curves, path, rows=",".join(str(int(row)) for row in rows))
        by_row = {curve.row: curve.values for curve in answer.curves}
        return np.array([by_row[int(row)] for row in rows], dtype=np.float64)

    def curves(self, run: RunRef, channel: str = "loss") -> AnyArray:
        """A channel of all rows, shape (rows, epochs closed so far), in the dtype it is stored in.

        `loss` in nats and `margin` in logits have NaN where a row was not seen, `predicted` has −1.

        Raises
        ------
        Conflict
            The run has closed no epoch.
        """
        chosen = self.get(run)
        if not chosen.epochs_done:
            raise Conflict(f"Run {chosen.name} has closed no epoch yet: wait for its first.")
        return read_channel(self._http, chosen, channel)

    def _path(self, *parts: object) -> str:
        return self._http.of_project("runs", *parts)


def _usual_name(dataset_name: str) -> str:
    """Unique as long as nobody starts two in one second; the server refuses the second."""
    now = datetime.now(UTC)
    return f"{dataset_name[:180]}-{now:%Y%m%d-%H%M%S}"
