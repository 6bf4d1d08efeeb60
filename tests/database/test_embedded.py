"""The embedded Postgres, for real: started, shared, killed and brought back in folders of its own."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil
import psycopg
import pytest

from sondage.errors import DataFolderError, Unavailable
from store.embedded import EmbeddedServer, locks, programs, watchdog
from store.embedded import server as server_module
from store.embedded.folder import SOCKET_PATH_BYTES
from store.embedded.programs import Programs, User, find_binaries, interpreter
from store.engine import Database, make_engine

ROOT = Path(__file__).resolve().parents[2]
IS_ROOT = os.geteuid() == 0
SECONDS = 30.0
as_root = pytest.mark.skipif(not IS_ROOT, reason="needs root, to become another user")
CLIENT = """
import sys
from pathlib import Path
from store.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
print(server.ensure(), flush=True)
sys.stdin.read()
"""


def short_folder() -> Path:
    """A short path that others may pass; pytest's own is closed, and often too long for a socket."""
    path = Path(tempfile.mkdtemp(prefix="sdg-", dir="/tmp"))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def used() -> Iterator[Path]:
    """The folder of a server that has run and ended: a copy of it spares a test its initdb."""
    place = short_folder()
    server = EmbeddedServer(place / "postgres")
    server.ensure()
    server.stop()
    yield place / "postgres"
    shutil.rmtree(place)


@pytest.fixture
def place() -> Iterator[Path]:
    path = short_folder()
    yield path
    for process in processes_in(path):
        process.kill()
    shutil.rmtree(path)


@pytest.fixture
def new_server(place: Path) -> Iterator[EmbeddedServer]:
    """A server without a folder yet."""
    embedded = EmbeddedServer(place / "postgres")
    yield embedded
    embedded.stop()


@pytest.fixture
def server(new_server: EmbeddedServer, used: Path) -> EmbeddedServer:
    """A server that has been used before and is down."""
    subprocess.run(["cp", "-a", used, new_server.folder.path], check=True)
    return new_server


