"""① Parquet, CSV and image folders, read through Hugging Face `datasets` without a network and without its code
from elsewhere: only its built-in readers, on local files under names that we chose."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from sondage.errors import InvalidInput, InvalidRows, RowError
from worker.data.sources.columns import SPLIT_WORDS, check_column_names
from worker.data.sources.model import SourceLimits
from worker.data.sources.parquet import check_unfolded
from worker.data.sources.paths import check_file

_ORDER = ("train", "validation", "test")


@dataclass(frozen=True)
class Frame:
    """All rows of a source as one memory-mapped table.

    Attributes
    ----------
    table : pyarrow.Table
        The parts one below the other.
    parts : list of (split, number of rows)
    class_names : mapping of column to class names
        Of the columns that the file declares to be class labels.
    """

    table: pa.Table
    parts: list[tuple[str, int]]
    class_names: Mapping[str, list[str]]


def read_parquet(path: Path, scratch: Path, limits: SourceLimits) -> Frame:
    """One file, or a folder of files whose names begin with their split (`test-00000-of-00001.parquet`)."""
    files = _linked(path, scratch, limits, "parquet")
    num_rows = check_unfolded([Path(file) for part in files.values() for file in part], limits)
    return load("parquet", files, scratch, batch_size=num_rows)


def read_csv(path: Path, scratch: Path, limits: SourceLimits) -> Frame:
    """Comma-separated values with a header, in UTF-8. Every column is read as words; empty is missing."""
    files = _linked(path, scratch, limits, "csv")
    paths = [file for part in files.values() for file in part]
    for file in paths:
        check_lines(file, limits.max_line_bytes)
    columns = [_header(file) for file in paths]
    if any(names != columns[0] for names in columns):
        raise InvalidInput("The files of the folder have different columns.", field="path")
    words = _library().Features({name: _library().Value("string") for name in columns[0]})
    options = {"features": words, "keep_default_na": False, "na_values": [""], "encoding": "utf-8-sig"}
    return load("csv", files, scratch, **options)


def load(builder: str, files: Mapping[str, list[str]], scratch: Path, **options: Any) -> Frame:
    """Read files by one of the library's own readers; its cache goes into the scratch folder.

    Raises
    ------
    InvalidInput
        The reader gave up; the message is its own.
    """
    library = _library()
    try:
        loaded = library.load_dataset(
            builder, data_files=dict(files), cache_dir=str(scratch / "cache"), **options
        )
        parts = [(split, loaded[split]) for split in _ORDER if split in loaded]
        tables = [data.with_format("arrow")[:] for _, data in parts]
        table = pa.concat_tables([one.replace_schema_metadata(None) for one in tables])
    except MemoryError:
        raise
    except Exception as error:  # it passes on whatever pandas, pyarrow and fsspec raise
        raise InvalidInput(
            f"The source cannot be read as {builder}: {_root_cause(error)}", field="path"
        ) from error
    check_column_names(table.column_names)
    features = parts[0][1].features
    names = {name: list(f.names) for name, f in features.items() if isinstance(f, library.ClassLabel)}
    return Frame(table, [(split, data.num_rows) for split, data in parts], names)


def _library() -> Any:
    """Hugging Face `datasets`, told before its import to stay off the network."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    import datasets

    datasets.disable_progress_bars()
    return datasets


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).replace("\x00", "\\x00").split())[:300]
    if "corresponds to no data" in text:
        return "it is empty, without a single row"
    return text or type(error).__name__


def _linked(path: Path, scratch: Path, limits: SourceLimits, kind: str) -> dict[str, list[str]]:
    """Links under plain names to the files of each split: the library takes `*` and `::` in names for patterns."""
    if not path.is_dir():
        sources = [(check_file(path, limits, kind=kind), "train")]
    else:
        names = sorted(p for p in path.glob(f"*.{kind}") if not p.name.startswith("."))
        sources = [(check_file(_inside(p, path), limits, kind=kind), _split_of(p)) for p in names]
    if not sources:
        raise InvalidInput(f"There is no .{kind} file in {path.name!r}.", field="path")
    files: dict[str, list[str]] = {}
    for number, (source, split) in enumerate(sources):
        link = scratch / f"{number}.{kind}"
        link.symlink_to(source.resolve())
        files.setdefault(split, []).append(str(link))
    return files


def _inside(path: Path, folder: Path) -> Path:
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise InvalidInput(f"{path.name!r} is a link that leads out of its folder.", field="path")
    return real


def _split_of(path: Path) -> str:
    """The split that the first word of a file's name says; train otherwise."""
    word = path.stem.replace("_", "-").replace(".", "-").split("-")[0].lower()
    return SPLIT_WORDS.get(word, "train")


def _header(file: str) -> list[str]:
    try:
        with Path(file).open(encoding="utf-8-sig", newline="") as lines:
            names = next(csv.reader(lines), [])
    except csv.Error as error:
        raise InvalidInput(f"The header cannot be read: {error}.", field="path") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or "" in names:
        fault = f"{twice[0]!r} comes twice" if twice else "one has no name"
        raise InvalidInput(f"The columns in the header need names of their own: {fault}.", field="path")
    check_column_names(names)
    return names


def check_lines(file: str, max_bytes: int) -> None:
    """Lines of bearable length, in UTF-8. The library's reader tells a byte's position in its chunk, which helps nobody
    to find it."""
    with Path(file).open("rb") as lines:
        number = 0
        # Never more than a line that is just too long: a file need not have any line end.
        while line := lines.readline(max_bytes + 1):
            number += 1
            if len(line) > max_bytes:
                raise InvalidInput(
                    f"Line {number} has more than {max_bytes:,} bytes. Is it CSV, with an end to each line?",
                    field="path",
                )
            _check_utf8(line, number)


def _check_utf8(line: bytes, number: int) -> None:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        fault = RowError(max(0, number - 2), "not_utf8", f"Line {number} is not UTF-8 ({error.reason}).")
        raise InvalidRows(
            f"{fault.message} Save the file as UTF-8; nothing was registered.", [fault]
        ) from error
