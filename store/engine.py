"""Connection, session and schema: one transaction per request or job step, committed at the edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from sondage.errors import Conflict, InvalidInput, StorageFull, Unavailable
from store.embedded import EmbeddedServer

if TYPE_CHECKING:  # alembic is imported where the schema is looked at: the process of a job never does
    from alembic.config import Config
    from alembic.script import ScriptDirectory

ALEMBIC_INI = Path(__file__).resolve().parents[1] / "alembic.ini"
DRIVER = "postgresql+psycopg"
# Per process. The API's 40 threads fit; an API, a worker and its child stay below 100 connections.
POOL_SIZE, MAX_OVERFLOW = 10, 30
CONNECT_TIMEOUT_SECONDS = 10
# A machine that is switched off, or a network that drops packets, says nothing: without these a connection waits for
# hours. An idle one is given up after 5 + 3 · 2 seconds, one that has sent something after 15.
# https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-KEEPALIVES-IDLE
OVER_TCP = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 15_000}
# Classes of SQLSTATE that another try may get past: connection lost, transaction rolled back (deadlock),
# resources short (a full disk apart), shut down or starting. https://www.postgresql.org/docs/18/errcodes-appendix.html
PASSING = ("08", "40", "53", "57P")
DISK_FULL = "the database's disk is full: free space there, then try again"


@dataclass
class Database:
    """An engine, and the embedded server behind it when it is ours."""

    engine: Engine
    embedded: EmbeddedServer | None = None

    @property
    def conninfo(self) -> str:
        """The address in libpq's own words, password included, for what is no SQLAlchemy: procrastinate, pg_dump."""
        url = self.engine.url
        query = {
            name: value if isinstance(value, str) else ",".join(value) for name, value in url.query.items()
        }
        address = url.translate_connect_args(username="user", database="dbname")
        return make_conninfo("", **_timeouts(url), **address, **query)

    def close(self) -> None:
        """Close the connections and stop being a user of the embedded server."""
        self.engine.dispose()
        if self.embedded is not None:
            self.embedded.release()


def open_database(database_url: str | None, data_folder: Path, **options: Any) -> Database:
    """The named database, or the embedded server of `data_folder` (started unless it answers).

    Parameters
    ----------
    database_url
        `postgresql://…`, `postgres://…` or None.
    data_folder
        The embedded server lives in `postgres/` below it. Not touched when there is an address.
    **options
        For SQLAlchemy's `create_engine`.

    Raises
    ------
    InvalidInput
        The address is none of a Postgres.
    DataFolderError, Unavailable
        As `EmbeddedServer.ensure`.
    """
    if database_url:
        return Database(make_engine(database_url, **options))
    embedded = EmbeddedServer(data_folder / "postgres")
    return Database(make_engine(embedded.ensure(), embedded=embedded, **options), embedded)


def make_engine(url: str, *, embedded: EmbeddedServer | None = None, **options: Any) -> Engine:
    """An engine whose pooled connections are tested before use.

    With `embedded`, a connection that fails starts the server and is tried once more: a killed server comes back by
    itself at the next transaction.
    """
    address = normalise_url(url)
    options = {
        "pool_pre_ping": True,
        "pool_size": POOL_SIZE,
        "max_overflow": MAX_OVERFLOW,
        "connect_args": _timeouts(make_url(address)),
    } | options
    engine = create_engine(address, **options)
    if embedded is not None:
        _start_when_down(engine, embedded)
    return engine


def normalise_url(url: str) -> str:
    """`postgres://` and `postgresql://` as addresses for psycopg 3.

    Raises
    ------
    InvalidInput
        Not an address of a Postgres. The message leaves the address out, since it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername not in ("postgres", "postgresql", DRIVER):
        raise InvalidInput(
            "the database address must read postgresql://user:password@host:port/database",
            field="SONDAGE_DATABASE_URL",
        )
    return parsed.set(drivername=DRIVER).render_as_string(hide_password=False)


def _timeouts(url: URL) -> dict[str, int]:
    """How long a connection is waited for, in libpq's words; what the address says itself counts."""
    hosts = url.query.get("host", url.host or "")
    by_socket = isinstance(hosts, str) and hosts.startswith("/")
    wanted = {"connect_timeout": CONNECT_TIMEOUT_SECONDS} | ({} if by_socket else OVER_TCP)
    return {name: value for name, value in wanted.items() if name not in url.query}


def _start_when_down(engine: Engine, embedded: EmbeddedServer) -> None:
    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, arguments: Any, parameters: Any) -> Any:
        try:
            return dialect.connect(*arguments, **parameters)
        except psycopg.OperationalError:
            embedded.ensure()
            return dialect.connect(*arguments, **parameters)


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One transaction: committed when the block ends, rolled back when it raises.

    Objects keep their values after the commit, so that they can be read where no session is.

    Raises
    ------
    Unavailable
        The database cannot be reached, was lost under way, or gave way to another transaction; nothing was kept.
        Lost while committing it may have been kept: write so that doing it again does no harm.
    StorageFull
        The database has no room left; nothing was kept.
    """
    with _faults_named(), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def _faults_named() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, psycopg.Error, PoolTimeout) as fault:
        if isinstance(_cause(fault), psycopg.errors.DiskFull):
            raise StorageFull(f"{DISK_FULL} ({_first_line(fault)})") from fault
        if _may_pass(fault):
            raise Unavailable(f"the database cannot be reached now: {_first_line(fault)}") from fault
        raise


def _may_pass(fault: DBAPIError | psycopg.Error | PoolTimeout) -> bool:
    if isinstance(fault, PoolTimeout):
        return True
    if isinstance(fault, DBAPIError) and fault.connection_invalidated:
        return True
    cause = _cause(fault)
    if not isinstance(cause, psycopg.OperationalError):
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(PASSING)


def _cause(fault: DBAPIError | psycopg.Error | PoolTimeout) -> BaseException | None:
    """What the driver raised."""
    return fault.orig if isinstance(fault, DBAPIError) else fault


def _first_line(fault: DBAPIError | psycopg.Error | PoolTimeout) -> str:
    """The driver's own words, without the statement and its values."""
    said = str(_cause(fault)).strip()
    return said.splitlines()[0] if said else type(fault).__name__


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest revision, in one transaction; nothing happens when it is there.

    Raises
    ------
    Unavailable
        As `transaction`.
    """
    from alembic import command

    config = _alembic_config()
    with _faults_named(), engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_migrated(engine: Engine) -> None:
    """Return when the schema is at the newest revision.

    Raises
    ------
    Conflict
        It is older, or newer, than this checkout.
    Unavailable
        As `transaction`.
    """
    with _faults_named(), engine.connect() as connection:
        found = _revisions(connection)
    if found == _newest():
        return
    if found - _known():
        raise Conflict("the database was migrated by a newer Sondage: update this checkout")
    raise Conflict("the database is behind this checkout: run `make migrate`")


def _revisions(connection: Connection) -> frozenset[str]:
    from alembic.migration import MigrationContext

    return frozenset(MigrationContext.configure(connection).get_current_heads())


def _alembic_config() -> Config:
    from alembic.config import Config

    return Config(ALEMBIC_INI)


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_alembic_config())


@cache
def _newest() -> frozenset[str]:
    return frozenset(_scripts().get_heads())


@cache
def _known() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())
