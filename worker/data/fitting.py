"""① Examples of the user's own in the form of the dataset that they are planted beside; row by row, what does not fit.

Shared by the upload, which looks whether they fit, and by the training, which plants them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sondage.errors import InvalidInput, RowError
from sondage.probes.tables import TableInputs
from sondage.types import AnyArray, Images
from store.payloads import Column, Form, Payload, decode
from store.payloads.pictures import from_pixels
from worker.data.arrays import ProbeInputs
from worker.data.pixels import pixel_shape, squeezed
from worker.data.sources.probes import not_probes

_CHUNK_BYTES = 32 * 1024 * 1024
Shape = tuple[int, ...]


def check_modality(own: str, modality: str) -> None:
    """Raises InvalidInput where examples of one modality are to be planted among those of another."""
    if own != modality:
        raise InvalidInput(
            f"The examples are of modality {own} and the dataset's of modality {modality}: probes have to be inputs "
            "that the model can take.",
            field="modality",
        )


def fitted(own: Payload, to: Payload, keys: Sequence[str], *, shape: Shape | None = None) -> ProbeInputs:
    """The inputs of `own`, in their order, as the training on `to` reads them.

    Pictures of a dataset whose pictures lie in an array must have their size; those of one that holds encoded pictures
    are squeezed to the training's size as its own are. Grey becomes colour and colour grey where the dataset wants it.
    Vectors must be as long, table rows must have all columns and no category that the dataset does not know.

    Parameters
    ----------
    keys : sequence of str
        Of the own examples, for what is said of them.
    shape : (height, width, channels), optional
        Of the training's pictures; that of `pixel_shape` without an `image_size` when not given.

    Raises
    ------
    InvalidInput
        They cannot be taken at all: another modality, another length, columns that are missing.
    InvalidRows
        Some do not fit; each is listed with the reason.
    """
    check_modality(own.modality, to.modality)
    if own.modality == "image":
        return _pictures(own, to, keys, shape)
    if own.modality == "text":
        return [str(text) for text in own.column("text")]
    if own.modality == "table":
        return _table(own, to, keys)
    return _vectors(own, to)


# ---- pictures


def _pictures(own: Payload, to: Payload, keys: Sequence[str], shape: Shape | None) -> Images:
    height, width, channels = shape or _usual_shape(to)
    out = np.empty((own.num_rows, height, width, channels), dtype=np.uint8)
    faults = []
    for row, (size, depth) in enumerate(_sizes(own)):
        if to.form is Form.PIXELS and size != (width, height):
            faults.append(RowError(row, "wrong_size", _wrong_size(keys[row], size, (width, height))))
        elif depth != channels and not {depth, channels} <= {1, 3}:
            message = f"{keys[row]!r} has {depth} channels; the dataset's pictures have {channels}."
            faults.append(RowError(row, "wrong_channels", message))
        elif not faults:
            out[row] = _picture(own, row, (height, width, channels))
    if faults:
        raise not_probes(faults, len(faults))
    return out


def _usual_shape(to: Payload) -> Shape:
    return tuple(to.array.shape[1:]) if to.form is Form.PIXELS else pixel_shape(to, None)


def _sizes(own: Payload) -> list[tuple[tuple[int, int], int]]:
    """Width and height, and channels, of each picture."""
    if own.form is Form.PIXELS:
        height, width, channels = own.array.shape[1:]
        return [((width, height), channels)] * own.num_rows
    columns = (own.column(name) for name in ("width", "height", "channels"))
    return [((width, height), channels) for width, height, channels in zip(*columns, strict=True)]


def _picture(own: Payload, row: int, shape: tuple[int, int, int]) -> Images:
    """As the dataset's own pictures are decoded."""
    if own.form is Form.PICTURES:
        return squeezed(decode(own.column("image", [row])[0], near=(shape[1], shape[0])), shape)
    pixels: Images = own.array[row]
    return pixels if pixels.shape == shape else squeezed(from_pixels(pixels), shape)


def _wrong_size(key: str, size: Shape, wanted: Shape) -> str:
    return (
        f"{key!r} is {size[0]} × {size[1]} pixels; the dataset's pictures are {wanted[0]} × {wanted[1]}: bring it to "
        "their size."
    )


# ---- vectors and tables


def _vectors(own: Payload, to: Payload) -> AnyArray:
    length, wanted = own.array.shape[1], to.array.shape[1]
    if length != wanted:
        raise InvalidInput(
            f"The examples are vectors of {length} numbers; the dataset's have {wanted}.", field="path"
        )
    return np.array(own.array)


