"""③ Brings waiting epochs to the server, in order. Knows no thread: the recorder runs it in one, a command itself."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from sondage.errors import Conflict, InvalidInput, Unavailable
from sondage.recorder.parcel import Parcel
from sondage.recorder.spool import RunSpec
from sondage.types import AnyArray

if TYPE_CHECKING:
    from sondage.client import Client
    from sondage.wire import RecordedRun

SHARD_ROWS = 65_536
"""Rows of one block. Part of the contract with the server."""


class NotYet(Unavailable):
    """Another rank is not as far. Nothing is wrong."""


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
    resume : bool
        Go on with a run of this name, whoever began it.
    """

    def __init__(
        self, client: Client, spec: RunSpec, rank: int, dataset: bytes | None, *, resume: bool = False
    ) -> None:
        self.client = client
        self.spec = spec
        self.rank = rank
        self.run_id: int | None = None
        self.num_rows = 0
        self.num_examples = 0
        self.num_classes = 0
        self.next_epoch = 0
        self.num_late = 0
        self._dataset = dataset
        self._resume = resume

    def begin(self) -> None:
        """Make dataset and run, or find them. Done twice it does no harm."""
        dataset = self.client.recording.dataset(self.spec.dataset, self._dataset)
        self._check_number(dataset.num_examples)
        recorded = self.client.recording.begin(self.spec, dataset, resume=self._resume)
        self.run_id, self.num_rows = recorded.run.id, recorded.run.num_rows
        self.num_examples, self.num_classes = dataset.num_examples, len(dataset.class_names)
        self.next_epoch = recorded.next_epoch

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
            if force or not self._recorded().waiting_for:
                raise
            raise NotYet("Other ranks have not sent their parts of the last epochs.") from None

    def _send(self, parcel: Parcel) -> bool:
        if self.run_id is None:  # pragma: no cover  # begin has set it
            raise Unavailable("The run was not begun.")
        for name, dtype in self.spec.channels.items():
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
                f"Rows up to {len(values) - 1} were logged; dataset {self.spec.dataset} has {self.num_rows} "
                "examples. Was the run recorded on another version of it?"
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

    def _recorded(self) -> RecordedRun:
        if self.run_id is None:  # pragma: no cover  # begin has set it
            raise Unavailable("The run was not begun.")
        return self.client.recording.get(self.run_id)


def connect(url: str | None, key: str | None, project: str, *, timeout_seconds: float = 30.0) -> Client:
    """A client, imported when it is first used: a recorder that never sends needs neither httpx nor pydantic."""
    made: Any = import_module("sondage.client")
    client: Client = made.Client(url, key, project, timeout_seconds=timeout_seconds)
    return client
