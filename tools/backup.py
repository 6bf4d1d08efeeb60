"""Backup and restore of one server: its database and the payloads in its data folder, in one file.

    python -m tools.backup save sondage.tar
    python -m tools.backup restore sondage.tar

Works on what SONDAGE_DATABASE_URL and SONDAGE_DATA_DIR name, the embedded Postgres included. `save` may run beside a
working server. Checkpoints and the uploads of open jobs are read before the database, since work that goes on replaces
them; payloads after it, those that its snapshot names: they never change once the database knows them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, text
from sqlalchemy.orm import Session

from sondage.errors import Conflict, InvalidInput, NotFound, SondageError
from store.embedded.programs import find_binaries
from store.engine import Database, open_database, transaction
from store.settings import StoreSettings
from store.sweep import uploads_to_read

DUMP = "database.dump"
FOLDERS = ("uploads", "datasets", "runs")
CHECKPOINTS = "checkpoints"
PAYLOADS = text("SELECT payload FROM datasets WHERE payload <> '' ORDER BY id")
OWN_TABLES = text(
    "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.backup", description=__doc__)
    parser.add_argument("action", choices=["save", "restore"])
    parser.add_argument("file", type=Path, help="the backup, a tar file")
    arguments = parser.parse_args()
    settings = StoreSettings()
    try:
        if not arguments.file.name:
            raise InvalidInput("Name the file: make backup FILE=sondage.tar", field="file")
        {"save": save, "restore": restore}[arguments.action](settings, arguments.file)
    except (SondageError, OSError, tarfile.TarError) as fault:
        sys.stderr.write(f"backup: {fault}\n")
        return 1
    return 0


def save(settings: StoreSettings, file: Path) -> None:
    """Write the backup. An existing file is replaced when the new one is complete, and not before.

    Raises
    ------
    SondageError
        The database cannot be reached, or `pg_dump` failed; its own message is passed on.
    """
    with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".backup-") as folder:
        part = Path(folder) / "backup.tar"
        with (
            closing(open_database(settings.database_url, settings.data_dir)) as database,
            tarfile.open(part, "w") as tar,
        ):
            _write(Archive(tar, settings.data_dir), database, Path(folder) / DUMP)
        part.replace(file)
    print(f"saved {file} ({file.stat().st_size / 1e6:.1f} MB)")


def _write(archive: Archive, database: Database, dump: Path) -> None:
    for folder in (archive.data_dir / "runs").glob(f"[0-9]*/{CHECKPOINTS}"):
        archive.add(folder)
    with transaction(database.engine) as session:
        for name in _uploads(session):
            archive.add(archive.data_dir / name)
    with transaction(database.engine) as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        snapshot = session.scalar(text("SELECT pg_export_snapshot()"))
        named = [*session.scalars(PAYLOADS), *_uploads(session)]
        runs = list(session.scalars(text("SELECT id FROM runs ORDER BY id")))
        url = database.engine.url
        _postgres("pg_dump", url, "--format=custom", f"--snapshot={snapshot}", f"--file={dump}")
    archive.tar.add(dump, DUMP)
    for run_id in runs:
        archive.add(archive.data_dir / "runs" / str(run_id), leave_out=CHECKPOINTS)
    for name in named:
        archive.add(archive.data_dir / name)
        if not archive.has(name):
            sys.stderr.write(
                f"backup: {name} was deleted meanwhile; it is not, or not whole, in the backup\n"
            )


def _uploads(session: Session) -> list[str]:
    """Folders of the files that jobs are still to read."""
    return [f"uploads/{name}" for name in sorted(uploads_to_read(session))]


class Archive:
    """A tar file of what lies in the data folder, made while others write and delete there."""

    def __init__(self, tar: tarfile.TarFile, data_dir: Path) -> None:
        self.tar = tar
        self.data_dir = data_dir
        self._names: set[str] = set()
        self._whole: set[str] = set()

    def add(self, folder: Path, *, leave_out: str = "") -> None:
        """The files below a folder. Half-written ones are left out; where some vanish, it is looked at again."""
        while self._add(folder, leave_out):
            pass
        if folder.is_dir():  # a payload that is deleted vanishes as a whole, before its first file does
            self._whole.add(folder.relative_to(self.data_dir).as_posix())

    def has(self, name: str) -> bool:
        """Is all of this folder in it?"""
        return name in self._whole

    def _add(self, folder: Path, leave_out: str) -> bool:
        """Add what is not in it yet. True when a file was gone by the time it was to be read."""
        vanished = False
        for parent, folders, files in os.walk(folder, onerror=_raise_unless_gone):
            folders[:] = sorted(name for name in folders if name != leave_out and not _is_partial(name))
            for name in sorted(name for name in files if not _is_partial(name)):
                vanished |= not self._add_file(Path(parent) / name)
        return vanished

    def _add_file(self, path: Path) -> bool:
        name = path.relative_to(self.data_dir).as_posix()
        if name in self._names:
            return True
        try:
            with path.open("rb") as file:  # once open, it can be read to its end even when it is deleted
                self.tar.addfile(self.tar.gettarinfo(arcname=name, fileobj=file), file)
        except FileNotFoundError:
            return path.is_symlink()  # one that leads nowhere is nothing to wait for
        self._names.add(name)
        return True


def _is_partial(name: str) -> bool:
    return name.startswith(".partial-") or name.endswith(".partial")


def _raise_unless_gone(fault: OSError) -> None:
    if not isinstance(fault, FileNotFoundError):
        raise fault


def restore(settings: StoreSettings, file: Path) -> None:
    """Read the backup into an empty database and a data folder without payloads; on failure both stay empty.

    Raises
    ------
    NotFound
        There is no such file.
    Conflict
        The database or the data folder holds something already.
    """
    if not file.is_file():
        raise NotFound(f"There is no file {file}.")
    _refuse_payloads(settings.data_dir)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".restore-") as folder:
        _unpack(file, Path(folder))
        with closing(open_database(settings.database_url, settings.data_dir)) as database:
            _refuse_tables(database.engine)
            options = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error")
            _postgres("pg_restore", database.engine.url, *options, str(Path(folder) / DUMP))
        for name in FOLDERS:
            if (Path(folder) / name).is_dir():
                shutil.move(Path(folder) / name, settings.data_dir / name)
    print(f"restored {file}")


def _unpack(file: Path, folder: Path) -> None:
    with tarfile.open(file) as archive:
        if DUMP not in archive.getnames():
            raise InvalidInput(f"{file} is no backup of Sondage: it holds no {DUMP}.", field="file")
        archive.extractall(folder, filter="data")


def _refuse_payloads(data_dir: Path) -> None:
    for name in FOLDERS:
        if (data_dir / name).is_dir() and any((data_dir / name).iterdir()):
            raise Conflict(
                f"{data_dir / name} is not empty. Restore into a new folder: set SONDAGE_DATA_DIR."
            )


def _refuse_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        if connection.scalar(OWN_TABLES):
            raise Conflict("The database holds tables already. Restore into an empty one.")


def _postgres(program: str, url: URL, *options: str) -> None:
    """Run one of Postgres' own programs on a database. The password goes by the environment, out of `ps`."""
    address = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    environment = dict(os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {}))
    command = [str(find_binaries() / program), f"--dbname={address}", "--no-password", *options]
    run: Any = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SondageError(f"{program} failed: {run.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main())