def _table(own: Payload, to: Payload, keys: Sequence[str]) -> TableInputs:
    there = {column.name: column for column in own.columns}
    wanted = [column.name for column in to.columns]
    if set(there) != set(wanted):
        missing, odd = sorted(set(wanted) - set(there)), sorted(set(there) - set(wanted))
        raise InvalidInput(
            f"The examples need the dataset's columns: {', '.join(missing) or 'none'} missing, "
            f"{', '.join(odd) or 'none'} too many. Name the inputs with input_columns.",
            field="input_columns",
        )
    faults: list[RowError] = []
    numbers, codes = [], []
    for column in to.columns:
        values = own.column(column.name)
        if column.kind == "numeric":
            numbers.append(_numbers(values, column, keys, faults))
        else:
            codes.append(_codes(values, column, keys, faults))
    if faults:
        raise not_probes(sorted(faults, key=lambda fault: fault.index), len(faults))
    return TableInputs(
        np.stack(numbers, axis=1) if numbers else np.zeros((own.num_rows, 0), np.float32),
        np.stack(codes, axis=1) if codes else np.zeros((own.num_rows, 0), np.int32),
    )


def _numbers(values: list[object], column: Column, keys: Sequence[str], faults: list[RowError]) -> AnyArray:
    out = np.full(len(values), np.nan, dtype=np.float32)
    for row, value in enumerate(values):
        try:
            out[row] = np.nan if value is None else float(value)  # type: ignore[arg-type]  # tried
        except (TypeError, ValueError):
            said = f"{keys[row]!r}: {column.name} is {value!r}; the dataset has numbers there."
            faults.append(RowError(row, "not_a_number", said))
    return out


def _codes(values: list[object], column: Column, keys: Sequence[str], faults: list[RowError]) -> AnyArray:
    number = {name: place for place, name in enumerate(column.categories)}
    out = np.full(len(values), -1, dtype=np.int32)
    for row, value in enumerate(values):
        if value is None:
            continue
        word = str(value)
        if word in number:
            out[row] = number[word]
        else:
            said = f"{keys[row]!r}: {column.name} is {word!r}, a value that the dataset does not have."
            faults.append(RowError(row, "unknown_value", said))
    return out


# ---- the same again


def found_again(made: ProbeInputs, own: Payload, to: Payload) -> list[tuple[int, int]]:
    """Which of the own examples the dataset holds already, bit by bit: (own row, row of the dataset), by own row.

    Pictures in an array and vectors are compared as they are; encoded pictures by their bytes, and texts. Rows of
    tables, which often are alike, are not compared; nor are decoded with encoded pictures.
    """
    if to.form.is_array and isinstance(made, np.ndarray):
        return _in_array(made, to.array)
    if to.form is Form.TEXTS:
        return _in_column(own, to, "text", lambda column: column)
    if to.form is Form.PICTURES and own.form is Form.PICTURES:
        # Lengths lie in the offsets: of a large dataset only pictures of a length that is asked for are read.
        return _in_column(own, to, "image", pc.binary_length)
    return []


def _in_array(made: AnyArray, array: AnyArray) -> list[tuple[int, int]]:
    own: dict[bytes, list[int]] = {}
    for row, one in enumerate(np.ascontiguousarray(made, dtype=array.dtype)):
        own.setdefault(one.tobytes(), []).append(row)
    sums = np.unique(_checksums(np.ascontiguousarray(made, dtype=array.dtype)))
    found: dict[int, int] = {}
    for start, block in _blocks(array):
        for place in np.flatnonzero(np.isin(_checksums(block), sums)).tolist():
            for row in own.get(block[place].tobytes(), []):
                found.setdefault(row, start + place)
    return sorted(found.items())


def _blocks(array: AnyArray) -> Iterator[tuple[int, AnyArray]]:
    step = max(1, _CHUNK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        yield start, np.ascontiguousarray(array[start : start + step])


def _checksums(block: AnyArray) -> AnyArray:
    """A sum of the bytes of each row: equal rows have equal ones."""
    rows = block.reshape(len(block), -1).view(np.uint8)
    return np.asarray(rows.sum(axis=1, dtype=np.int64))


def _in_column(
    own: Payload, to: Payload, name: str, short: Callable[[pa.Array], pa.Array]
) -> list[tuple[int, int]]:
    wanted: dict[object, list[int]] = {}
    for row, value in enumerate(own.column(name)):
        wanted.setdefault(value, []).append(row)
    shorts = pc.unique(pa.chunked_array([short(batch.column(name)) for batch in own.batches()]))
    found: dict[int, int] = {}
    start = 0
    for batch in to.batches():
        column = batch.column(name)
        key = short(column)
        for place in np.flatnonzero(
            pc.is_in(key, shorts.cast(key.type)).to_numpy(zero_copy_only=False)
        ).tolist():
            for row in wanted.get(column[place].as_py(), []):
                found.setdefault(row, start + place)
        start += batch.num_rows
    return sorted(found.items())
