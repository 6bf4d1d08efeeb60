"""COPY in and out: how many rows at once get into and out of Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.orm import Session


def driver_connection(session: Session) -> psycopg.Connection[Any]:
    """The psycopg connection of the session's transaction."""
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("Sondage needs the psycopg driver: use a postgresql+psycopg:// address")
    return connection


def copy_in(
    session: Session,
    table: str,
    columns: Sequence[str],
    types: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> None:
    """Insert `rows` by binary COPY, inside the session's transaction.

    Parameters
    ----------
    types
        The Postgres type of each column (`int8`, `text`, `bytea`, `float4[]`, …): binary COPY does not convert.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with driver_connection(session).cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(list(types))
        for row in rows:
            copy.write_row(row)


def fetch_binary(session: Session, query: str, parameters: Sequence[object]) -> Iterator[tuple[Any, ...]]:
    """Rows of a query in binary form: a bytea arrives as the bytes it is, not as hexadecimal text."""
    with driver_connection(session).cursor(binary=True) as cursor:
        cursor.execute(query, parameters)
        yield from cursor
