"""Backup and restore of one server: its database and the payloads in its data folder, in one file.

    python -m tools.backup save sondage.tar
    python -m tools.backup restore sondage.tar

Works on what SONDAGE_DATABASE_URL and SONDAGE_DATA_DIR name, the embedded Postgres included. `save` may run beside a
working server: the database is read first, in one snapshot, and payloads never change once the database knows them.
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

from sondage.errors import Conflict, InvalidInput, NotFound, SondageError
from store.embedded.programs import find_binaries
from store.engine import open_database
from store.settings import StoreSettings

DUMP = "database.dump"
FOLDERS = ("uploads", "datasets", "runs")
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
    part = file.with_name(file.name + ".part")
    with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".backup-") as folder:
        dump = Path(folder) / DUMP
        with closing(open_database(settings.database_url, settings.data_dir)) as database:
            _postgres("pg_dump", database.engine.url, "--format=custom", f"--file={dump}")
        with tarfile.open(part, "w") as archive:
            archive.add(dump, DUMP)
            for name in FOLDERS:
                if (settings.data_dir / name).is_dir():
                    archive.add(settings.data_dir / name, name)
    part.replace(file)
    print(f"saved {file} ({file.stat().st_size / 1e6:.1f} MB)")


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
