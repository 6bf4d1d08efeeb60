"""① `.npz` archives of arrays, read block by block and never as pickles."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import pyarrow as pa

from sondage.errors import InvalidInput, Unsupported
from sondage.types import AnyArray
from sondage.wire import Source
from worker.data.sources.arrays import BLOCK_BYTES, ArrayInputs
from worker.data.sources.model import Opened, SourceLimits
from worker.data.sources.paths import check_file

_PARTS = ("train", "validation", "test")
_ROLES = tuple(f"{kind}_{part}" for part in _PARTS for kind in ("x", "y", "keys", "categories"))


@dataclass(frozen=True)
class Stored:
    """An array in the archive, by what its header says."""

    archive: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool

    def blocks(self) -> Iterator[AnyArray]:
        """The rows in order, a bounded number at a time."""
        if self.fortran_order and len(self.shape) > 1:
            yield self.whole()
            return
        row_bytes = max(1, math.prod(self.shape[1:]) * self.dtype.itemsize)
        step = max(1, BLOCK_BYTES // row_bytes)
        with _reading(self.archive) as archive, archive.open(f"{self.name}.npy") as file:
            _read_header(file)
            for start in range(0, self.shape[0], step):
                num = min(step, self.shape[0] - start)
                data = _read_exactly(file, num * row_bytes)
                yield np.frombuffer(data, self.dtype).reshape(num, *self.shape[1:])

    def whole(self) -> AnyArray:
        with _reading(self.archive), np.load(self.archive, allow_pickle=False) as arrays:
            array: AnyArray = arrays[self.name]
        return array


def open_npz(path: Path, source: Source, limits: SourceLimits, *, labelled: bool = True) -> Opened:
    """Take an archive apart into train, validation and test. Need it not be `labelled`, labels may be null.

    Raises
    ------
    InvalidInput
        It is no archive, or its arrays do not fit together or into memory.
    """
    check_file(path, limits, kind="npz")
    arrays = _arrays(path, limits)
    chosen = _chosen(arrays, source.arrays)
    parts = [part for part in _PARTS if f"x_{part}" in chosen]
    if not parts:
        raise InvalidInput(
            f"{path.name!r} has the arrays {', '.join(arrays) or 'none'}; say with `arrays` which of them is x_train.",
            field="arrays",
        )
    for part in parts:
        _check_lengths(chosen, part, labelled)
    inputs = [chosen[f"x_{part}"] for part in parts]
    modality, row_shape = _form(inputs, source.modality)
    return Opened(
        inputs=ArrayInputs(
            modality, row_shape, lambda: (block for array in inputs for block in array.blocks())
        ),
        labels=_joined([_labels_of(chosen, part) for part in parts]),
        parts=[(part, chosen[f"x_{part}"].shape[0]) for part in parts],
        keys=_words(chosen, parts, "keys"),
        categories=_words(chosen, parts, "categories"),
        notes={"arrays": {role: stored.name for role, stored in chosen.items()}},
    )


def _arrays(path: Path, limits: SourceLimits) -> dict[str, Stored]:
    """What the archive holds, from the headers alone; nothing is unpacked."""
    found = {}
    with _reading(path) as archive:
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                with archive.open(info) as file:
                    found[info.filename[:-4]] = _stored(path, info, file, limits)
    return found


def _stored(path: Path, info: zipfile.ZipInfo, file: IO[bytes], limits: SourceLimits) -> Stored:
    shape, fortran_order, dtype = _read_header(file)
    name = info.filename[:-4]
    if dtype.hasobject:
        raise InvalidInput(
            f"The array {name!r} holds Python objects, which only a pickle can store, and pickles run code: "
            "save it with a number or text type.",
            field="path",
        )
    if any(size < 0 for size in shape):
        raise InvalidInput(f"The array {name!r} is damaged: its header says shape {shape}.", field="path")
    num_bytes = math.prod(shape) * dtype.itemsize
    if num_bytes > limits.max_array_bytes:
        raise InvalidInput(
            f"The array {name!r} unpacks to {num_bytes:,} bytes; at most {limits.max_array_bytes:,} are read.",
            field="path",
        )
    if num_bytes != info.file_size - file.tell():
        raise InvalidInput(f"The array {name!r} is damaged: its header and its size disagree.", field="path")
    return Stored(path, name, shape, dtype, fortran_order)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read(file)
    return tuple(int(size) for size in shape), bool(fortran_order), dtype


def _read_exactly(file: IO[bytes], num_bytes: int) -> bytes:
    data = file.read(num_bytes)
    if len(data) != num_bytes:
        raise ValueError("an array ends early")
    return data


@contextmanager
def _reading(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise InvalidInput(f"{path.name!r} is no readable .npz archive ({error}).", field="path") from error
    except Exception as error:
        if type(error).__module__ == "zlib":
            raise InvalidInput(f"{path.name!r} is damaged ({error}).", field="path") from error
        raise


def _chosen(arrays: dict[str, Stored], given: dict[str, str]) -> dict[str, Stored]:
    """The array that plays each role: as the user says, else the one of that name."""
    chosen = {role: arrays[role] for role in _ROLES if role in arrays}
    for role, name in given.items():
        if role not in _ROLES:
            raise InvalidInput(
                f"{role!r} is no role of an array; there are {', '.join(_ROLES)}.", field="arrays"
            )
        if name not in arrays:
            raise InvalidInput(f"There is no array {name!r}; there are {', '.join(arrays)}.", field="arrays")
        chosen[role] = arrays[name]
    return chosen


def _check_lengths(chosen: dict[str, Stored], part: str, labelled: bool) -> None:
    inputs, labels = chosen[f"x_{part}"], chosen.get(f"y_{part}")
    if labels is None and labelled:
        raise InvalidInput(
            f"There are no labels for {inputs.name!r}: say with `arrays` which array is y_{part}.",
            field="arrays",
        )
    for other in (labels, chosen.get(f"keys_{part}"), chosen.get(f"categories_{part}")):
        if other is not None and other.shape[:1] != inputs.shape[:1]:
            raise InvalidInput(
                f"{inputs.name!r} has shape {inputs.shape} and {other.name!r} {other.shape}: their first axes, the "
                "examples, have to be equally long.",
                field="arrays",
            )


def _form(inputs: list[Stored], modality: str | None) -> tuple[Literal["image", "vector"], tuple[int, ...]]:
    shapes = {stored.shape[1:] for stored in inputs}
    if len(shapes) > 1:
        raise InvalidInput(f"The inputs have different shapes: {sorted(shapes)}.", field="arrays")
    first, ndim = inputs[0], len(inputs[0].shape)
    if 0 in first.shape[1:] or ndim < 2:
        raise InvalidInput(f"{first.name!r} has shape {first.shape}: rows without values.", field="arrays")
    if modality not in (None, "image", "vector"):
        raise InvalidInput(f"An .npz holds pictures or vectors, not {modality}.", field="modality")
    if ndim == 2 and modality != "image" and first.dtype.kind in "fiub":
        return "vector", first.shape[1:]
    if ndim in (3, 4) and modality != "vector" and first.dtype == np.uint8:
        return "image", _picture_shape(first)
    raise InvalidInput(
        f"{first.name!r} is {first.dtype} of shape {first.shape}. Pictures are uint8 of shape (N, height, width) "
        "or (N, height, width, channels), vectors are numbers of shape (N, length): convert it.",
        field="arrays",
    )


def _picture_shape(stored: Stored) -> tuple[int, ...]:
    height, width, *channels = stored.shape[1:]
    if channels and channels[0] > 4 and height in (1, 3, 4):
        raise InvalidInput(
            f"{stored.name!r} has shape {stored.shape}: channels come last, so transpose it with (0, 2, 3, 1).",
            field="arrays",
        )
    return height, width, *(channels or [1])


def _labels_of(chosen: dict[str, Stored], part: str) -> pa.Array:
    stored = chosen.get(f"y_{part}")
    return pa.nulls(chosen[f"x_{part}"].shape[0]) if stored is None else _labels(stored)


def _labels(stored: Stored) -> pa.Array:
    array = stored.whole()
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise Unsupported(
            f"The labels {stored.name!r} have shape {array.shape}: several numbers for one example. Sondage is for "
            "one class per example; take the argmax of one-hot labels.",
            field="arrays",
        )
    return _column(array, stored.name)


def _words(chosen: dict[str, Stored], parts: list[str], kind: str) -> pa.ChunkedArray | None:
    """Keys or categories, where the archive has them."""
    stored = [chosen[f"{kind}_{part}"] for part in parts if f"{kind}_{part}" in chosen]
    if not stored:
        return None
    if len(stored) < len(parts):
        raise InvalidInput(
            f"There are {kind} for some of {', '.join(parts)} only; name all of them.", field="arrays"
        )
    return _joined([_column(one.whole().reshape(-1), one.name) for one in stored])


def _column(array: AnyArray, name: str) -> pa.Array:
    if array.dtype.kind == "S":
        return pa.array(array.tolist(), pa.large_binary())
    if array.dtype.kind not in "biufU":
        raise InvalidInput(f"{name!r} is of type {array.dtype}: numbers or words are needed.", field="arrays")
    return pa.array(
        array.tolist() if array.dtype.kind == "U" else array.astype(array.dtype.newbyteorder("="))
    )


def _joined(columns: list[pa.Array]) -> pa.ChunkedArray:
    kinds = {column.type for column in columns}
    if len(kinds) > 1:
        common = pa.int64() if all(pa.types.is_integer(kind) for kind in kinds) else pa.string()
        columns = [column.cast(common) for column in columns]
    return pa.chunked_array(columns)