def processes_in(folder: Path) -> list[psutil.Process]:
    """Every living process that works in the folder or names it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = [process.cwd(), *process.cmdline()]  # raises for a zombie, which is nothing any more
            if process.pid != os.getpid() and any(word.startswith(str(folder)) for word in words):
                found.append(process)
    return found


def postmaster(server: EmbeddedServer) -> int:
    return int((server.folder.cluster / "postmaster.pid").read_text().split()[0])


def watchdog_of(server: EmbeddedServer) -> psutil.Process:
    (found,) = watchdogs_in(server.folder.path)
    return found


def watchdogs_in(folder: Path) -> list[psutil.Process]:
    return [process for process in processes_in(folder) if _is_watchdog(process)]


def _is_watchdog(process: psutil.Process) -> bool:
    with suppress(psutil.Error):  # it may end while it is looked at
        return process.name().startswith("python") and process.ppid() == 1
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(Database(make_engine(url)).conninfo) as connection:
        answer = connection.execute(statement)
        return answer.fetchall() if answer.description else []


class Client:
    """A process that uses the server until it is killed or told to end."""

    def __init__(self, folder: Path, script: str) -> None:
        command = [sys.executable, "-c", script, str(folder)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def url(self) -> str:
        return self._pipe(self.process.stdout).readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self._pipe(self.process.stdin).close()
        self._pipe(self.process.stdout).close()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@contextmanager
def clients(folder: Path, count: int = 1, script: str = CLIENT) -> Iterator[list[Client]]:
    found = [Client(folder, script) for _ in range(count)]
    try:
        yield found
    finally:
        for client in found:
            client.close()


# --- starting -------------------------------------------------------------------------------------------------------


def test_nothing_is_made_before_ensure(place: Path) -> None:
    server = EmbeddedServer(place / "data" / "postgres")

    assert not server.is_running()
    server.stop()
    server.release()

    assert list(place.iterdir()) == []


def test_cold_start_makes_a_database_that_only_its_socket_reaches(new_server: EmbeddedServer) -> None:
    url = new_server.ensure()

    assert new_server.is_running()
    assert url.startswith("postgresql+psycopg://sondage@/sondage?host=")
    assert ask(url, "SELECT current_database(), current_setting('listen_addresses')") == [("sondage", "")]
    assert ask(url, "SHOW fsync") == [("on",)]
    assert stat.S_IMODE(new_server.folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(new_server.folder.socket.stat().st_mode) == 0o700


def test_warm_start_finds_the_living_server(server: EmbeddedServer, place: Path) -> None:
    url = server.ensure()
    before = postmaster(server)
    second = EmbeddedServer(place / "postgres")

    assert second.ensure() == url
    second.release()

    assert postmaster(server) == before
    assert server.is_running()


def test_a_second_process_shares_the_server(server: EmbeddedServer) -> None:
    url = server.ensure()
    ask(url, "CREATE TABLE kept AS SELECT 7 AS value")
    before = postmaster(server)

    with clients(server.folder.path) as (other,):
        assert ask(other.url(), "SELECT value FROM kept") == [(7,)]

    assert postmaster(server) == before
    assert server.is_running()


def test_several_processes_at_once_start_one_server(place: Path) -> None:
    with clients(place / "postgres", count=3) as starting:
        urls = {client.url() for client in starting}
        postmasters = [p for p in processes_in(place) if p.name() == "postgres" and p.ppid() == 1]
        watchdogs = watchdogs_in(place)

    assert len(urls) == len(postmasters) == len(watchdogs) == 1
    wait_until(lambda: not processes_in(place))


def test_stop_is_in_order_and_may_be_repeated(server: EmbeddedServer) -> None:
    server.ensure()

    server.stop()
    server.stop()

    assert not server.is_running()
    assert "database system is shut down" in server.folder.log.read_text()
    wait_until(lambda: not processes_in(server.folder.path))


def test_odd_characters_and_a_hostile_environment_change_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGPORT": "1",
        "PGDATA": "/no",
        "PGHOST": "no",
        "LC_ALL": "C",
        "LANG": "xx_XX",
    }.items():
        monkeypatch.setenv(name, value)
    server = EmbeddedServer(place / 'it\'s $HOME; "né" `id` % ' / "postgres")
    try:
        url = server.ensure()
        query = "SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale FROM pg_database LIMIT 1"

        assert ask(url, query) == [("UTF8", "b", "C.UTF-8")]
    finally:
        server.stop()


def test_a_start_killed_after_initdb_leaves_nothing_in_the_way(new_server: EmbeddedServer) -> None:
    kill_itself = """
