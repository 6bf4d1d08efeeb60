"""③ Files of records that were kept elsewhere, read for a run that has announced its channels.

The readers are the library's (`sondage.records`); here stand the limits of a server, the run's own rows and channels,
and the keys of its dataset.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from app.errors import UnsupportedMedia
from app.recording.bodies import ARROW
from app.recording.streams import read_stream
from sondage.errors import InvalidInput, InvalidRows, RowError
from sondage.records.cartography import read_cartography
from sondage.records.tables import records_of
from sondage.wire import LARGEST_EPOCH

MAX_BYTES = 1024**3
"""Of a body once unpacked, and of the curves that are made of it: more go in several requests."""
LISTED_ROWS = 100
SHOWN_CHARACTERS = 100
MAX_HEADER_BYTES = 65_536
PARQUET, CSV, NPY = "application/vnd.apache.parquet", "text/csv", "application/x-npy"
JSON_LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
CARTOGRAPHY = ("loss", "margin", "predicted")


@dataclass(frozen=True)
class Target:
    """What records are read for. `keys` and `labels` are the dataset's, in order."""

    num_rows: int
    channels: dict[str, str]
    keys: pa.Array
    labels: NDArray[np.int64]
    class_names: list[str]


@dataclass(frozen=True)
class Matrices:
    """Per channel an array [rows of the run, epochs] in the announced dtype; `epochs` are the file's own numbers."""

    channels: dict[str, NDArray[Any]]
    epochs: list[int]
    num_records: int


def read(path: Path, media_type: str, target: Target, *, channel: str | None, first_epoch: int) -> Matrices:
    """The records of a file.

    Parameters
    ----------
    channel, first_epoch
        Of a `.npy`: what the matrix holds, and the number of its first column.

    Raises
    ------
    InvalidRows
        Some records are wrong.
    InvalidInput
        The file is of another kind, or has what the run did not announce.
    UnsupportedMedia
        The kind is none that is read.
    """
    if media_type == NPY:
        return _of_matrix(path, target, channel, first_epoch)
    if media_type in JSON_LINES:
        return _of_cartography(path, target)
    if media_type in (PARQUET, CSV, ARROW):
        return _of_table(_table(path, media_type, target), target)
    kinds = ", ".join((PARQUET, CSV, ARROW, NPY, JSON_LINES[0]))
    raise UnsupportedMedia(
        f"The body is {media_type or 'of no declared type'}; send {kinds}.", field="content-type"
    )


# ---- tables


def _table(path: Path, media_type: str, target: Target) -> pa.Table:
    try:
        if media_type == PARQUET:
            return _parquet(path, target)
        if media_type == CSV:
            return _csv(path, target)
        return read_stream(path, max_rows=MAX_BYTES)
    except (pa.ArrowException, OSError) as fault:
        raise InvalidInput(f"The body cannot be read as {media_type}: {fault}.", field="body") from None


def _csv(path: Path, target: Target) -> pa.Table:
    """Block by block, counted as they come: a cell of one byte, or of none, is a number of eight."""
    _check_names(_header(path), target)
    kinds = dict.fromkeys(target.channels, pa.float64())  # else the first block would decide for all
    kinds |= {"key": pa.string(), "epoch": pa.int64(), "row": pa.int64()}
    options = pa.csv.ConvertOptions(column_types=kinds)
    with pa.csv.open_csv(path, convert_options=options) as blocks:
        found, held = [], 0
        for block in blocks:
            held += block.nbytes
            _check_held(held)
            found.append(block)
        return _with_whole_numbers(pa.Table.from_batches(found, blocks.schema), target)


def _header(path: Path) -> list[str]:
    """Names of the columns, looked at before room is made for any of them."""
    with path.open("rb") as file:
        line = file.readline(MAX_HEADER_BYTES)
    if len(line) == MAX_HEADER_BYTES and not line.endswith(b"\n"):
        raise InvalidInput(
            f"The first line is longer than {MAX_HEADER_BYTES:,} bytes; it names the columns.", field="body"
        )
    return list(pa.csv.read_csv(pa.BufferReader(line)).column_names)


def _with_whole_numbers(table: pa.Table, target: Target) -> pa.Table:
    """Channels of whole numbers as such, where they are: `1.0` is one."""
    for place, name in enumerate(table.column_names):
        if name in target.channels and target.channels[name].startswith("int"):
            with suppress(pa.ArrowInvalid):  # what is not whole is refused later, with its channel
                table = table.set_column(place, name, table.column(name).cast(pa.int64()))
    return table


