"""⑥ Recording from a user's own loop."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from sondage.bounds import MAX_CHANNELS, MAX_EPOCHS, MAX_RANKS
from sondage.wire.bodies import Answer, Name, Request, Role
from sondage.wire.runs import Run

PROTOCOL = 1
"""Of recording. A client names it in `Sondage-Client: <version>; protocol=1`, the server in `Sondage-Protocol`."""
DType = Literal["float32", "float16", "int8", "int16", "int32"]
ChannelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
MetricValue = bool | int | float | str | None
LARGEST_EPOCH = MAX_EPOCHS - 1


class RecordedRunCreate(Request):
    """A run that is trained elsewhere and recorded here, epoch by epoch."""

    name: Name
    dataset_id: int
    num_epochs: int | None = Field(
        default=None, gt=0, le=MAX_EPOCHS, description="null: not known; it grows."
    )
    num_rows: int = Field(gt=0, description="Examples of the dataset and made probes.")
    channels: dict[ChannelName, DType] = Field(
        min_length=1, max_length=MAX_CHANNELS, description="What each epoch will hold."
    )
    protocol: dict[str, Any] = Field(default={}, description="What is recorded and when: pass, augment, …")
    suite_id: int | None = Field(default=None, description="The suite whose probes are planted.")
    client_version: str = Field(default="", max_length=100)
    resume: bool = Field(default=False, description="Go on with the run of this name, if there is one.")
    world_size: int = Field(default=1, ge=1, le=MAX_RANKS, description="How many ranks record a part each.")
    session: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="A word of this training process, the same from all its ranks: asked again with it, the same "
        "run is answered. Resumed under another word or none, parts of epochs that did not close are dropped.",
    )


class RecordedRun(Answer):
    """A recorded run, and where to go on."""

    run: Run
    next_epoch: int = Field(description="The first after the last closed one.")
    closed_epochs: list[int]
    channels: dict[str, DType]
    world_size: int
    waiting_for: dict[int, list[int]] = Field(
        default={}, description="Of epochs that some ranks have closed: the ranks that have not."
    )
    message: str | None = Field(default=None, description="What it was finished with.")


class BlockStored(Answer):
    """A part of a shard was taken."""

    channel: str
    epoch: int
    shard: int
    rank: int
    repeated: bool = Field(description="The epoch was closed with this very part; nothing was changed.")


class EpochClose(Request):
    """One rank has sent all its parts of an epoch."""

    rank: int = Field(default=0, ge=0)
    metrics: dict[str, MetricValue] = Field(
        default={}, max_length=500, description="train_loss, …; of several ranks, the lowest one's are kept."
    )
    counts: dict[str, int] = Field(default={}, description="Per channel, how many rows this rank saw.")
    coverage: float | None = Field(
        default=None, ge=0, le=1, description="Share of the rows that were to be seen."
    )
    force: bool = Field(
        default=False, description="Close it although ranks are missing; their rows stay not seen."
    )


class EpochState(Answer):
    epoch: int
    closed: bool
    waiting_for: list[int] = Field(description="Ranks that have not closed their part.")


class RunFinish(Request):
    """The training has ended."""

    state: Literal["finished", "failed", "aborted"] = "finished"
    message: str | None = Field(default=None, max_length=10_000)
    force: bool = Field(
        default=False,
        description="Close epochs that still wait for ranks with what is there; otherwise a `finished` run that "
        "waits is answered with 409 `epoch_open`.",
    )


class RecordedProbe(Request):
    """A row whose category is known: from N on it was made, below N it is an example as it is."""

    row: int = Field(ge=0)
    category: str
    role: Role
    source_row: int | None = Field(
        default=None,
        ge=0,
        description="The example it was made from; below N, the row itself; null for one of the user's own.",
    )
    example_index: int | None = Field(
        default=None, ge=0, description="Of the user's own: which of the examples of the run's suite it is."
    )
    label: int = Field(ge=0, description="The label the training is told.")
    generator: str = Field(min_length=1, max_length=100)


class ProbesPlanted(Answer):
    """How many known rows a run has, by category."""

    run_id: int
    categories: dict[str, int]


class RecordsStored(Answer):
    """What was read from a file of records."""

    num_records: int
    epochs_written: list[int]
    epochs_closed: list[int] = Field(description="Those that have all channels of the run.")