import os
from store.embedded.folder import ServerFolder
ServerFolder.finish_initdb = lambda self: os.kill(os.getpid(), 9)
"""
    with clients(new_server.folder.path, script=kill_itself + CLIENT) as (first,):
        assert first.process.wait() == -signal.SIGKILL
    assert new_server.folder.new_cluster.exists()
    assert not new_server.folder.cluster.exists()

    assert ask(new_server.ensure(), "SELECT 1") == [(1,)]
    assert not new_server.folder.new_cluster.exists()


# --- after kill -9 --------------------------------------------------------------------------------------------------


def test_a_killed_server_starts_again_at_once_with_all_rows(server: EmbeddedServer) -> None:
    url = server.ensure()
    ask(url, "CREATE TABLE kept AS SELECT generate_series(1, 10000) AS value")
    before = postmaster(server)

    os.kill(before, signal.SIGKILL)
    server.ensure()

    assert postmaster(server) != before
    assert ask(url, "SELECT count(*), sum(value) FROM kept") == [(10000, 50005000)]


def test_a_start_waits_for_what_a_killed_server_left_alive(server: EmbeddedServer) -> None:
    url = server.ensure()
    ask(url, "CREATE TABLE kept AS SELECT 7 AS value")
    leftover = next(
        p for p in psutil.Process(postmaster(server)).children() if "checkpointer" in p.cmdline()[0]
    )
    leftover.suspend()
    os.kill(postmaster(server), signal.SIGKILL)
    resumed_at: list[float] = []
    threading.Timer(0.5, lambda: (resumed_at.append(time.monotonic()), leftover.resume())).start()

    server.ensure()

    assert resumed_at
    assert time.monotonic() > resumed_at[0]
    assert leftover.pid not in [p.pid for p in processes_in(server.folder.path)]
    assert ask(url, "SELECT value FROM kept") == [(7,)]


def test_a_server_that_hangs_is_not_waited_for_long(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ensure()
    monkeypatch.setattr(server_module, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(server_module, "ANSWER_SECONDS", 1)
    hung = psutil.Process(postmaster(server))
    hung.suspend()
    try:
        assert not server.is_running()
        with pytest.raises(Unavailable, match="has not become ready"):
            server.ensure()
    finally:
        hung.resume()

    server.ensure()
    assert postmaster(server) == hung.pid


def test_a_stale_pid_that_a_stranger_has_now_is_left_alone(server: EmbeddedServer) -> None:
    url = server.ensure()
    ask(url, "CREATE TABLE kept AS SELECT 7 AS value")
    uid = server.folder.cluster.stat().st_uid if IS_ROOT else None
    stranger = subprocess.Popen(["sleep", "60"], user=uid)
    try:
        pid_file = server.folder.cluster / "postmaster.pid"
        rest = pid_file.read_text().split("\n", 1)[1]
        os.kill(postmaster(server), signal.SIGKILL)
        wait_until(lambda: locks.is_free(server.folder.lock("server")))
        pid_file.write_text(f"{stranger.pid}\n{rest}")
        (server.folder.path / ".s.PGSQL.5432.lock").write_text(f"{stranger.pid}\n{rest}")

        server.stop()
        assert not server.is_running()
        server.ensure()

        assert stranger.poll() is None
        assert ask(url, "SELECT value FROM kept") == [(7,)]
    finally:
        stranger.kill()
        stranger.wait()


def test_killing_the_only_client_ends_the_server(server: EmbeddedServer) -> None:
    with clients(server.folder.path) as (only,):
        only.url()
        assert server.is_running()
        only.kill()

        wait_until(lambda: not processes_in(server.folder.path))

    assert "database system is shut down" in server.folder.log.read_text()


def test_the_server_stays_until_its_last_client_is_killed(server: EmbeddedServer) -> None:
    with clients(server.folder.path, count=2) as (first, last):
        first.url()
        url = last.url()
        pid = postmaster(server)
        first.kill()
        time.sleep(0.5)
        assert ask(url, "SELECT 1") == [(1,)]
        assert postmaster(server) == pid
        last.kill()

        wait_until(lambda: not processes_in(server.folder.path))


def test_a_client_killed_while_it_starts_the_server_leaves_nothing(new_server: EmbeddedServer) -> None:
    with clients(new_server.folder.path) as (first,):
        wait_until((new_server.folder.new_cluster / "PG_VERSION").exists)
        first.kill()

        wait_until(lambda: not processes_in(new_server.folder.path))

    assert not new_server.is_running()


def test_a_killed_watchdog_is_replaced(server: EmbeddedServer) -> None:
    with clients(server.folder.path) as (client,):
        client.url()
        killed = watchdog_of(server)
        killed.kill()
        wait_until(lambda: locks.is_free(server.folder.lock("watchdog")))
        server.ensure()
        assert watchdog_of(server).pid != killed.pid
        server.release()
        client.kill()

        wait_until(lambda: not processes_in(server.folder.path))


def test_a_restart_while_the_watchdog_ends_the_server(server: EmbeddedServer) -> None:
    url = server.ensure()
    for value in range(5):
        ask(url, f"CREATE TABLE t{value} ()")
        server.release()
        server.ensure()

    assert ask(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(5,)]


def test_the_log_is_kept_short(place: Path) -> None:
    log = place / "log"
    log.write_bytes(b"a" * 50 + b"b" * 100)

    watchdog.shorten(log, 150)
    assert log.stat().st_size == 150
    watchdog.shorten(log, 100)

    assert log.stat().st_size == 0
    assert (place / "log.1").read_bytes() == b"b" * 100


# --- whose server, in which folder ----------------------------------------------------------------------------------


def modes(path: Path) -> dict[Path, tuple[int, int]]:
    return {parent: (parent.stat().st_mode, parent.stat().st_uid) for parent in (path, *path.parents)}


def closed_to_nobody(path: Path) -> Path | None:
    nobody = pwd.getpwnam("nobody")
    return User(nobody.pw_uid, nobody.pw_gid).closed_folder(path)


@as_root
def test_root_runs_it_as_someone_else_and_opens_no_folder(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    (closed / "data").mkdir(mode=0o700)
    before, users = modes(closed / "data"), Path("/etc/passwd").read_bytes()
    server = EmbeddedServer(closed / "data" / "postgres")
    try:
        assert ask(server.ensure(), "SELECT 1") == [(1,)]

        assert psutil.Process(postmaster(server)).uids().effective == pwd.getpwnam("nobody").pw_uid
        assert watchdog_of(server).uids().effective == pwd.getpwnam("nobody").pw_uid
        assert modes(closed / "data") == before
        assert Path("/etc/passwd").read_bytes() == users
    finally:
        server.stop()


@as_root
@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_a_capability_is_kept_only_where_a_folder_is_closed(server: EmbeddedServer, place: Path) -> None:
    if closed_to_nobody(find_binaries() / "postgres"):
        pytest.skip("the binaries lie in a closed folder")
    server.ensure()
    assert "CapEff:\t0000000000000000" in status_of(server)
    server.stop()
    place.chmod(0o700)
    server.ensure()

    assert "CapEff:\t0000000000000004" in status_of(server)  # read and pass folders, and nothing else


def status_of(server: EmbeddedServer) -> str:
    return Path(f"/proc/{postmaster(server)}/status").read_text()


@as_root
def test_root_runs_it_as_the_owner_of_the_data_folder(place: Path) -> None:
    owner = pwd.getpwnam("daemon")
    (place / "data").mkdir()
    os.chown(place / "data", owner.pw_uid, owner.pw_gid)
    server = EmbeddedServer(place / "data" / "postgres")
    try:
        server.ensure()

        assert psutil.Process(postmaster(server)).uids().effective == owner.pw_uid
        assert server.folder.path.stat().st_uid == owner.pw_uid
    finally:
        server.stop()


@as_root
def test_root_without_means_names_the_closed_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv("PATH", "/nowhere")  # no setpriv
    named = closed_to_nobody(find_binaries() / "postgres") or closed

    with pytest.raises(DataFolderError, match=f"cannot pass {named}"):
        EmbeddedServer(closed / "postgres").ensure()

    assert list(closed.iterdir()) == []


def run_as_nobody(place: Path, script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run Python as `nobody`; where the interpreter lies in a closed folder, with the capability to pass it."""
    nobody = pwd.getpwnam("nobody")
    (place / "script.py").write_text(script)
    as_nobody = Programs(find_binaries(), place, User(nobody.pw_uid, nobody.pw_gid))
    packages = [str(ROOT), *(entry for entry in sys.path if entry.endswith("site-packages"))]
    start = f"import sys; sys.path[:0] = {packages!r}; exec(open('script.py').read())"
    return as_nobody.run(
        [str(interpreter()), "-c", start, *map(str, arguments)], reaches=[ROOT, *map(Path, packages)]
    )


