"""③ Brings waiting epochs to the server, in order. Knows no thread: the recorder runs it in one, a command itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sondage.errors import Conflict, InvalidInput, Unavailable
from sondage.recorder.channels import OF_LOOKS
from sondage.recorder.parcel import Parcel
from sondage.recorder.spool import RunSpec
from sondage.types import AnyArray

if TYPE_CHECKING:
    from sondage.client import Client
    from sondage.wire import Dataset, RecordedRun

SHARD_ROWS = 65_536
"""Rows of one block. Part of the contract with the server."""


class NotYet(Unavailable):
    """Another rank is not as far. Nothing is wrong."""


class NameTaken(Conflict):
    """Another training has begun a run of this name meanwhile, or this one may not be gone on with."""


class Look(NamedTuple):
    """What the server has before a recording begins."""

    num_examples: int
    next_epoch: int


class Courier:
    """One process's way to the server.

    Parameters
    ----------
    client : Client
    spec : RunSpec
        What makes the run.
    rank : int
    dataset : bytes or None
        What makes the dataset, as an Arrow stream; None where it is registered.
    probes : sequence of mappings
        Which rows are planted probes.
    resume : bool
        Go on with a run of this name, whoever began it.
    """

    def __init__(
        self,
        client: Client,
        spec: RunSpec,
        rank: int,
        dataset: bytes | None,
        *,
        probes: Sequence[Mapping[str, Any]] = (),
        resume: bool = False,
    ) -> None:
        self.client = client
        self.spec = spec
        self.probes = probes
        self.rank = rank
        self.run_id: int | None = None
        self.num_rows = 0
        self.next_epoch = 0
        self.num_late = 0
        self._dataset = dataset
        self._resume = resume
        self._checked_dataset: int | None = None

    def look(self) -> Look:
        """What is there before anything is recorded: makes the dataset, and no run yet.

        Raises
        ------
        Conflict
            The name is taken and is not to be gone on with, or the run differs.
        """
        dataset = self._make_dataset()
        there = self.client.recording.find(self.spec.run)
        if there is None or (self.rank and not self._resume):  # rank 0 may have been faster
            return Look(dataset.num_examples, 0)
        if not self._resume:
            raise Conflict(
                f"There is a run {self.spec.run!r} already ({there.run.state}): go on with it by resume=True, or "
                "choose another name."
            )
        if there.run.dataset_id != dataset.id or there.channels != dict(self.spec.channels):
            raise Conflict(
                f"Run {self.spec.run!r} was begun with another dataset or other channels "
                f"({', '.join(f'{name} {dtype}' for name, dtype in there.channels.items())}): choose another name."
            )
        return Look(dataset.num_examples, there.next_epoch)

    def begin(self) -> None:
        """Make the run, or go on with it. Done twice it does no harm.

        Raises
        ------
        NameTaken
            There is a run of this name that is not this one's.
        """
        dataset = self._make_dataset()
        try:
            recorded = self.client.recording.begin(self.spec, dataset, resume=self._resume)
        except Conflict as fault:
            raise NameTaken(str(fault)) from None
        self.num_rows, self.next_epoch = recorded.run.num_rows, recorded.next_epoch
        if self.probes and not recorded.next_epoch:
            self.client.recording.plant(recorded.run.id, self.probes)
        self.run_id = recorded.run.id

    def _make_dataset(self) -> Dataset:
        dataset = self.client.recording.dataset(self.spec.dataset, self._dataset)
        self._check_number(dataset.num_examples)
        self._check_keys(dataset)
        return dataset

    def send(self, parcel: Parcel) -> bool:
        """Send one epoch. Is it closed now, or does it wait for other ranks?

        One that was closed before is left as it is: its ranks were given up, or another process sent it.
        """
        if self.run_id is None:
            self.begin()
        try:
            return self._send(parcel)
        except Conflict:
            if parcel.epoch >= self._recorded().next_epoch:
                raise
            self.num_late += 1
            return True

    def end(self, state: str, *, force: bool) -> None:
        """End the run, for the lowest rank; the others have nothing to say.

        Raises
        ------
        NotYet
            An epoch waits for other ranks, and `force` is not given.
        """
        if self.run_id is None:
            self.begin()
        if self.rank != 0 or self.run_id is None:
            return
        try:
            self.client.recording.finish(self.run_id, state, force=force)
        except Conflict:
            # By now they may have sent them: as long as the run is open, asking again is right.
            if force or self._recorded().run.state != "running":
                raise
            raise NotYet("Other ranks have not sent their parts of the last epochs.") from None

    def _send(self, parcel: Parcel) -> bool:
        if self.run_id is None:  # pragma: no cover  # begin has set it
            raise Unavailable("The run was not begun.")
        for name, dtype in self.spec.channels.items():
            if name in OF_LOOKS and name not in parcel.channels:
                continue  # nobody looked
            values = self._whole(parcel, name, dtype)
            for shard, start in enumerate(range(0, self.num_rows, SHARD_ROWS)):
                part = values[start : start + SHARD_ROWS]
                self.client.recording.put(self.run_id, name, parcel.epoch, shard, self.rank, part)
        return self.client.recording.close(self.run_id, parcel).closed

    def _whole(self, parcel: Parcel, name: str, dtype: str) -> AnyArray:
        """All rows of the run; those beyond what was logged, and all of a lost epoch, are not seen."""
        values = parcel.channels.get(name)
        if values is not None and len(values) == self.num_rows:
            return values
        if values is not None and len(values) > self.num_rows:
            raise InvalidInput(
                f"Rows up to {len(values) - 1} were logged; the run on {self.spec.dataset} has {self.num_rows}. "
                "Was the run recorded on another version of it?"
            )
        whole = np.full(self.num_rows, np.nan if dtype.startswith("float") else -1, dtype)
        if values is not None:
            whole[: len(values)] = values
        return whole

    def _check_number(self, num_examples: int) -> None:
        if self.spec.num_examples not in (None, num_examples):
            raise InvalidInput(
                f"Dataset {self.spec.dataset} has {num_examples} examples on the server, and "
                f"{self.spec.num_examples} were announced: pass labels= to record on a dataset of your own.",
                field="num_examples",
            )

    def _check_keys(self, dataset: Dataset) -> None:
        """Of a dataset that was registered before: rows were told by ids, which must be its keys in its order."""
        ids = (self.spec.examples or {}).get("ids") if self._dataset is None else None
        if ids is None or self._checked_dataset == dataset.id:
            return
        if self.client.recording.keys_digest(dataset) != ids:
            raise InvalidInput(
                f"The ids that init was given are not the keys of dataset {self.spec.dataset} (version "
                f"{dataset.version}) in its order, and curves would go to other examples: pass "
                f"ids=Client().datasets.keys({self.spec.dataset!r}), or labels= too, to record on a dataset of your "
                "own.",
                field="ids",
            )
        self._checked_dataset = dataset.id

    def _recorded(self) -> RecordedRun:
        if self.run_id is None:  # pragma: no cover  # begin has set it
            raise Unavailable("The run was not begun.")
        return self.client.recording.get(self.run_id)


def connect(url: str | None, key: str | None, project: str, *, timeout_seconds: float = 30.0) -> Client:
    """A client, imported when it is first used: a recorder that never sends needs neither httpx nor pydantic."""
    made: Any = import_module("sondage.client")
    client: Client = made.Client(url, key, project, timeout_seconds=timeout_seconds)
    return client
