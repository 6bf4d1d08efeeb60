"""Starts, asks and stops the embedded Postgres of one data folder."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psycopg
from sqlalchemy import URL

from sondage.errors import DataFolderError, Unavailable
from store.embedded import watchdog
from store.embedded.folder import ServerFolder
from store.embedded.locks import POLL_SECONDS, is_free, locked, try_lock, wait_lock
from store.embedded.programs import Programs, find_binaries, interpreter, server_user

DATABASE = USER = "sondage"
PORT = 5432  # names the socket; nothing listens on a network
# Recovery after a crash reads the log of changes: minutes on a slow disk, and no reason to give up.
START_SECONDS = 3600.0
SILENT_SECONDS = 120.0
ANSWER_SECONDS = 5
STOP_SECONDS = 600.0
# What pg_isready returns: taking connections; there, but starting, recovering or ending.
READY, REJECTING = 0, 1

# What runs the watchdog, and the watchdog.
WATCHDOG = (interpreter(), Path(os.path.realpath(watchdog.__file__)))

# Kept whatever postgresql.conf says: one socket, in our folder, for its owner and root alone.
FIXED_SETTINGS = {
    "listen_addresses": "''",
    "port": str(PORT),
    "unix_socket_directories": "..",  # seen from the cluster, so that the folder can be moved
    "unix_socket_permissions": "0700",
}
# Written to postgresql.conf by initdb; the operator's to change. No replication: pg_dump is the backup.
FIRST_SETTINGS = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    "max_wal_size": "2GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
# The builtin collation is the same on every system, whatever the environment says.
LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


class EmbeddedServer:
    """The Postgres in `folder`, shared by every process that calls `ensure`.

    A process is a user of the server from `ensure` to `release`, or to its own end. The server ends by itself when
    it has no user left.

    Parameters
    ----------
    folder
        `<data folder>/postgres`. Nothing is made before `ensure`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = ServerFolder(Path(os.path.abspath(folder)))
        self._hold: int | None = None

    @property
    def url(self) -> str:
        """The SQLAlchemy address of the database, by way of the socket."""
        query = {"host": str(self.folder.path), "port": str(PORT)}
        return URL.create(
            "postgresql+psycopg", username=USER, database=DATABASE, query=query
        ).render_as_string(hide_password=False)

    def ensure(self) -> str:
        """Start the server unless it answers, and become one of its users.

        Returns
        -------
        str
            The SQLAlchemy address `postgresql+psycopg://…` of the database `sondage`, which exists.

        Raises
        ------
        DataFolderError
            The folder cannot be used, or the server cannot start in it; the message says why.
        Unavailable
            It takes longer than `START_SECONDS`.
        """
        self.folder.check()
        programs = self._programs()
        programs.check_reachable(WATCHDOG)
        self.folder.create(programs.user)
        with locked(self.folder.lock("start"), seconds=START_SECONDS, awaited="another process's start"):
            was_user = self._hold is not None
            try:
                self._ensure(programs)
            except BaseException:
                if not was_user:
                    self.release()
                raise
        return self.url

    def is_running(self) -> bool:
        """Whether the server answers and takes connections."""
        return os.path.exists(self.folder.socket) and self._ask(self._programs()) == READY

    def stop(self) -> None:
        """End the server in order, for all its users, and release our own hold. Nothing happens when it is down."""
        if self.folder.lock("start").exists():
            with locked(self.folder.lock("start"), seconds=START_SECONDS, awaited="Postgres to start"):
                self._stop(self._programs())
        self.release()

    def _stop(self, programs: Programs) -> None:
        def interrupt(_: Path) -> None:
            # As the server's user: its pid file is no reason for root to signal anyone.
            programs.run(["pg_ctl", "stop", "--no-wait", "--mode=fast", "-D", "cluster"])

        if not watchdog.stop(self.folder.path, interrupt=interrupt, seconds=STOP_SECONDS):
            raise Unavailable(f"Postgres still runs after {STOP_SECONDS:.0f} s; see {self.folder.log}")

    def release(self) -> None:
        """Be no user of the server any more."""
        if self._hold is not None:
            # Closed, not unlocked: a forked child shares the lock and may still need it.
            os.close(self._hold)
            self._hold = None

    def _programs(self) -> Programs:
        return Programs(find_binaries(), self.folder.path, server_user(self.folder.path))

    def _ensure(self, programs: Programs) -> None:
        # In this order: the watchdog must find a user, and the server a watchdog, whenever we are killed.
        self._join_users()
        self._ensure_watchdog(programs)
        self._bring_up(programs)
        self._ensure_database()
        if is_free(self.folder.lock("watchdog")):
            raise Unavailable(f"the watchdog of Postgres ended at once: {self.folder.log_tail()}")

    def _join_users(self) -> None:
        # A watchdog that is just ending the server holds the whole lock until it is down.
        if self._hold is None:
            self._hold = wait_lock(
                self.folder.lock("users"), seconds=STOP_SECONDS, awaited="Postgres to end", shared=True
            )

    def _ensure_watchdog(self, programs: Programs) -> None:
        lock = try_lock(self.folder.lock("watchdog"))
        if lock is None:
            return
        try:
            # The shell ends at once, so the watchdog is nobody's child and leaves no zombie behind.
            background = ["/bin/sh", "-c", '"$@" </dev/null >>log 2>&1 &', "sh"]
            python, script = map(str, WATCHDOG)
            command = [*background, python, "-I", "-S", script, str(self.folder.path), str(lock)]
            programs.run(command, keep_open=[lock], reaches=WATCHDOG)
        finally:
            os.close(lock)

    def _bring_up(self, programs: Programs) -> None:
        """Wait for a server that lives, start one when none does."""
        patience = _Patience()
        while (answer := self._ask(programs)) != READY:
            lock = try_lock(self.folder.lock("server"))
            if lock is not None:
                try:
                    log_offset = self._start(programs, lock)
                finally:
                    os.close(lock)
                return self._await_started(programs, log_offset)
            # Starting, recovering or ending: processes of it live, so leave it to them.
            patience.wait(answer)

    def _start(self, programs: Programs, lock: int) -> int:
        """Returns how long the log was before, in bytes."""
        if not self.folder.is_initialised:
            self._initialise(programs, lock)
        self.folder.remove_stale()
        log_offset = self.folder.log_size()
        options = " ".join(f"-c {name}={value}" for name, value in FIXED_SETTINGS.items())
        command = ["pg_ctl", "start", "--no-wait", "-D", "cluster", "-l", "log", "-o", options]
        ran = programs.run(command, keep_open=[lock])
        if ran.returncode != 0:
            said = ran.stderr.strip() or ran.stdout.strip()
            raise DataFolderError(f"Postgres could not be started in {self.folder.path}: {said}")
        return log_offset

    def _initialise(self, programs: Programs, lock: int) -> None:
        self.folder.remove_half_made()
        settings = [f"--set={name}={value}" for name, value in FIRST_SETTINGS.items()]
        command = ["initdb", "-D", "cluster.new", "-U", USER, "--auth=trust", "--no-instructions"]
        ran = programs.run([*command, *LOCALE, *settings], keep_open=[lock])
        if ran.returncode != 0:
            self.folder.remove_half_made()
            raise DataFolderError(f"initdb failed in {self.folder.path}: {ran.stderr.strip()}")
        self.folder.finish_initdb()

    def _await_started(self, programs: Programs, log_offset: int) -> None:
        patience = _Patience()
        while (answer := self._ask(programs)) != READY:
            if is_free(self.folder.lock("server")):
                said = self.folder.log_tail(log_offset)
                raise DataFolderError(f"Postgres ended while starting in {self.folder.path}. It said: {said}")
            patience.wait(answer)

    def _ask(self, programs: Programs) -> int:
        """One of `READY`, `REJECTING`, or another number: no answer."""
        address = ["-h", str(self.folder.path), "-p", str(PORT), "-U", USER, "-d", "postgres"]
        return programs.run(["pg_isready", *address, f"--timeout={ANSWER_SECONDS}"]).returncode

    def _ensure_database(self) -> None:
        try:
            with contextlib.closing(self._connect()) as connection:
                query = "SELECT 1 FROM pg_database WHERE datname = %s"
                if connection.execute(query, [DATABASE]).fetchone() is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.Error as fault:
            raise Unavailable(f"the embedded Postgres answers, but takes no connection: {fault}") from fault

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(self.folder.path), port=PORT, user=USER, dbname="postgres", autocommit=True
        )


class _Patience:
    """How long to wait for a server whose processes live: long while it says that it is starting."""

    def __init__(self) -> None:
        self.began_at = self.heard_at = time.monotonic()

    def wait(self, answer: int) -> None:
        now = time.monotonic()
        if answer == REJECTING:
            self.heard_at = now
        if now - self.heard_at > SILENT_SECONDS or now - self.began_at > START_SECONDS:
            raise Unavailable(
                f"Postgres lives, but has not become ready within {now - self.began_at:.0f} s; see its log"
            )
        time.sleep(POLL_SECONDS)
