"""① Writing a payload: beside its place, durable, and then there at once; or nothing at all."""

from __future__ import annotations

import io
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

import numpy as np
import pyarrow as pa

from sondage.errors import Conflict, DataFolderError, InvalidInput
from store.durable import make_folder, rename, sync
from store.payloads.form import META, Column, Form, Meta

_PARTIAL = ".partial-"
_BATCH_BYTES = 64 * 1024 * 1024
Array = np.ndarray[Any, Any]


class PayloadWriter:
    """Collects one payload in a hidden folder beside its place; `publish` renames it.

    Without `publish` the folder is gone when the block ends, whatever ended it::

        with PayloadWriter(data_dir / "datasets") as writer:
            writer.start(Form.TEXTS, schema=pa.schema([("text", pa.large_string())]))
            writer.add(batch)
            writer.publish(data_dir / "datasets" / "7")

    Parameters
    ----------
    parent : Path
        Folder in which the payload will lie; made when missing. Renaming is atomic only inside one file system.

    Raises
    ------
    DataFolderError
        The folder cannot be written, or the disk is full. Nothing is left of the payload.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self.folder = parent / f"{_PARTIAL}{secrets.token_hex(8)}"
        self._file: _InputsFile | None = None
        self._is_durable = False
        self._columns: tuple[Column, ...] = ()

    def __enter__(self) -> PayloadWriter:
        with disk_errors(self.folder):
            make_folder(self.folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with suppress(OSError):  # a full disk refuses what is still buffered; it goes all the same
                self._file.abandon()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def num_rows(self) -> int:
        """Rows written so far."""
        return self._file.num_rows if self._file is not None else 0

    def start(
        self,
        form: Form,
        *,
        row_shape: tuple[int, ...] = (),
        schema: pa.Schema | None = None,
        columns: Sequence[Column] = (),
    ) -> None:
        """Say what comes.

        Parameters
        ----------
        form : Form
        row_shape : tuple of int
            Of the forms that are arrays: the shape of one row, (H, W, C) or (d,).
        schema : pyarrow.Schema
            Of the others.
        columns : sequence of Column
            Of a table.
        """
        self._columns = tuple(columns)
        path = self.folder / form.file_name
        with disk_errors(self.folder):
            self._file = _ArrayFile(path, form, row_shape) if form.is_array else _RowsFile(path, form, schema)

    def add(self, rows: Array | pa.RecordBatch) -> None:
        """Append rows: an array whose first axis is the row, or a record batch."""
        if self._file is None:
            raise InvalidInput("start() says what comes; call it before add().")
        with disk_errors(self.folder):
            self._file.add(rows)

    def add_file(self, name: str, content: bytes) -> None:
        """Put one more file into the folder, which no reader of payloads looks at."""
        with disk_errors(self.folder):
            (self.folder / name).write_bytes(content)

    def finish(self) -> None:
        """Make everything durable. It can take long; what is left for `publish` is a rename.

        Raises
        ------
        DataFolderError
            The disk is full or refuses.
        """
        if self._is_durable:
            return
        if self._file is None:
            raise InvalidInput("There is nothing to publish: start() was not called.")
        with disk_errors(self.folder):
            meta = self._file.finish(self._columns)
            (self.folder / META).write_text(meta.to_json(), encoding="utf-8")
            for path in sorted(self.folder.iterdir()):
                sync(path)
            sync(self.folder)
        self._is_durable = True

    def publish(self, folder: Path, *, replace: bool = False) -> None:
        """Give the folder its name, once everything is durable.

        Parameters
        ----------
        folder : Path
        replace : bool
            Take the place of what is there; for a moment nothing is.

        Raises
        ------
        Conflict
            Something is there already, and `replace` is false.
        DataFolderError
            The disk is full or refuses.
        """
        if folder.parent.resolve() != self._parent.resolve():
            raise InvalidInput(f"A payload is published beside where it was written, in {self._parent}.")
        self.finish()
        if replace:
            remove_payload(folder)
        _rename(self.folder, folder)


def remove_payload(folder: Path) -> None:
    """Remove a payload as a whole: it is out of sight before its first file goes. Nothing there: nothing done."""
    gone = folder.with_name(f"{_PARTIAL}{secrets.token_hex(8)}")
    try:
        folder.rename(gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)


def remove_leftovers(parent: Path, *, older_than_seconds: float = 86_400) -> int:
    """Remove what killed writers left in `parent` and nobody has touched for a while; returns how many."""
    limit = time.time() - older_than_seconds
    stale = [path for path in parent.glob(f"{_PARTIAL}*") if _last_change(path) < limit]
    for path in stale:
        shutil.rmtree(path, ignore_errors=True)
    return len(stale)


def _last_change(folder: Path) -> float:
    try:
        return max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:  # its writer is just publishing it
        return time.time()


class _InputsFile(Protocol):
    num_rows: int

    def add(self, rows: Any) -> None: ...

    def finish(self, columns: tuple[Column, ...]) -> Meta: ...

    def abandon(self) -> None: ...


class _ArrayFile:
    """A `.npy` that grows. Its header is written again at the end, when the number of rows is known."""

    def __init__(self, path: Path, form: Form, row_shape: tuple[int, ...]) -> None:
        self._form = form
        self._row_shape = row_shape
        self._dtype = np.dtype(np.uint8 if form is Form.PIXELS else "<f4")
        self.num_rows = 0
        self._file: IO[bytes] = path.open("wb")
        self._header_bytes = self._file.write(self._header())

    def _header(self) -> bytes:
        """NumPy leaves room in it for the first axis to grow, so that its length stays the same."""
        out = io.BytesIO()
        shape = (self.num_rows, *self._row_shape)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(out, header)
        return out.getvalue()

    def add(self, rows: Array) -> None:
        if rows.shape[1:] != self._row_shape:
            raise InvalidInput(f"Rows of shape {rows.shape[1:]} came; {self._row_shape} was announced.")
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self.num_rows += len(rows)

    def finish(self, columns: tuple[Column, ...]) -> Meta:
        header = self._header()
        if len(header) != self._header_bytes:
            raise DataFolderError(
                f"The header of {self._file.name} does not fit; {self.num_rows} rows are too many."
            )
        self._file.seek(0)
        self._file.write(header)
        self._file.close()
        return Meta(self._form, self.num_rows)

    def abandon(self) -> None:
        self._file.close()


class _RowsFile:
    """An Arrow IPC file of bounded record batches."""

    def __init__(self, path: Path, form: Form, schema: pa.Schema | None) -> None:
        if schema is None:
            raise InvalidInput(f"A payload of {form} needs a schema.", field="schema")
        self._form = form
        self._starts = [0]
        self.num_rows = 0
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, schema)

    def add(self, rows: pa.RecordBatch) -> None:
        if rows.num_rows > 1 and rows.nbytes > _BATCH_BYTES:
            half = rows.num_rows // 2
            self.add(rows.slice(0, half))
            self.add(rows.slice(half))
        elif rows.num_rows:
            self._writer.write_batch(rows)
            self.num_rows += rows.num_rows
            self._starts.append(self.num_rows)

    def finish(self, columns: tuple[Column, ...]) -> Meta:
        self._writer.close()
        self._sink.close()
        return Meta(self._form, self.num_rows, tuple(self._starts), columns)

    def abandon(self) -> None:
        if not self._sink.closed:
            self._sink.close()


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns what the operating system says into what a user can act on."""
    try:
        yield
    except OSError as error:
        raise DataFolderError(
            f"Files could not be written to {folder.parent}: {error.strerror or error}. "
            "Free some space or mend the folder, then try again; nothing was kept."
        ) from error


def _rename(partial: Path, folder: Path) -> None:
    if folder.exists():
        raise Conflict(f"There is a payload at {folder} already; remove it first.")
    with disk_errors(partial):
        rename(partial, folder)
