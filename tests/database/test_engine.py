"""Transactions, lost databases and migrations, on a real Postgres that is killed along the way."""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from sondage.errors import Conflict, InvalidInput, StorageFull, Unavailable
from store import bulk
from store.engine import (
    Database,
    check_migrated,
    make_engine,
    migrate,
    normalise_url,
    open_database,
    transaction,
)
from tests.rows import FILL_DISK

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data_folder() -> Iterator[Path]:
    """A short path: pytest's own is often too long for a socket."""
    path = Path(tempfile.mkdtemp(prefix="sdg-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def database(data_folder: Path) -> Iterator[Database]:
    found = open_database(None, data_folder)
    yield found
    server = found.embedded
    found.close()
    assert server is not None
    server.stop()


@pytest.fixture
def table(database: Database) -> Iterator[str]:
    with transaction(database.engine) as session:
        session.execute(text("CREATE TABLE kept (value int PRIMARY KEY)"))
    yield "kept"
    with transaction(database.engine) as session:
        session.execute(text("DROP TABLE kept"))


def values(database: Database) -> list[int]:
    with transaction(database.engine) as session:
        return list(session.scalars(text("SELECT value FROM kept ORDER BY value")))


def kill(database: Database) -> None:
    """Every process of the server, the parent first: else it would start anew by itself."""
    assert database.embedded is not None
    pid_file = database.embedded.folder.cluster / "postmaster.pid"
    parent = psutil.Process(int(pid_file.read_text().split()[0]))
    for process in (parent, *parent.children()):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def insert(
    database: Database, *values: int, then: Callable[[Session], object] = lambda session: None
) -> None:
    with transaction(database.engine) as session:
        for value in values:
            session.execute(text("INSERT INTO kept VALUES (:value)"), {"value": value})
        then(session)


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_address_becomes_one_for_psycopg(scheme: str) -> None:
    url = normalise_url(f"{scheme}://me:p%40ss@db.example:5433/sondage?sslmode=require")

    assert url == "postgresql+psycopg://me:p%40ss@db.example:5433/sondage?sslmode=require"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///secret.db",
        "postgresql+asyncpg://me:secret@db/x",
        "secret",
        "postgres://me:secret@db:port/x",
    ],
)
def test_other_addresses_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        normalise_url(url)

    assert refused.value.field == "SONDAGE_DATABASE_URL"
    assert "secret" not in str(refused.value)


def test_conninfo_is_libpq_s_own_spelling(database: Database) -> None:
    named = Database(make_engine("postgresql://me:p%40s s@/my%20db?host=/with space/pg&port=5433"))

    assert psycopg.conninfo.conninfo_to_dict(named.conninfo) == {
        "user": "me", "password": "p@s s", "dbname": "my db", "host": "/with space/pg", "port": "5433",
        "connect_timeout": "10",
    }  # fmt: skip
    with psycopg.connect(database.conninfo) as connection:
        assert connection.info.dbname == "sondage"


@contextmanager
def over_tcp(database: Database, **query: str) -> Iterator[str]:
    """The embedded server's address by way of TCP: a port that hands everything on to the server's socket."""
    assert database.embedded is not None
    server = str(database.embedded.folder.socket)

    class HandOn(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as there:
                there.connect(server)
                back = threading.Thread(target=hand_on, args=(there, self.request))
                back.start()
                hand_on(self.request, there)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HandOn) as listener:
        serving = threading.Thread(target=listener.serve_forever, args=(0.01,))
        serving.start()
        url = database.engine.url.set(host="127.0.0.1", port=listener.server_address[1], query=query)
        yield url.render_as_string(hide_password=False)
        listener.shutdown()
        serving.join()


def hand_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def socket_options(connection: psycopg.Connection) -> dict[str, int]:
    """What the system says of the connection's own socket."""
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
    with socket.socket(fileno=os.dup(connection.fileno())) as copy:
        found = {n: copy.getsockopt(socket.IPPROTO_TCP, getattr(socket, n)) for n in names}
        return found | {"SO_KEEPALIVE": copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)}


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="needs Linux's TCP options")
def test_a_silent_network_is_noticed_and_the_address_has_the_last_word(database: Database) -> None:
    usual = {
        "TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 15_000, "SO_KEEPALIVE": 1,
    }  # fmt: skip
    for query, wanted in (
        ({}, usual),
        ({"keepalives_idle": "77", "tcp_user_timeout": "99000", "connect_timeout": "4"},
         usual | {"TCP_KEEPIDLE": 77, "TCP_USER_TIMEOUT": 99_000}),
    ):  # fmt: skip
        with over_tcp(database, **query) as address, closing(Database(make_engine(address))) as remote:
            with remote.engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert socket_options(driver) == wanted
                assert driver.info.get_parameters()["connect_timeout"] == query.get("connect_timeout", "10")
            with psycopg.connect(remote.conninfo) as plain:  # as the worker's queue has it
                assert socket_options(plain) == wanted


def test_an_address_leaves_the_data_folder_alone(database: Database, tmp_path: Path) -> None:
    address = database.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")

    with closing(open_database(address, tmp_path / "data")) as other, transaction(other.engine) as session:
        assert session.scalar(text("SELECT 1")) == 1

    assert other.embedded is None
    assert list(tmp_path.iterdir()) == []


# --- transactions ---------------------------------------------------------------------------------------------------


