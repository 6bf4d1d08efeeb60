"""What lies where in the embedded server's folder, and the checks that refuse a folder before it is touched.

::

    postgres/          0700, owned by the user the server runs as
    ├── cluster/       what Postgres calls its data directory; `postgresql.conf` in it is the operator's to edit
    ├── cluster.new/   an initdb under way, or killed; removed at the next start
    ├── .s.PGSQL.5432  the socket, the only way in
    ├── log, log.1     what the server says; kept short by the watchdog
    ├── start          locked while one process starts or stops the server
    ├── users          share of the lock held by each process that uses the server
    ├── watchdog       locked by the living watchdog
    └── server         locked by every process of the living server
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from sondage.errors import DataFolderError
from store.embedded.programs import MAJOR_VERSION, User

SOCKET = ".s.PGSQL.5432"
LOCK_FILES = ("start", "users", "watchdog", "server")
OURS = {"cluster", "cluster.new", SOCKET, SOCKET + ".lock", "log", "log.1", *LOCK_FILES}
HARMLESS = {".DS_Store", "lost+found"}
# The kernel's room for a socket's path, less the closing zero byte.
SOCKET_PATH_BYTES = 103 if sys.platform == "darwin" else 107
ADVICE = "Choose another data folder (SONDAGE_DATA_DIR) or name a database (SONDAGE_DATABASE_URL)."


@dataclass(frozen=True)
class ServerFolder:
    """The folder `path` of one embedded server. Nothing is made before `create`."""

    path: Path

    @property
    def cluster(self) -> Path:
        return self.path / "cluster"

    @property
    def new_cluster(self) -> Path:
        return self.path / "cluster.new"

    @property
    def socket(self) -> Path:
        return self.path / SOCKET

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def is_initialised(self) -> bool:
        return (self.cluster / "PG_VERSION").exists()

    def lock(self, name: str) -> Path:
        return self.path / name

    def check(self) -> None:
        """Raise `DataFolderError` when no server of ours can live here. Touches nothing."""
        self._check_socket_path()
        try:
            if self.path.exists():
                self._check_content()
            self._check_writable()
        except (PermissionError, NotADirectoryError) as fault:
            raise DataFolderError(f"{fault.filename}: {fault.strerror}. {ADVICE}") from fault

    def _check_socket_path(self) -> None:
        length = len(os.fsencode(self.socket))
        if length > SOCKET_PATH_BYTES:
            raise DataFolderError(
                f"the path {self.socket} has {length} bytes, and a socket's path has room for "
                f"{SOCKET_PATH_BYTES}. Choose a data folder with a shorter path (SONDAGE_DATA_DIR)."
            )
        if "," in str(self.path):
            # libpq takes the address for a list of hosts.
            raise DataFolderError(
                f"the path {self.path} has a comma, which an address of Postgres cannot. {ADVICE}"
            )

    def _check_content(self) -> None:
        _check_version(self.path, self.path / "PG_VERSION")
        _check_version(self.cluster, self.cluster / "PG_VERSION")
        strange = sorted(entry.name for entry in self.path.iterdir() if entry.name not in OURS | HARMLESS)
        if strange:
            raise DataFolderError(
                f"{self.path} holds {strange[0]!r} and is no folder of an embedded server. {ADVICE}"
            )
        if self.cluster.exists() and not self.is_initialised:
            raise DataFolderError(
                f"{self.cluster} is damaged: PG_VERSION is missing. Restore a backup. {ADVICE}"
            )

    def _check_writable(self) -> None:
        nearest = next(place for place in (self.path, *self.path.parents) if place.exists())
        if not nearest.is_dir():
            raise DataFolderError(f"{nearest} is a file, not a folder. {ADVICE}")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise DataFolderError(f"{nearest} cannot be written to. {ADVICE}")
        owner = self.cluster.stat().st_uid if self.cluster.exists() else os.geteuid()
        if os.geteuid() not in (0, owner):
            raise DataFolderError(f"{self.cluster} belongs to another user (uid {owner}). {ADVICE}")

    def create(self, user: User) -> None:
        """Make the folder and its lock files, owned by the user the server runs as. Other folders stay as they are."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            _own(self.path, user, 0o700, os.O_RDONLY | os.O_DIRECTORY)
            for name in LOCK_FILES:
                _own(self.lock(name), user, 0o600, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        except OSError as fault:
            raise DataFolderError(f"{self.path} cannot be set up: {fault}. {ADVICE}") from fault

    def finish_initdb(self) -> None:
        """Put the finished cluster in its place: it is there whole, or not at all."""
        self.new_cluster.rename(self.cluster)
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove_stale(self) -> None:
        """What a killed server left. Only for who holds the lock `server`: then nothing of the server lives, and
        the process number in these files is that of a dead process or of a stranger."""
        for path in (self.cluster / "postmaster.pid", self.socket, self.path / f"{SOCKET}.lock"):
            path.unlink(missing_ok=True)

    def remove_half_made(self) -> None:
        if self.new_cluster.exists():
            shutil.rmtree(self.new_cluster)

    def log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def log_tail(self, offset: int = 0, *, limit: int = 1500) -> str:
        """The last of what the server has said since `offset` bytes."""
        if not self.log.exists():
            return "it left no log"
        with open(os.open(self.log, os.O_RDONLY | os.O_NOFOLLOW), "rb") as log:
            log.seek(offset)
            return log.read()[-limit:].decode(errors="replace").strip()


def _check_version(folder: Path, version_file: Path) -> None:
    """Refuse a cluster of another major version, whether it is ours or lies here bare."""
    if not version_file.exists():
        return
    version = version_file.read_text().strip()
    if version != str(MAJOR_VERSION):
        raise DataFolderError(
            f"{folder} belongs to Postgres {version}, and Sondage brings Postgres {MAJOR_VERSION}. Dump it with "
            f"Postgres {version} and restore the dump into a new data folder. {ADVICE}"
        )


def _own(path: Path, user: User, mode: int, flags: int) -> None:
    """Only what differs is changed: a plain user may change nothing of what is as it should be.

    By descriptor: the server's user must not point root elsewhere by a link.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC, mode)
    try:
        found = os.fstat(descriptor)
        if os.geteuid() == 0 and (found.st_uid, found.st_gid) != (user.uid, user.gid):
            os.fchown(descriptor, user.uid, user.gid)
        if found.st_mode & 0o777 != mode:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
