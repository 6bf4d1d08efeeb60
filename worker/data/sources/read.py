"""① Reading a source once: every row checked, the inputs into a payload, the rest into a registration."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sondage.errors import InvalidInput, InvalidRows
from sondage.types import Labels, Rows
from sondage.wire import Source
from store.payloads import PayloadWriter
from worker.data.noise import TRUTH, Truth, plant_noise
from worker.data.sources.columns import encode_labels, read_keys, read_splits
from worker.data.sources.digits import open_digits
from worker.data.sources.fingerprint import ContentDigest, fingerprint
from worker.data.sources.frame import read_csv, read_parquet
from worker.data.sources.imagefolder import read_imagefolder
from worker.data.sources.model import Faults, Inputs, Opened, Registration, SourceLimits
from worker.data.sources.npz import open_npz
from worker.data.sources.probes import ProbeSource, not_probes
from worker.data.sources.splits import counted_rows, set_aside
from worker.data.sources.tabular import open_frame

_PARTIAL = ".partial-"  # swept with the writers' own, should this process be killed


def read_source(
    source: Source,
    writer: PayloadWriter,
    *,
    resolve: Callable[[str], Path],
    limits: SourceLimits | None = None,
    probes: ProbeSource | None = None,
) -> Registration:
    """Read a source from front to back into a payload that has not been published yet.

    Parameters
    ----------
    source : Source
    writer : PayloadWriter
        Entered and empty. Publish it when the dataset is new, drop it when its fingerprint is there already.
    resolve : callable
        Turns `source.path` into a real path, or refuses; see `resolve_source_path`.
    limits : SourceLimits, optional
    probes : ProbeSource, optional
        The examples are probes for another dataset: of its classes, and each with a category.

    Returns
    -------
    Registration

    Raises
    ------
    InvalidRows
        Rows cannot be used, and the source does not say `skip_invalid`.
    InvalidInput, Unsupported, Forbidden, NotFound
        The source as a whole cannot be used.
    """
    limits = limits or SourceLimits()
    with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=writer.folder.parent) as scratch:
        opened = open_source(source, resolve, limits, Path(scratch), probes)
        if probes is None:
            return _register(opened, source, writer, None)
        try:
            return _register(opened, source, writer, probes)
        except InvalidRows as fault:
            raise not_probes(fault.rows, fault.num_rejected) from fault


def open_source(
    source: Source,
    resolve: Callable[[str], Path],
    limits: SourceLimits,
    scratch: Path,
    probes: ProbeSource | None = None,
    *,
    labelled: bool = True,
) -> Opened:
    """Take a source apart. One that need not be `labelled` has null for labels where it has none."""
    if source.kind == "digits":
        return open_digits()
    if not source.path:
        raise InvalidInput(
            f"A source of kind {source.kind} needs a path, or an upload by upload:<id>.", field="path"
        )
    path = resolve(source.path)
    opened = _open_file(path, source, limits, scratch, probes, labelled)
    opened.notes["file"] = path.name
    return opened


def _open_file(
    path: Path,
    source: Source,
    limits: SourceLimits,
    scratch: Path,
    probes: ProbeSource | None,
    labelled: bool,
) -> Opened:
    if source.kind == "npz":
        return open_npz(path, source, limits, labelled=labelled)
    if source.kind == "imagefolder":
        frame, keys, read_path = read_imagefolder(path, scratch, limits)
        column = probes.column(frame.table) if probes else None
        return open_frame(frame, source, limits, keys=keys, read_path=read_path, category_column=column)
    frame = (read_csv if source.kind == "csv" else read_parquet)(path, scratch, limits)
    column = probes.column(frame.table) if probes else None
    return open_frame(frame, source, limits, category_column=column, labelled=labelled)


def _register(
    opened: Opened, source: Source, writer: PayloadWriter, probes: ProbeSource | None
) -> Registration:
    if not opened.num_rows:
        raise InvalidInput("The source is empty: it has no rows.", field="path")
    if probes is not None:
        opened = probes.applied(opened, source.class_names)
    faults = Faults(opened.parts)
    splits = read_splits(opened.splits, opened.parts, faults)
    rows = counted_rows(splits, source.limit)
    labels, class_names = encode_labels(
        opened.labels,
        rows=rows,
        faults=faults,
        names=None if probes else source.class_names,
        declared=opened.label_names,
    )
    keys = read_keys(opened.keys, opened.parts, rows, faults)
    categories = probes.categories_of(opened, rows, faults) if probes else []
    faults.settle(skip=source.skip_invalid)
    content, kept = _copy(opened.inputs, rows[~faults.bad[rows]], writer, faults)
    faults.settle(skip=source.skip_invalid)
    splits, labels = splits[kept], labels[kept]
    _check_whole(splits, labels, faults, least_classes=1 if probes else 2)
    splits = set_aside(splits, labels, source.validation_share)
    labels, truth = _plant(labels, splits, len(class_names), source)
    if truth is not None:
        writer.add_file(TRUTH, truth.to_bytes())
    examples: dict[str, Any] = {
        "labels": labels,
        "keys": [keys[row] for row in kept.tolist()],
        "splits": splits.tolist(),
        "class_names": class_names,
    }
    return Registration(
        modality=opened.inputs.modality,
        **examples,
        fingerprint=fingerprint(opened.inputs.modality, content, **examples),
        provenance=_provenance(source, opened, faults, truth),
        skipped=faults.listed,
        num_skipped=faults.count,
        truth=truth,
        categories=[categories[row] for row in kept.tolist()] if probes else [],
    )


def _copy(inputs: Inputs, rows: Rows, writer: PayloadWriter, faults: Faults) -> tuple[ContentDigest, Rows]:
    """The inputs into the writer; returns their digest, and which rows were good."""
    inputs.announce(writer)
    content = ContentDigest()
    kept: list[Rows] = [np.zeros(0, dtype=np.int64)]
    for good, block in inputs.blocks(rows, faults):
        writer.add(block)
        content.add(block)
        kept.append(good)
    return content, np.concatenate(kept)


def _check_whole(splits: np.ndarray[Any, Any], labels: Labels, faults: Faults, *, least_classes: int) -> None:
    if not len(labels):
        first = f" {faults.listed[0].message}" if faults.listed else ""
        raise InvalidInput(f"No row of the source can be used.{first}", field="path")
    in_train = np.unique(labels[splits == "train"])
    if not len(in_train):
        raise InvalidInput("There are no examples in the train split to learn from.", field="split_column")
    if len(in_train) < least_classes:
        raise InvalidInput(
            "All examples of the train split have one class; a label can only be wrong where there are two.",
            field="label_column",
        )


def _plant(
    labels: Labels, splits: np.ndarray[Any, Any], num_classes: int, source: Source
) -> tuple[Labels, Truth | None]:
    if source.noise is None:
        return labels, None
    noisy, planted = plant_noise(
        labels, splits == "train", num_classes, source.noise.share, source.noise.seed
    )
    rows = np.flatnonzero(planted)
    return noisy, Truth(rows, labels[rows])


def _provenance(source: Source, opened: Opened, faults: Faults, truth: Truth | None) -> dict[str, Any]:
    """How to read it again, what was guessed, what was left out. Not which labels were planted: that is for them
    alone who look into the folder."""
    record = {
        **source.model_dump(exclude_none=True, exclude_defaults=True),
        "kind": source.kind,
        **opened.notes,
    }
    if faults.count:
        record |= {"num_skipped": faults.count, "skipped": [fault.as_dict() for fault in faults.listed]}
    if truth is not None:
        record["num_planted"] = len(truth.rows)
    return record
