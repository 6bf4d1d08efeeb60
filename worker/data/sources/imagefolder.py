"""① Image folders: `class/picture`, or `train/class/picture` and `test/class/picture`; or a zip of one.

What is there is hostile until checked. The library that reads the folder unpacks archives and takes split names out
of file names, so it is shown a tree of links to the picture files alone.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from sondage.errors import Forbidden, InvalidInput
from worker.data.sources.columns import SPLIT_WORDS
from worker.data.sources.frame import Frame, check_lines, load
from worker.data.sources.model import SourceLimits
from worker.data.sources.parquet import check_unfolded
from worker.data.sources.paths import check_file

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_TREE = "tree"
_UNSAFE = re.compile(r"[%*?\[\]:#]")


def read_imagefolder(
    path: Path, scratch: Path, limits: SourceLimits
) -> tuple[Frame, pa.Array, Callable[[str], bytes]]:
    """The pictures of a folder, with their labels.

    Returns
    -------
    frame : Frame
        Columns `image` {bytes, path} and `label`, or those of its metadata file. In the order of the paths.
    keys : pyarrow column
        The path of each picture inside the folder.
    read_path : callable
        Reads a picture by its path, if it lies in the folder.
    """
    tree = scratch / _TREE
    tree.mkdir()
    if path.is_dir():
        root, names = path.resolve(), _link_tree(path, tree, limits)
    else:
        root, names = tree.resolve(), _unpack(check_file(path, limits, kind="imagefolder"), tree, limits)
    pictures = [name for name in names if name.name not in _METADATA]
    if not pictures:
        raise InvalidInput(f"There are no pictures ({', '.join(_PICTURES)}) in {path.name!r}.", field="path")
    metadata = [tree / name for name in names if name.name in _METADATA]
    _check_metadata(metadata, limits)
    options = {} if metadata else {"drop_labels": False}
    frame = _in_order(load("imagefolder", _patterns(tree, pictures), scratch, **options))
    paths = pc.struct_field(frame.table.column("image").combine_chunks(), "path")
    keys = pa.array([unquote(str(Path(p.as_py()).relative_to(tree))) for p in paths], pa.string())
    class_names = {column: [unquote(name) for name in names] for column, names in frame.class_names.items()}
    frame = replace(frame, class_names=class_names)
    return frame, keys, lambda picture: _read(picture, root, limits)


def _check_metadata(files: list[Path], limits: SourceLimits) -> None:
    """They cost what any file of their kind costs."""
    check_unfolded([file for file in files if file.suffix == ".parquet"], limits)
    for file in files:
        if file.suffix != ".parquet":
            check_lines(str(file), limits.max_line_bytes)


def _patterns(tree: Path, pictures: list[PurePosixPath]) -> dict[str, list[str]]:
    """One pattern per split, where the folders at the top are splits and one of them is train."""
    tops = {name.parts[0] for name in pictures if len(name.parts) > 2}
    splits = {top: SPLIT_WORDS.get(top.lower()) for top in sorted(tops)}
    if None in splits.values() or "train" not in splits.values() or any(len(n.parts) < 3 for n in pictures):
        return {"train": [f"{tree}/**"]}
    patterns: dict[str, list[str]] = {}
    for top, split in splits.items():
        patterns.setdefault(str(split), []).append(f"{tree}/{top}/**")
    return patterns


def _in_order(frame: Frame) -> Frame:
    """Each part sorted by path, so that the same folder gives the same examples anywhere."""
    tables: list[pa.Table] = []
    start = 0
    for _, num in frame.parts:
        part = frame.table.slice(start, num)
        paths = pc.struct_field(part.column("image").combine_chunks(), "path")
        tables.append(part.take(pc.sort_indices(paths)))
        start += num
    return Frame(pa.concat_tables(tables), frame.parts, frame.class_names)


def quoted(name: PurePosixPath) -> PurePosixPath:
    """The same with `%…` for signs that the library takes for patterns or addresses (`*`, `?`, `[`, `::`)."""
    return PurePosixPath(_UNSAFE.sub(lambda sign: f"%{ord(sign[0]):02X}", str(name)))


def _wanted(name: str) -> bool:
    return not name.startswith(".") and (name.lower().endswith(_PICTURES) or name in _METADATA)


def _link_tree(folder: Path, tree: Path, limits: SourceLimits) -> list[PurePosixPath]:
    names: list[PurePosixPath] = []
    for name in _walk(folder):
        if len(names) == limits.max_files:
            raise InvalidInput(
                f"{folder.name!r} holds more than {limits.max_files:,} pictures.", field="path"
            )
        link = tree / quoted(name)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder.resolve() / name)
        names.append(quoted(name))
    return names


def _walk(folder: Path) -> Iterator[PurePosixPath]:
    """Wanted files below the folder, relative to it. Links inside it are followed for files, not for folders."""
    real = folder.resolve()
    for parent, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(filter(_wanted, files)):
            path = Path(parent, name)
            _check_name(path.relative_to(folder))
            if not path.resolve().is_relative_to(real):
                raise Forbidden(f"{str(path.relative_to(folder))!r} is a link that leads out of the folder.")
            if stat.S_ISREG(path.stat().st_mode):
                yield PurePosixPath(path.relative_to(folder))


def _check_name(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"The file name {str(path)!r} is not UTF-8: rename the file.", field="path"
        ) from error


def _unpack(archive_path: Path, tree: Path, limits: SourceLimits) -> list[PurePosixPath]:
    """The wanted files of a zip, as plain files below `tree`."""
    names: list[PurePosixPath] = []
    try:
        with zipfile.ZipFile(archive_path) as archive:
            infos = [
                info for info in archive.infolist() if not info.is_dir() and _wanted(Path(info.filename).name)
            ]
            _check_size(infos, limits)
            for info in infos:
                name = quoted(_safe(info.filename))
                target = tree / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source, target.open("xb") as out:
                    shutil.copyfileobj(source, out)
                names.append(name)
    except (
        zipfile.BadZipFile,
        RuntimeError,
        NotImplementedError,
        FileExistsError,
        NotADirectoryError,
    ) as error:
        raise InvalidInput(
            f"{archive_path.name!r} cannot be unpacked ({error}); an uploaded image folder is one zip.",
            field="path",
        ) from error
    return _without_common_top(names, tree)


def _check_size(infos: list[zipfile.ZipInfo], limits: SourceLimits) -> None:
    total = sum(info.file_size for info in infos)
    if total > limits.max_array_bytes or len(infos) > limits.max_files:
        raise InvalidInput(
            f"The zip unpacks to {len(infos):,} files of {total:,} bytes; at most {limits.max_files:,} and "
            f"{limits.max_array_bytes:,} are read.",
            field="path",
        )


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise Forbidden(f"The zip holds {name!r}, which leads out of it.")
    return path


def _without_common_top(names: list[PurePosixPath], tree: Path) -> list[PurePosixPath]:
    """Zipping a folder by its name puts one folder above its classes; that is no class."""
    tops = {name.parts[0] for name in names}
    if len(tops) != 1 or any(len(name.parts) < 3 for name in names):
        return names
    top = tree / tops.pop()
    inner = top.rename(tree.with_name(f"{_TREE}-inner"))
    tree.rmdir()
    inner.rename(tree)
    return _without_common_top([PurePosixPath(*name.parts[1:]) for name in names], tree)


def _read(picture: str, root: Path, limits: SourceLimits) -> bytes:
    path = Path(picture).resolve()
    if not (path.is_relative_to(root) and path.is_file()):
        raise InvalidInput("The picture is not a file inside the folder.")
    if path.stat().st_size > limits.max_picture_bytes:
        raise InvalidInput(f"The picture has more than {limits.max_picture_bytes:,} bytes.")
    return path.read_bytes()
