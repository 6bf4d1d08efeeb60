"""③ `client.recording`: what a recorder sends. Rows and numbers; no input of an example is ever among it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import BaseModel

from sondage.client.datasets import Datasets
from sondage.client.http import Http
from sondage.client.problems import checked
from sondage.errors import NotFound
from sondage.types import AnyArray
from sondage.wire import (
    BlockStored,
    Dataset,
    EpochClose,
    EpochState,
    KeysDigest,
    ProbesPlanted,
    RecordedRun,
    RecordedRunCreate,
    Run,
    RunFinish,
)

if TYPE_CHECKING:
    from sondage.recorder.parcel import Parcel
    from sondage.recorder.spool import RunSpec

Answered = TypeVar("Answered", bound=BaseModel)
JSON = {"Content-Type": "application/json"}
KEYS_SECONDS = 120.0
"""The server looks at every key of a dataset, of which there may be millions."""
ARROW = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True)
class Recording:
    """`client.recording`. Every call may be made again: doing it twice does no harm."""

    http: Http
    datasets: Datasets

    def dataset(self, name: str, content: bytes | None) -> Dataset:
        """Make a dataset of ids and labels, given as an Arrow stream; without, the newest of this name."""
        if content is None:
            return self.datasets.get(name)
        path = self.http.of_project("datasets", "recorded")
        return self.http.send(Dataset, "POST", path, content, {"Content-Type": ARROW}, name=name)

    def keys_digest(self, dataset: Dataset) -> str:
        """SHA-256 (hex) of a dataset's keys in their order, each with a line's end behind it."""
        path = self.http.of_project("datasets", dataset.id, "keys", "digest")
        return self.http.get(KeysDigest, path, read_seconds=KEYS_SECONDS).sha256

    def begin(self, spec: RunSpec, dataset: Dataset, *, resume: bool) -> RecordedRun:
        """Make the run; one of the same session, or with `resume` of the same name, is gone on with."""
        body = checked(
            RecordedRunCreate,
            name=spec.run,
            dataset_id=dataset.id,
            num_epochs=spec.num_epochs,
            num_rows=dataset.num_examples + spec.num_made,
            channels=dict(spec.channels),
            protocol=dict(spec.protocol),
            client_version=spec.client_version,
            resume=resume,
            world_size=spec.world_size,
            session=spec.session,
            suite_id=spec.suite_id,
        )
        return self._post(RecordedRun, self.http.of_project("runs", "recorded"), body)

    def find(self, name: str) -> RecordedRun | None:
        """The recorded run of a name, if there is one."""
        try:
            run = self.http.newest_named(Run, self.http.of_project("runs"), name)
        except NotFound:
            return None
        return self.get(run.id)

    def plant(self, run_id: int, probes: Sequence[Mapping[str, Any]]) -> None:
        """Say which rows are probes, before the first epoch closes."""
        content = json.dumps(list(probes)).encode()
        path = self.http.of_project("runs", run_id, "probes")
        self.http.send(ProbesPlanted, "PUT", path, content, JSON)

    def get(self, run_id: int) -> RecordedRun:
        """How far a recorded run is, and for which ranks it waits."""
        return self.http.get(RecordedRun, self.http.of_project("runs", run_id, "recording"))

    def put(self, run_id: int, channel: str, epoch: int, shard: int, rank: int, values: AnyArray) -> None:
        """Send one shard of one channel, little-endian."""
        path = self.http.of_project("runs", run_id, "curves", channel, epoch, shard)
        headers = {"Content-Type": "application/octet-stream"}
        content = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        form: Mapping[str, Any] = {"rank": rank, "num_rows": len(values), "dtype": values.dtype.name}
        self.http.send(BlockStored, "PUT", path, content, headers, **form)

    def close(self, run_id: int, parcel: Parcel) -> EpochState:
        """Say that a rank has sent its part of an epoch."""
        body = checked(
            EpochClose,
            rank=parcel.rank,
            metrics=dict(parcel.metrics),
            counts=dict(parcel.counts),
            coverage=parcel.coverage,
        )
        return self._post(EpochState, self.http.of_project("runs", run_id, "epochs", parcel.epoch), body)

    def finish(self, run_id: int, state: str, *, force: bool = False) -> Run:
        """End a run. `force` closes epochs that still wait for ranks with what is there."""
        body = checked(RunFinish, state=state, force=force)
        return self._post(Run, self.http.of_project("runs", run_id, "finish"), body)

    def _post(self, model: type[Answered], path: str, body: BaseModel) -> Answered:
        content = body.model_dump_json().encode()
        return self.http.send(model, "POST", path, content, JSON)
