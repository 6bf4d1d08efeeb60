"""① The inputs of a payload as training reads them: contiguous arrays, mapped from a cache that is made once.

The forms are those of `worker.data.inputs.make_inputs`: image (pixels,), vector (values,), table (numeric, codes),
text (offsets, tokens). The way back is here too: some rows in the form that probes are made from, and made probes
in the form that training reads.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sondage.probes.tables import TableInputs
from sondage.types import AnyArray, Images, Rows, Vectors
from store.payloads import Column, Form, Payload, PayloadWriter, disk_errors, open_payload, remove_payload
from worker.data.pixels import decode_all, pixel_shape
from worker.data.tokens import tokenise

Arrays: TypeAlias = tuple[AnyArray, ...]
ProbeInputs: TypeAlias = Images | Vectors | TableInputs | list[str]
"""What probes are made from, and what comes out: pixels uint8 [n, H, W, C], values float32 [n, d], `TableInputs`, or
texts."""

_NAMES = {
    "image": ("pixels",),
    "vector": ("values",),
    "table": ("numeric", "codes"),
    "text": ("offsets", "tokens"),
}


@dataclass(frozen=True)
class TrainingArrays:
    """All inputs of a dataset version as training reads them. Made by `training_arrays`.

    Attributes
    ----------
    payload : Payload
    arrays : tuple of arrays
        Read-only; memory-mapped where they are large.
    """

    payload: Payload
    arrays: Arrays

    @property
    def modality(self) -> str:
        return self.payload.modality

    def inputs(self, rows: Rows | Sequence[int]) -> ProbeInputs:
        """These rows in the form that probes are made from; copies, in this order."""
        if self.modality == "text":
            return [str(text) for text in self.payload.column("text", rows)]
        taken = [np.ascontiguousarray(array[np.asarray(rows, dtype=np.int64)]) for array in self.arrays]
        return TableInputs(*taken) if self.modality == "table" else taken[0]


def training_arrays(
    payload: Payload, *, cache: Path, fingerprint: str, image_size: int | None = None
) -> TrainingArrays:
    """The inputs as arrays, made once and kept in the cache.

    Pictures of one size and vectors are mapped where they lie; encoded pictures are decoded to one size (see
    `worker.data.pixels.pixel_shape`), texts split into token numbers, categories numbered. Several processes may
    ask at once: each builds, the first to finish wins.

    Parameters
    ----------
    payload : Payload
    cache : Path
        Folder of all caches; `cache/fingerprint` gets this one's.
    fingerprint : str
        Of the dataset version.
    image_size : int, optional
        Side of the square to decode encoded pictures to. Pictures that lie in an array keep their size.

    Raises
    ------
    DataFolderError
        The payload is damaged, or the disk is full.
    InvalidInput
        `image_size` is out of range.
    """
    if payload.form.is_array:
        return TrainingArrays(payload, (payload.array,))
    folder = cache / fingerprint
    if payload.form is Form.PICTURES:
        shape = pixel_shape(payload, image_size)
        name = "pixels-{}x{}x{}".format(*shape)
        return TrainingArrays(payload, _cached(folder, name, _NAMES["image"], _decoder(payload, shape)))
    return TrainingArrays(
        payload, _cached(folder, str(payload.form), _NAMES[payload.modality], _encoder(payload))
    )


def encode(made: ProbeInputs) -> Arrays:
    """Made inputs in the form that training reads."""
    if isinstance(made, list):
        return tokenise(made)
    if isinstance(made, TableInputs):
        return made.numeric.astype(np.float32), made.codes.astype(np.int32)
    return (made,)


def write_probes(folder: Path, made: ProbeInputs, *, columns: Sequence[Column] = ()) -> None:
    """Keep the probes that were made for a run as a payload of their own, in place of any that is there.

    The parameters are those of `probes_beside`.
    """
    with probes_beside(folder, made, columns=columns) as publish:
        publish()


@contextmanager
def probes_beside(
    folder: Path, made: ProbeInputs, *, columns: Sequence[Column] = ()
) -> Iterator[Callable[[], None]]:
    """Write the payload of made probes beside its place, durable; gives what puts it there, a matter of a rename.

    What is in the place already stays untouched until then. Not put there, the new one is gone after the block.

    Parameters
    ----------
    folder : Path
    made : probe inputs, in the order of the run's rows from N on
    columns : sequence of Column
        Of a table: those of the dataset's payload.
    """
    with PayloadWriter(folder.parent) as writer:
        if isinstance(made, list):
            schema = pa.schema([("text", pa.large_string())])
            writer.start(Form.TEXTS, schema=schema)
            writer.add(pa.record_batch([pa.array(made, pa.large_string())], schema=schema))
        elif isinstance(made, TableInputs):
            batch = _table_batch(made, columns)
            writer.start(Form.TABLE, schema=batch.schema, columns=columns)
            writer.add(batch)
        else:
            writer.start(Form.PIXELS if made.dtype == np.uint8 else Form.VALUES, row_shape=made.shape[1:])
            writer.add(made)
        writer.finish()
        yield lambda: writer.publish(folder, replace=True)


def read_probes(folder: Path) -> Arrays:
    """The probes that `write_probes` kept, in the form that training reads."""
    payload = open_payload(folder)
    return (payload.array,) if payload.form.is_array else _encoded(payload)


def _table_batch(made: TableInputs, columns: Sequence[Column]) -> pa.RecordBatch:
    numeric, codes = iter(made.numeric.T), iter(made.codes.T)
    arrays = {}
    for column in columns:
        if column.kind == "numeric":
            arrays[column.name] = pa.array(next(numeric).astype(np.float64))
        else:
            places = next(codes)
            arrays[column.name] = pa.array(column.categories, pa.large_string()).take(
                pa.array(places, mask=places < 0)
            )
    return pa.record_batch(arrays)


def _decoder(payload: Payload, shape: tuple[int, int, int]) -> Callable[[Path], None]:
    return lambda folder: decode_all(payload, shape, folder / "pixels.npy")


def _encoder(payload: Payload) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        for name, array in zip(_NAMES[payload.modality], _encoded(payload), strict=True):
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    return build


def _encoded(payload: Payload) -> Arrays:
    if payload.form is Form.TEXTS:
        return tokenise(text for batch in payload.batches() for text in batch.column("text").to_pylist())
    numeric = [column.name for column in payload.columns if column.kind == "numeric"]
    categorical = [column for column in payload.columns if column.kind == "categorical"]
    numbers = np.empty((payload.num_rows, len(numeric)), dtype=np.float32)
    codes = np.empty((payload.num_rows, len(categorical)), dtype=np.int32)
    start = 0
    for batch in payload.batches():
        rows = slice(start, start + batch.num_rows)
        for place, name in enumerate(numeric):
            numbers[rows, place] = (
                batch.column(name).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            )
        for place, column in enumerate(categorical):
            codes[rows, place] = _codes(batch.column(column.name), column)
        start = rows.stop
    return numbers, codes


def _codes(values: pa.Array, column: Column) -> AnyArray:
    found = pc.index_in(values, pa.array(column.categories, values.type))
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False))


def _cached(folder: Path, name: str, arrays: Sequence[str], build: Callable[[Path], None]) -> Arrays:
    """The arrays of a cache entry, built when it is missing or damaged."""
    place = folder / name
    for _ in range(2):
        if not place.is_dir():
            _build(place, build)
        try:
            return tuple(_mapped(place / f"{array}.npy") for array in arrays)
        except (OSError, ValueError):  # cut short by a crash of the machine: the cache is rebuilt at will
            remove_payload(place)
    _build(place, build)
    return tuple(_mapped(place / f"{array}.npy") for array in arrays)


def _build(place: Path, build: Callable[[Path], None]) -> None:
    partial = place.with_name(f".partial-{secrets.token_hex(8)}")
    try:
        with disk_errors(partial):
            partial.mkdir(parents=True)
            build(partial)
        try:
            os.rename(partial, place)
        except OSError:
            if not place.is_dir():  # otherwise another process was faster, with the same content
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _mapped(path: Path) -> AnyArray:
    array: AnyArray = np.load(path, mmap_mode=None if _is_empty(path) else "r", allow_pickle=False)
    return array


def _is_empty(path: Path) -> bool:
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
    return 0 in shape
