"""⑥ Folders and renames that outlast a power cut: a name is kept once the folder that holds it is synced.

A file's own `fsync` keeps its content, not its name (fsync(2): "Calling fsync() does not necessarily ensure that the
entry in the directory containing the file has also reached disk").
"""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder that is not there yet, durably, with the folders above it where these are missing.

    Raises
    ------
    OSError
        It is there already, or cannot be made.
    """
    missing = [above for above in folder.parents if not above.exists()]
    for above in reversed(missing):
        above.mkdir(exist_ok=True)
        sync(above.parent)
    folder.mkdir()


def rename(folder: Path, to: Path) -> None:
    """Give a folder whose files are synced its name, durably. Both lie in the same folder."""
    sync(folder)
    folder.rename(to)
    sync(to.parent)
