"""The embedded Postgres, for real: started, shared and stopped."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

import pytest

from store.embedded import EmbeddedServer
from tests.database.embedded.processes import (
    CLIENT,
    ask,
    clients,
    postmaster,
    processes_in,
    wait_until,
    watchdogs_in,
)


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