def test_a_transaction_is_committed_at_its_end(database: Database, table: str) -> None:
    insert(database, 1, 2)

    assert values(database) == [1, 2]


def test_a_transaction_that_raises_keeps_nothing(database: Database, table: str) -> None:
    with pytest.raises(ZeroDivisionError):
        insert(database, 1, then=lambda session: 1 / 0)

    assert values(database) == []


def test_faults_of_data_and_statements_keep_their_names(database: Database, table: str) -> None:
    with pytest.raises(IntegrityError):
        insert(database, 1, 1)
    with pytest.raises(ProgrammingError):
        insert(database, 1, then=lambda session: session.execute(text("SELECT nothing FROM nowhere")))

    assert values(database) == []


# --- a lost database ------------------------------------------------------------------------------------------------


def test_a_killed_server_comes_back_at_the_next_transaction(database: Database, table: str) -> None:
    for value in range(3):
        insert(database, value)
        kill(database)

    assert values(database) == [0, 1, 2]


def test_many_threads_bring_one_server_back(database: Database, table: str) -> None:
    insert(database, 1)
    kill(database)
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: values(database), range(6)))

    assert found == [[1]] * 6


def by_statement(session: Session) -> None:
    session.execute(text("INSERT INTO kept VALUES (2)"))


def by_copy(session: Session) -> None:
    bulk.copy_in(session, "kept", ["value"], ["int4"], [(2,)])


@pytest.mark.parametrize("write", [by_statement, by_copy])
def test_a_server_killed_in_a_transaction_keeps_nothing_of_it(
    database: Database, table: str, write: Callable[[Session], None]
) -> None:
    def killed(session: Session) -> None:
        kill(database)
        write(session)

    with pytest.raises(Unavailable, match="cannot be reached"):
        insert(database, 1, then=killed)

    assert values(database) == []


def test_a_deadlock_is_unavailable_and_may_be_tried_again(database: Database, table: str) -> None:
    insert(database, 1, 2)
    both = threading.Barrier(2)
    row = text("SELECT 1 FROM kept WHERE value = :value FOR UPDATE")

    def lock(first: int, second: int) -> None:
        with transaction(database.engine) as session:
            session.execute(row, {"value": first})
            both.wait()
            session.execute(row, {"value": second})

    with ThreadPoolExecutor(2) as threads:
        faults = [done.exception() for done in (threads.submit(lock, 1, 2), threads.submit(lock, 2, 1))]

    assert sorted(type(fault).__name__ for fault in faults) == ["NoneType", "Unavailable"]


@pytest.mark.parametrize("write", [by_statement, by_copy])
def test_a_full_disk_is_no_lost_database(
    database: Database, table: str, write: Callable[[Session], None]
) -> None:
    with transaction(database.engine) as session:
        session.execute(text(FILL_DISK.format(table=table)))

    with pytest.raises(StorageFull, match=r"disk is full: free space there.*could not extend file"):
        insert(database, then=write)

    assert values(database) == []


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    engine = make_engine(f"postgresql://me:secret@/sondage?host={tmp_path}")

    with pytest.raises(Unavailable) as lost, transaction(engine) as session:
        session.execute(text("SELECT 1"))
    with pytest.raises(Unavailable):
        check_migrated(engine)

    assert "secret" not in str(lost.value)


def test_a_pool_with_no_connection_left_is_unavailable(database: Database) -> None:
    engine = make_engine(
        database.engine.url.render_as_string(), pool_size=1, max_overflow=0, pool_timeout=0.1
    )

    with engine.connect(), pytest.raises(Unavailable), transaction(engine) as session:
        session.execute(text("SELECT 1"))
    engine.dispose()


def test_closing_lets_the_server_end(data_folder: Path) -> None:
    other = open_database(None, data_folder / "other")
    assert other.embedded is not None
    assert other.embedded.is_running()
    pid = int((other.embedded.folder.cluster / "postmaster.pid").read_text().split()[0])

    other.close()

    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not other.embedded.is_running()


# --- migrations -----------------------------------------------------------------------------------------------------


@pytest.fixture
def empty(database: Database) -> Iterator[Database]:
    """A database without tables, on the same server."""
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty")
        yield (found := Database(make_engine(str(database.engine.url.set(database="empty")))))
        found.close()
        connection.execute("DROP DATABASE empty")


def test_a_database_behind_says_how_to_migrate(empty: Database) -> None:
    with pytest.raises(Conflict, match="make migrate"):
        check_migrated(empty.engine)


def test_migrating_may_be_repeated(empty: Database) -> None:
    migrate(empty.engine)
    migrate(empty.engine)

    check_migrated(empty.engine)
    with transaction(empty.engine) as session:
        assert session.scalar(text("SELECT count(*) FROM runs")) == 0


def test_several_processes_may_migrate_at_once(empty: Database) -> None:
    script = "import sys; from store.engine import *; migrate(make_engine(sys.argv[1]))"
    command = [sys.executable, "-c", script, empty.engine.url.render_as_string()]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]

    assert [process.wait() for process in processes] == [0, 0]
    check_migrated(empty.engine)


def test_a_database_ahead_asks_for_a_newer_checkout(empty: Database) -> None:
    migrate(empty.engine)
    with transaction(empty.engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'fromthefuture'"))

    with pytest.raises(Conflict, match="newer Sondage"):
        check_migrated(empty.engine)
