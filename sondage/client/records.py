"""③ Records of a training that was not recorded: a file becomes a finished run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sondage import __version__
from sondage.errors import InvalidInput, InvalidRows, NotFound, RowError, Unavailable
from sondage.recorder.courier import Courier
from sondage.recorder.dataset import Examples
from sondage.recorder.figures import figures
from sondage.recorder.parcel import Parcel
from sondage.recorder.spool import RunSpec
from sondage.records import Records, read_records
from sondage.types import AnyArray, Rows
from sondage.wire import Dataset, Run

if TYPE_CHECKING:
    from sondage.client.client import Client

OnEpoch = Callable[[int, int], None]
"""Gets the epochs sent and the epochs in all."""
_LISTED_ROWS = 100


def import_records(
    client: Client,
    file: str | PathLike[str],
    *,
    dataset: str,
    run: str | None = None,
    format: str | None = None,
    channels: Sequence[str] | None = None,
    protocol: Mapping[str, Any] | None = None,
    resume: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Make a finished run of a file of records.

    Parameters
    ----------
    client : Client
    file : path
        See `sondage.records` and `docs/guides/bring-your-own-records.md`.
    dataset : str
        Name of a dataset on the server, whose keys the file's keys are; where there is none of this name, one is made
        from the keys and labels of the file.
    run : str, optional
        The file's name without its ending when not given.
    format, channels : optional
        As for `read_records`.
    protocol : mapping, optional
        What was recorded and when, as `{"pass": "evaluation"}`.
    resume : bool
        Go on with an import that broke off.
    on_epoch : callable, optional

    Returns
    -------
    Run
        In state finished.

    Raises
    ------
    InvalidRows
        Records that cannot be used, or whose key the dataset has not. Nothing was sent.
    InvalidInput
        The file lacks what is needed.
    Conflict
        There is a run of this name.
    """
    records = read_records(file, format=format, channels=channels)
    known = _dataset(client, dataset)
    content = None if known is not None else _examples(records, dataset).to_arrow()
    spec = RunSpec(
        url=client.url,
        project=client.project,
        dataset=dataset,
        run=run or Path(file).stem,
        num_epochs=len(records.epochs),
        num_examples=None if known is None else known.num_examples,
        channels=records.dtypes,
        protocol={"pass": "unknown", "source": "imported records", **(protocol or {})},
        world_size=1,
        client_version=__version__,
        session=uuid.uuid4().hex,
    )
    rows = np.arange(records.num_rows) if known is None else _rows(client, known, records)
    courier = Courier(client, spec, 0, content, resume=resume)
    courier.begin()
    for parcel in _parcels(records, rows, courier.num_rows, courier.next_epoch):
        courier.send(parcel)
        if on_epoch is not None:
            on_epoch(parcel.epoch + 1, len(records.epochs))
    courier.end("finished", force=False)
    return client.runs.get(spec.run)


def _dataset(client: Client, name: str) -> Dataset | None:
    try:
        return client.datasets.get(name)
    except NotFound:
        return None


def _examples(records: Records, name: str) -> Examples:
    if records.labels is None:
        raise InvalidInput(
            f"There is no dataset {name!r}, and the file has no labels to make one from: register the dataset "
            "first, or add a column label.",
            field="dataset",
        )
    return Examples(labels=records.labels, ids=records.keys, class_names=records.class_names)


def _rows(client: Client, dataset: Dataset, records: Records) -> Rows:
    """Where each row of the file is in the dataset."""
    if records.keys is None:
        if records.num_rows > dataset.num_examples:
            raise InvalidInput(
                f"The file has rows up to {records.num_rows - 1}; dataset {dataset.name} has {dataset.num_examples} "
                "examples.",
                field="file",
            )
        return np.arange(records.num_rows)
    there = client.datasets.keys(dataset)
    if len(there) != dataset.num_examples:
        raise Unavailable(
            f"Of {dataset.num_examples} keys of dataset {dataset.name} {len(there)} came; try again."
        )
    index = {key: place for place, key in enumerate(there)}
    unknown = [place for place, key in enumerate(records.keys) if key not in index]
    if unknown:
        faults = [
            RowError(place, "unknown_key", f"Dataset {dataset.name} has no example {records.keys[place]!r}.")
            for place in unknown[:_LISTED_ROWS]
        ]
        raise InvalidRows(
            f"{len(unknown)} keys of the file are not in the dataset. {faults[0].message}",
            faults,
            num_rejected=len(unknown),
        )
    return np.array([index[key] for key in records.keys], dtype=np.int64)


def _parcels(records: Records, rows: Rows, num_rows: int, first: int) -> Iterator[Parcel]:
    for epoch in range(first, len(records.epochs)):
        count = np.zeros(num_rows, np.int32)
        count[rows] = records.seen[:, epoch]
        channels = {
            name: _spread(values[:, epoch], rows, num_rows) for name, values in records.channels.items()
        }
        found = figures(channels, count)
        yield Parcel(
            epoch=epoch,
            rank=0,
            num_rows=num_rows,
            channels=channels,
            metrics=found,
            counts=dict.fromkeys(channels, found["num_seen"]),
            coverage=found["num_seen"] / num_rows,
        )


def _spread(values: AnyArray, rows: Rows, num_rows: int) -> AnyArray:
    whole: AnyArray = np.full(num_rows, np.nan if values.dtype.kind == "f" else -1, values.dtype)
    whole[rows] = values
    return whole