@as_root
def test_a_plain_user_runs_it_as_himself(place: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    (place / "his").mkdir()
    os.chown(place / "his", nobody.pw_uid, nobody.pw_gid)
    script = """
import os, signal, sys
from pathlib import Path
import psycopg
from store.embedded import EmbeddedServer
assert os.geteuid() != 0
server = EmbeddedServer(Path(sys.argv[1]) / "data" / "postgres")
url = server.ensure().replace("+psycopg", "")
with psycopg.connect(url) as connection:
    connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
os.kill(int((server.folder.cluster / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
server.ensure()
with psycopg.connect(url) as connection:
    print("value", connection.execute("SELECT value FROM kept").fetchone()[0])
"""
    ran = run_as_nobody(place, script, place / "his")

    assert ran.stdout == "value 7\n", ran.stderr
    assert (place / "his" / "data" / "postgres" / "cluster").stat().st_uid == nobody.pw_uid
    wait_until(lambda: not processes_in(place))


@as_root
@pytest.mark.parametrize(
    ("owner", "mode", "message"),
    [("root", 0o755, "cannot be written to"), ("daemon", 0o700, "(Permission denied|cannot be written to)")],
)
def test_a_plain_user_is_refused_a_folder_that_is_not_his(
    place: Path, owner: str, mode: int, message: str
) -> None:
    folder = place / "postgres"
    folder.mkdir()
    os.chown(folder, pwd.getpwnam(owner).pw_uid, -1)
    folder.chmod(mode)
    script = """
import sys
from pathlib import Path
from sondage.errors import DataFolderError
from store.embedded import EmbeddedServer
try:
    EmbeddedServer(Path(sys.argv[1])).ensure()
except DataFolderError as fault:
    print(fault)
"""
    ran = run_as_nobody(place, script, folder)

    assert re.search(message, ran.stdout), ran.stderr
    assert list(folder.iterdir()) == []


# --- refused, and nothing touched -----------------------------------------------------------------------------------


def test_a_path_too_long_for_a_socket(place: Path) -> None:
    length = SOCKET_PATH_BYTES - len(os.fsencode(place)) - len("//.s.PGSQL.5432")
    EmbeddedServer(place / ("a" * length)).folder.check()  # just fits

    with pytest.raises(DataFolderError, match="shorter path"):
        EmbeddedServer(place / ("a" * (length + 1))).ensure()

    assert list(place.iterdir()) == []


@pytest.mark.parametrize("inside", ["cluster", "."])
def test_a_folder_of_another_major_version(place: Path, inside: str) -> None:
    folder = place / "postgres" / inside
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("14\n")

    with pytest.raises(DataFolderError, match="belongs to Postgres 14"):
        EmbeddedServer(place / "postgres").ensure()

    assert list(folder.iterdir()) == [folder / "PG_VERSION"]


def test_a_folder_that_is_no_data_folder(place: Path) -> None:
    folder = place / "postgres"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")

    with pytest.raises(DataFolderError, match=r"thesis\.txt.*SONDAGE_DATABASE_URL"):
        EmbeddedServer(folder).ensure()

    assert [entry.name for entry in folder.iterdir()] == ["thesis.txt"]


def test_a_cluster_without_its_version(place: Path) -> None:
    (place / "postgres" / "cluster" / "base").mkdir(parents=True)

    with pytest.raises(DataFolderError, match="damaged"):
        EmbeddedServer(place / "postgres").ensure()


@pytest.mark.parametrize("folder", ["file", "file/postgres"])
def test_a_file_in_the_way(place: Path, folder: str) -> None:
    (place / "file").write_text("mine")

    with pytest.raises(DataFolderError, match=r"not a folder|Not a directory"):
        EmbeddedServer(place / folder).ensure()

    assert (place / "file").read_text() == "mine"


def test_missing_binaries_say_what_to_do(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "WHEEL", "no_such_wheel")

    with pytest.raises(DataFolderError, match=r"pip install.*SONDAGE_DATABASE_URL"):
        EmbeddedServer(place / "postgres").ensure()

    assert list(place.iterdir()) == []


def test_a_server_that_cannot_start_passes_on_what_it_said(server: EmbeddedServer, place: Path) -> None:
    server.ensure()
    server.stop()
    with (server.folder.cluster / "postgresql.conf").open("a") as settings:
        settings.write("shared_buffers = 'lots'\n")

    with pytest.raises(DataFolderError, match='invalid value for parameter "shared_buffers"'):
        server.ensure()

    wait_until(lambda: not processes_in(place))


@as_root
def test_a_full_disk_leaves_no_half_made_cluster(place: Path) -> None:
    disk = place / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("cannot mount a small disk here")
    server = EmbeddedServer(disk / "postgres")
    try:
        with pytest.raises(DataFolderError, match="No space left on device"):
            server.ensure()
        assert not server.folder.cluster.exists()
        assert not server.folder.new_cluster.exists()
        wait_until(lambda: not processes_in(place))

        subprocess.run(["mount", "-o", "remount,size=400m", disk], check=True)
        assert ask(server.ensure(), "SELECT 1") == [(1,)]
    finally:
        server.stop()
        wait_until(lambda: not processes_in(place))
        subprocess.run(["umount", disk], check=True)


def test_a_lock_that_never_comes_free_is_said(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ensure()
    monkeypatch.setattr(server_module, "START_SECONDS", 0.1)

    with (
        locks.locked(server.folder.lock("start"), seconds=1, awaited="nobody"),
        pytest.raises(Unavailable, match="try again"),
    ):
        server.ensure()

    assert server.is_running()
