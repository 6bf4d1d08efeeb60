"""③ Bring your own records: files of losses that were kept elsewhere, read into channels over epochs.

::

    .parquet, .csv      columns key (or row), epoch, loss; margin, predicted and others by name; label if it is there
    .npy                a matrix, one row per example, one column per epoch
    .npz                matrices by the names of channels; labels, keys and class_names beside them
    .jsonl, or folder   training dynamics of Dataset Cartography: guid, logits_epoch_<n>, gold

Numbers, keys and labels are read, and nothing else of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from sondage.errors import InvalidInput
from sondage.records.base import Records
from sondage.records.cartography import read_cartography
from sondage.records.matrices import read_npy, read_npz
from sondage.records.tables import read_csv, read_parquet

__all__ = ["READERS", "Records", "read_records"]

READERS: dict[str, Callable[[Path, tuple[str, ...] | None], Records]] = {
    "parquet": read_parquet,
    "csv": read_csv,
    "npy": read_npy,
    "npz": read_npz,
    "cartography": read_cartography,
}
"""By format."""


def read_records(
    file: str | PathLike[str],
    *,
    format: str | None = None,
    channels: Sequence[str] | None = None,
) -> Records:
    """Read a file of records, whole: one float32 per row, epoch and channel is held in memory.

    Parameters
    ----------
    file : path
    format : {"parquet", "csv", "npy", "npz", "cartography"}, optional
        By the file's ending when not given.
    channels : sequence of str, optional
        Tables and `.npz`: which columns or arrays to read; loss, margin and predicted, as far as they are there,
        when not given. `.npy`: the name of what the matrix holds, `loss` when not given.

    Raises
    ------
    InvalidRows
        Records that cannot be used, with their position in the file and why.
    InvalidInput
        The file is not there, is of another kind, or lacks what is needed.
    ImportError
        A table, and pyarrow is not installed.
    """
    path = Path(file)
    if not path.exists():
        raise InvalidInput(f"There is no file {path} here.", field="file")
    chosen = format or _format_of(path)
    if chosen not in READERS:
        raise InvalidInput(f"format is {chosen!r}; there are {', '.join(READERS)}.", field="format")
    return READERS[chosen](path, None if channels is None else tuple(channels))


def _format_of(path: Path) -> str:
    endings = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".npy": "npy", ".npz": "npz"}
    if path.is_dir() or path.suffix.lower() in (".jsonl", ".json"):
        return "cartography"
    if path.suffix.lower() not in endings:
        raise InvalidInput(
            f"What {path} is cannot be told from its name: say format=…, one of {', '.join(READERS)}.",
            field="format",
        )
    return endings[path.suffix.lower()]
