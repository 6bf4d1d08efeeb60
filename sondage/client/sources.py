"""① What a dataset is made of, as a caller names it: digits, a local file, a path on the server."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict

from sondage.client.http import Http, OnUpload
from sondage.client.problems import checked
from sondage.errors import InvalidInput
from sondage.wire import Noise, Source

DIGITS = "digits"
KINDS = {".npz": "npz", ".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}
"""By the end of a file's name."""


class SourceOptions(TypedDict, total=False):
    """The fields of `sondage.wire.Source` but its path; `kind` is guessed from the name when not given."""

    kind: str | None
    modality: str | None
    label_column: str
    key_column: str | None
    split_column: str | None
    input_columns: list[str] | None
    arrays: dict[str, str]
    class_names: list[str] | None
    validation_share: float
    limit: int | None
    skip_invalid: bool
    noise: Noise | Mapping[str, float] | None


class InputsOptions(TypedDict, total=False):
    """Those of them that make sense for inputs of examples that are there already."""

    kind: str | None
    modality: str | None
    label_column: str
    key_column: str | None
    split_column: str | None
    input_columns: list[str] | None
    arrays: dict[str, str]
    class_names: list[str] | None


def usual_name(source: str | PathLike[str]) -> str:
    """The name a dataset gets when none is given: that of its file, without the ending."""
    return Path(fspath(source)).stem or DIGITS


def source_of(
    http: Http,
    source: str | PathLike[str],
    *,
    server_path: bool,
    on_upload: OnUpload | None,
    options: SourceOptions | InputsOptions,
) -> Source:
    """The source for the server. A local file is checked as far as that goes without reading it, then sent.

    Raises
    ------
    InvalidInput
        The file is not there, is a folder, or its kind cannot be told.
    """
    given: dict[str, Any] = dict(options)
    kind = given.pop("kind", None)
    if fspath(source) == DIGITS and not server_path:
        return checked(Source, kind=DIGITS, path=None, **given)
    path = PurePosixPath(fspath(source)) if server_path else _local(source)
    kind = kind or _kind_of(path, server_path)
    draft = checked(Source, kind=kind, path=fspath(path), **given)
    if server_path:
        return draft
    upload = http.upload(Path(path), on_upload)
    return draft.model_copy(update={"path": f"upload:{upload.id}"})


def _local(source: str | PathLike[str]) -> Path:
    path = Path(source)
    if path.is_dir():
        raise InvalidInput(
            f"{path} is a folder. Folders are read where the server is: name its path there, below one of the "
            "server's source roots, with server_path=True (--server-path).",
            field="source",
        )
    if not path.is_file():
        raise InvalidInput(
            f"There is no file {path} here. Name a file, or {DIGITS!r} for the built-in digits; for a file on "
            "the server say server_path=True (--server-path).",
            field="source",
        )
    return path


def _kind_of(path: PurePosixPath | Path, server_path: bool) -> str:
    kind = KINDS.get(path.suffix.lower())
    if kind is not None:
        return kind
    if server_path and not path.suffix:
        return "imagefolder"
    raise InvalidInput(
        f"The kind of {path} cannot be told from its name; it ends in none of {', '.join(KINDS)}. "
        "Say kind=… (--kind).",
        field="kind",
    )
