"""Runs the migrations on the connection it is handed (`config.attributes["connection"]`), or on the configured
database, under an advisory lock and with limits, so that no migration can hang a server."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

from store.tables import Base

ADVISORY_LOCK = 0x50D46E
LOCK_TIMEOUT = "10s"
STATEMENT_TIMEOUT = "30min"


def include_name(name: str | None, kind: str, parents: object) -> bool:
    """Only the default schema is ours; procrastinate keeps its own."""
    return kind != "schema" or name is None


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=True,
        include_name=include_name,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
        context.run_migrations()


def run_online() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        run(connection)
        return
    from store.engine import open_database
    from store.settings import StoreSettings

    settings = StoreSettings()
    database = open_database(settings.database_url, settings.data_dir)
    try:
        with database.engine.connect() as connection:
            run(connection)
            connection.commit()
    finally:
        database.close()


run_online()
