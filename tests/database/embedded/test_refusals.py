"""The embedded Postgres, for real: folders it refuses and leaves untouched, starts that fail."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sondage.errors import DataFolderError, Unavailable
from store.embedded import EmbeddedServer, locks, programs
from store.embedded import server as server_module
from store.embedded.folder import SOCKET_PATH_BYTES
from tests.database.embedded.processes import as_root, ask, processes_in, wait_until


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
