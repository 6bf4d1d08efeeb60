"""⑥ A dataset's source, checked before a job is made of it: what needs no reading of the file."""

from __future__ import annotations

from pathlib import Path

from app.api.uploads import UPLOAD_ID
from app.settings import AppSettings
from sondage.errors import Forbidden, InvalidInput
from sondage.wire import Source

UPLOAD = "upload:"


def check_source(source: Source, settings: AppSettings) -> None:
    """Refuse a source that no worker could or should read.

    Raises
    ------
    InvalidInput
        The path is missing or superfluous, or names an upload that is not there.
    Forbidden
        The path lies below none of the configured roots.
    """
    if source.kind == "digits":
        if source.path is not None:
            raise InvalidInput("The digits are built in; leave `path` out.", field="source.path")
        return
    if not source.path:
        raise InvalidInput(
            f"A source of kind {source.kind} needs a `path`: `upload:<id>` of a file you sent, or a path on "
            "the server.",
            field="source.path",
        )
    if source.path.startswith(UPLOAD):
        _check_upload(source.path.removeprefix(UPLOAD), settings.data_dir)
    else:
        _check_path(source.path, settings.source_roots)


def _check_upload(number: str, data_dir: Path) -> None:
    if not UPLOAD_ID.fullmatch(number) or not (data_dir / "uploads" / number).is_dir():
        raise InvalidInput(f"There is no upload {number!r}; send the file again.", field="source.path")


def _check_path(path: str, roots: list[Path]) -> None:
    """Whether it is there is the worker's to find out; where it may lie is settled here and there."""
    if "\0" in path:
        raise InvalidInput("The path has a NUL character.", field="source.path")
    if not roots:
        raise Forbidden(
            "This server reads no paths of its own: send the file as an upload, or let its operator set "
            "SONDAGE_SOURCE_ROOTS."
        )
    resolved = [root.resolve() for root in roots]
    candidates = [Path(path)] if Path(path).is_absolute() else [root / path for root in resolved]
    if not any(candidate.resolve().is_relative_to(root) for candidate in candidates for root in resolved):
        raise Forbidden(f"{path!r} lies below none of the server's source roots (SONDAGE_SOURCE_ROOTS).")
