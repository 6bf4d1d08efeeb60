"""① Where a source may be read from: an upload, or a path below one of the server's source roots."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from sondage.errors import Forbidden, InvalidInput, NotFound
from worker.data.sources.model import SourceLimits

_UPLOAD = "upload:"
_UPLOAD_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def resolve_source_path(path: str, *, roots: Sequence[Path], uploads: Path | None = None) -> Path:
    """The real path of a source, or why it may not be read.

    Parameters
    ----------
    path : str
        `upload:<id>`; an absolute path; or a relative one, looked for below each root in turn.
    roots : sequence of Path
        Folders below which may be read. Links are followed first, so none leads out of them.
    uploads : Path, optional
        Folder of the uploads, one folder each.

    Raises
    ------
    Forbidden
        It lies outside the roots. Whether there is something is not told.
    NotFound
        There is nothing, or no such upload.
    InvalidInput
        It is neither a file nor a folder.
    """
    if path.startswith(_UPLOAD):
        return _upload(path.removeprefix(_UPLOAD), uploads)
    if not path or "\x00" in path:
        raise InvalidInput("Name a path, or an upload by upload:<id>.", field="path")
    try:
        found = _below_a_root(path, roots)
    except (OSError, RuntimeError) as error:  # too long a name, or links in a circle
        raise InvalidInput(f"{path[:100]!r} cannot be followed: {error}.", field="path") from error
    if not (found.is_file() or found.is_dir()):
        raise InvalidInput(f"{path!r} is neither a file nor a folder.", field="path")
    return found


def _below_a_root(path: str, roots: Sequence[Path]) -> Path:
    if not roots:
        raise Forbidden(
            "The server reads no files by path: send the file as an upload, or start the server with "
            "SONDAGE_SOURCE_ROOTS set to the folders that it may read."
        )
    allowed = [root.resolve() for root in roots]
    candidates = [(root / path).resolve() for root in allowed]  # an absolute path replaces the root
    inside = [path for path in candidates if any(path.is_relative_to(root) for root in allowed)]
    for candidate in inside:
        if candidate.exists():
            return candidate
    if len(inside) < len(candidates):
        raise Forbidden(
            f"{path!r} lies outside the folders that the server may read: send the file as an upload, or add "
            "its folder to SONDAGE_SOURCE_ROOTS."
        )
    raise NotFound(f"There is nothing at {path!r} below the server's source roots (SONDAGE_SOURCE_ROOTS).")


def _upload(upload_id: str, uploads: Path | None) -> Path:
    if uploads is not None and _UPLOAD_ID.fullmatch(upload_id) and (uploads / upload_id).is_dir():
        files = [path for path in (uploads / upload_id).iterdir() if _is_plain_file(path)]
        if len(files) == 1:
            return files[0].resolve()
    raise NotFound(f"There is no upload {upload_id!r}: send the file again.")


def _is_plain_file(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode) and not path.name.startswith(".")


def check_file(path: Path, limits: SourceLimits, *, kind: str) -> Path:
    """A source that has to be one file, of bearable size."""
    if not path.is_file():
        raise InvalidInput(f"{path.name!r} is no file; a source of kind {kind} is one file.", field="path")
    if not os.access(path, os.R_OK):
        raise Forbidden(f"The server may not read {path.name!r}: change the file's permissions.")
    size = path.stat().st_size
    if size > limits.max_file_bytes:
        raise InvalidInput(
            f"{path.name!r} has {size:,} bytes; at most {limits.max_file_bytes:,} are read.", field="path"
        )
    if size == 0:
        raise InvalidInput(f"{path.name!r} is empty.", field="path")
    return path