def _parquet(path: Path, target: Target) -> pa.Table:
    """Row group by row group, counted before and after; keys by their dictionaries, as they stand in the file.

    `total_byte_size` alone says nothing: pages repeat a value at no cost. The number of rows that the footer names is
    what the reader stops at, so rows × width of the numbers bounds them.
    """
    empty = pq.read_schema(path).empty_table()
    _check_columns(empty, target)
    with pq.ParquetFile(path, read_dictionary=["key"] if "key" in empty.column_names else None) as file:
        infos = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        width = _width(file.schema_arrow)
        _check_held(sum(max(group.total_byte_size, group.num_rows * width) for group in infos))
        groups, held = [], 0
        for number in range(file.num_row_groups):
            groups.append(file.read_row_group(number, use_threads=False))
            held += groups[-1].nbytes
            _check_held(held)
        return pa.concat_tables(groups) if groups else file.schema_arrow.empty_table()


def _width(schema: pa.Schema) -> int:
    """Bytes of a record: its numbers, and a place in the dictionary for its key."""
    return sum(4 if field.name == "key" else field.type.bit_width // 8 for field in schema)


def _check_held(num_bytes: int) -> None:
    if num_bytes > MAX_BYTES:
        raise InvalidInput(
            f"The file holds more than {MAX_BYTES:,} bytes once its numbers are read; send fewer epochs at once.",
            field="body",
        )


def _of_table(table: pa.Table, target: Target) -> Matrices:
    _check_columns(table, target)
    if "key" in table.column_names:
        table = _with_rows(table, target)
    _check_rows(table, target)
    epochs = pc.count_distinct(table.column("epoch")).as_py()
    _check_size(target, epochs)
    found = records_of(table, Path("the body"))
    return _matrices(dict(found.channels), target, list(found.epochs), None, table.num_rows)


def _check_names(there: list[str], target: Target) -> None:
    known = {"key", "row", "epoch", *target.channels}
    unknown = [name for name in there if name not in known]
    if unknown or len(set(there)) < len(there):
        raise InvalidInput(
            f"Column {(unknown or there)[0]!r} is not read, or comes twice. This run has announced the channels "
            f"{', '.join(target.channels)}; beside them stand key or row, and epoch.",
            field=(unknown or there)[0],
        )
    if ("key" in there) == ("row" in there) or "epoch" not in there or len(there) < 3:
        raise InvalidInput(
            "The columns are key or row (one of them), epoch, and at least one channel.", field="body"
        )


def _check_columns(table: pa.Table, target: Target) -> None:
    there = table.column_names
    _check_names(there, target)
    for name in ("epoch", "row"):
        if name in there and not pa.types.is_integer(table.column(name).type):
            raise InvalidInput(
                f"Column {name} holds {table.column(name).type}; whole numbers are needed.", field=name
            )
    for name in set(there) & set(target.channels):
        if not (pa.types.is_integer(kind := table.column(name).type) or pa.types.is_floating(kind)):
            raise InvalidInput(f"Column {name} holds {kind}; numbers are needed.", field=name)
    if "key" in there and not _is_key(table.column("key").type):
        raise InvalidInput(
            f"Column key holds {table.column('key').type}; text or whole numbers are needed.", field="key"
        )


def _is_key(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind))


def _with_rows(table: pa.Table, target: Target) -> pa.Table:
    """The same with `row` in place of `key`."""
    rows = _rows_of_keys(table.column("key"), target.keys)
    if rows.null_count:
        wrong = np.flatnonzero(rows.is_null().to_numpy())
        _refuse([_unknown(table, int(at)) for at in wrong[:LISTED_ROWS]], len(wrong))
    return table.set_column(table.column_names.index("key"), "row", rows.cast(pa.int64()))


def _rows_of_keys(column: pa.ChunkedArray, keys: pa.Array) -> pa.ChunkedArray:
    """Of each key its row, null where there is none. A dictionary is looked up and not unpacked: it may say one long
    key millions of times."""
    if not pa.types.is_dictionary(column.type):
        return pc.index_in(column.cast(pa.large_string()), value_set=keys)
    chunks = column.unify_dictionaries().chunks
    if not chunks:
        return pa.chunked_array([], pa.int32())
    places = pc.index_in(chunks[0].dictionary.cast(pa.large_string()), value_set=keys)
    return pa.chunked_array([places.take(chunk.indices) for chunk in chunks])


def _unknown(table: pa.Table, at: int) -> RowError:
    key = str(table.column("key")[at].as_py())
    shown = key if len(key) <= SHOWN_CHARACTERS else key[:SHOWN_CHARACTERS] + "…"
    return RowError(at, "unknown_key", f"The dataset has no key {shown!r}.")


def _check_rows(table: pa.Table, target: Target) -> None:
    """A null is found by the reader."""
    for name, bound in (("row", target.num_rows), ("epoch", LARGEST_EPOCH + 1)):
        numbers = pc.fill_null(table.column(name).cast(pa.int64()), 0).to_numpy()
        wrong = np.flatnonzero((numbers < 0) | (numbers >= bound))
        words = f"goes from 0 to {bound - 1}"
        faults = [
            RowError(int(at), f"{name}_range", f"{name} is {numbers[at]}; it {words}.")
            for at in wrong[:LISTED_ROWS]
        ]
        _refuse(faults, len(wrong))


