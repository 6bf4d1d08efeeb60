"""The embedded Postgres, for real: killed, with its clients and its watchdog, and brought back."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from sondage.errors import Unavailable
from store.embedded import EmbeddedServer, locks, watchdog
from store.embedded import server as server_module
from tests.database.embedded.processes import (
    IS_ROOT,
    ask,
    clients,
    postmaster,
    processes_in,
    wait_until,
    watchdog_of,
)


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
