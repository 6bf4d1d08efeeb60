"""③ Records in NumPy files: one matrix per channel, one row per example, one column per epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sondage.errors import InvalidInput
from sondage.records.base import Records, class_numbers
from sondage.types import AnyArray

BESIDE = ("labels", "keys", "class_names")
"""Arrays of an `.npz` that are no channels."""
USUAL = ("loss", "margin", "predicted")


def read_npy(path: Path, channels: tuple[str, ...] | None) -> Records:
    """One matrix; NaN, or −1 of integers, where there is no record."""
    if channels is not None and len(channels) != 1:
        raise InvalidInput(f"{path} holds one matrix: name one channel.", field="channels")
    name = "loss" if channels is None else channels[0]
    return _records(path, {name: _load(path)}, {})


def read_npz(path: Path, channels: tuple[str, ...] | None) -> Records:
    """Matrices by the names of channels; `labels`, `keys` and `class_names` are lists beside them."""
    archive = _load(path)
    names = channels or tuple(name for name in USUAL if name in archive)
    missing = [name for name in names if name not in archive]
    if missing or not names:
        raise InvalidInput(
            f"{path} has no array {missing[0] if missing else 'loss'!r}; it has {', '.join(archive)}.",
            field="channels",
        )
    beside = {name: archive[name] for name in BESIDE if name in archive}
    return _records(path, {name: archive[name] for name in names}, beside)


def _load(path: Path) -> Any:
    try:
        found = np.load(path, allow_pickle=False)
        return found if isinstance(found, np.ndarray) else dict(found)
    except (OSError, ValueError, EOFError) as fault:
        raise InvalidInput(f"{path} cannot be read as a NumPy file: {fault}.", field="file") from None


def _records(path: Path, matrices: dict[str, AnyArray], beside: dict[str, AnyArray]) -> Records:
    shapes = {matrix.shape for matrix in matrices.values()}
    shape = next(iter(shapes))
    if len(shapes) > 1 or len(shape) != 2 or 0 in shape:
        raise InvalidInput(
            f"{path}: matrices of shape (examples, epochs), all alike, are needed; there is "
            f"{', '.join(str(list(shape)) for shape in shapes)}.",
            field="file",
        )
    for name, values in beside.items():
        if name != "class_names" and values.shape != shape[:1]:
            raise InvalidInput(
                f"{path}: {name} has shape {values.shape}; one for each of {shape[0]} rows is needed."
            )
    channels = {name: _narrow(path, name, matrix) for name, matrix in matrices.items()}
    labels, class_names = class_numbers(beside.get("labels"), beside.get("class_names"))
    keys = beside.get("keys")
    return Records(
        channels=channels,
        seen=np.any([_is_seen(values) for values in channels.values()], axis=0),
        epochs=tuple(range(shape[1])),
        keys=None if keys is None else [str(key) for key in keys.tolist()],
        labels=labels,
        class_names=class_names,
    )


def _narrow(path: Path, name: str, matrix: AnyArray) -> AnyArray:
    if matrix.dtype.kind not in "fiu":
        raise InvalidInput(f"{path}: {name} is {matrix.dtype}; numbers are needed.", field="channels")
    floating = (matrix.dtype.kind == "f" and name != "predicted") or name in ("loss", "margin")
    if floating:
        return matrix.astype(np.float32)
    whole = np.where(np.isnan(matrix), -1, matrix) if matrix.dtype.kind == "f" else matrix
    return whole.astype(np.int32)


def _is_seen(values: AnyArray) -> AnyArray:
    return ~np.isnan(values) if values.dtype.kind == "f" else values != -1