# ---- matrices and training dynamics


def _of_matrix(path: Path, target: Target, channel: str | None, first_epoch: int) -> Matrices:
    if channel not in target.channels:
        raise InvalidInput(
            f"Say in the address which channel the matrix holds; announced: {', '.join(target.channels)}.",
            field="channel",
        )
    try:
        matrix = np.load(
            path, mmap_mode="r", allow_pickle=False
        )  # mapped: a header that lies allocates nothing
    except (OSError, ValueError, EOFError, SyntaxError) as fault:
        raise InvalidInput(f"The body is no .npy file: {fault}.", field="body") from None
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.shape[0] != target.num_rows:
        shape = getattr(matrix, "shape", "several arrays")
        raise InvalidInput(
            f"The matrix is {shape}; ({target.num_rows}, epochs) is needed: a row per row of the run.",
            field="body",
        )
    if matrix.dtype.kind not in "fiu" or not matrix.shape[1]:
        raise InvalidInput(f"The matrix holds {matrix.shape[1]} epochs of {matrix.dtype}.", field="body")
    _check_size(target, matrix.shape[1])
    epochs = list(range(first_epoch, first_epoch + matrix.shape[1]))
    return _matrices({channel: matrix}, target, epochs, None, int(matrix.size))


def _of_cartography(path: Path, target: Target) -> Matrices:
    wanted = tuple(name for name in CARTOGRAPHY if name in target.channels)
    if not wanted:
        raise InvalidInput(
            "Training dynamics give loss, margin and predicted; the run announced none.", field="body"
        )
    found = read_cartography(path, wanted)
    rows = pc.index_in(pa.array(found.keys or [], pa.large_string()), value_set=target.keys)
    of_keys = found.keys or []
    _refuse(
        [
            RowError(int(at), "unknown_key", f"The dataset has no key {of_keys[at]!r}.")
            for at in np.flatnonzero(rows.is_null().to_numpy(zero_copy_only=False))
        ]
    )
    places = rows.to_numpy(zero_copy_only=False).astype(np.int64)
    _check_gold(found.labels, found.class_names, of_keys, places, target)
    _check_size(target, len(found.epochs))
    return _matrices(dict(found.channels), target, list(found.epochs), places, int(found.seen.sum()))


def _check_gold(
    labels: NDArray[np.integer[Any]] | None,
    class_names: list[str] | None,
    keys: list[str],
    places: NDArray[np.int64],
    target: Target,
) -> None:
    """The losses are against the file's labels; they must be the dataset's."""
    if labels is None:
        return
    numbers = np.asarray(labels, np.int64)
    if class_names is not None:
        of_name = {name: number for number, name in enumerate(target.class_names)}
        numbers = np.array([of_name.get(class_names[label], -1) for label in labels])
    differing = np.flatnonzero(numbers != target.labels[places])
    _refuse(
        [
            RowError(
                int(at), "label_differs", f"{keys[at]!r} has another label in the dataset than its gold."
            )
            for at in differing
        ]
    )


# ---- common


def _matrices(
    found: dict[str, NDArray[Any]],
    target: Target,
    epochs: list[int],
    places: NDArray[np.int64] | None,
    num_records: int,
) -> Matrices:
    """In the run's rows and dtypes. `places` are the rows of the run; the first ones when not given."""
    whole = {}
    for name, values in found.items():
        dtype = np.dtype(target.channels[name])
        _check_fits(name, values, dtype)
        matrix = np.full((target.num_rows, len(epochs)), np.nan if dtype.kind == "f" else -1, dtype)
        rows = np.arange(len(values)) if places is None else places
        matrix[rows] = values if dtype.kind == "f" else np.nan_to_num(values, nan=-1)
        whole[name] = matrix
    return Matrices(whole, epochs, num_records)


def _check_fits(name: str, values: NDArray[Any], dtype: np.dtype[Any]) -> None:
    if dtype.kind == "f":
        return
    bounds = np.iinfo(dtype)
    seen = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    if seen.size and (seen.min() < bounds.min or seen.max() > bounds.max or (seen != np.floor(seen)).any()):
        raise InvalidInput(
            f"Channel {name} was announced as {dtype}; there are values that do not fit.", field=name
        )


def _check_size(target: Target, num_epochs: int) -> None:
    values = target.num_rows * num_epochs
    size = values * sum(np.dtype(dtype).itemsize for dtype in target.channels.values())
    if size > MAX_BYTES:
        raise InvalidInput(
            f"{num_epochs} epochs of {target.num_rows:,} rows make {size:,} bytes of curves; up to {MAX_BYTES:,} are "
            "taken at once. Send fewer epochs.",
            field="body",
        )


def _refuse(faults: list[RowError], number: int | None = None) -> None:
    if faults:
        number = len(faults) if number is None else number
        raise InvalidRows(
            f"{number} records were refused, and nothing was stored. {faults[0].message}",
            faults[:LISTED_ROWS],
            num_rejected=number,
        )
