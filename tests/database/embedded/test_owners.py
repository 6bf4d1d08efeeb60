"""The embedded Postgres, for real: whose process it is, and in whose folder."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sondage.errors import DataFolderError
from store.embedded import EmbeddedServer
from store.embedded.programs import Programs, User, find_binaries, interpreter
from tests.database.embedded.processes import (
    ROOT,
    as_root,
    ask,
    postmaster,
    processes_in,
    wait_until,
    watchdog_of,
)


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
