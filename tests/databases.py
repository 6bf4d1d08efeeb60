"""Migrated databases for tests: copied from a template once, then wiped and used again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from sqlalchemy import make_url

from store.engine import Database, make_engine, migrate

TEMPLATE = "migrated_template"

_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# A table without pages never held a row. Emptied by DELETE and VACUUM, which gives the pages back: TRUNCATE would take
# every table that refers to one of these, and 50 to 100 ms. Sequences go back to their start whoever advanced them.
_USED = """
    SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
    WHERE relkind = 'r' AND oid >= 16384
        AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0
"""
_TOO_LARGE = (
    "SELECT max(pg_total_relation_size(oid)) > 4000000 FROM pg_class WHERE relkind = 'r' AND oid >= 16384"
)
_REWIND = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE last_value IS NOT NULL
"""
_SCHEMA = """
    SELECT md5(concat(
        (SELECT string_agg(concat(attrelid::regclass, attname, atttypid, attnotnull, atthasdef), ',' ORDER BY attrelid, attnum)
         FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0 AND attrelid::regclass::text NOT LIKE 'pg_toast%'),
        (SELECT string_agg(concat(conrelid::regclass, conname, contype), ',' ORDER BY oid) FROM pg_constraint WHERE oid >= 16384),
        (SELECT string_agg(concat(tgrelid::regclass, tgname, tgenabled), ',' ORDER BY oid) FROM pg_trigger WHERE NOT tgisinternal),
        (SELECT string_agg(concat(proname, prosrc), ',' ORDER BY oid) FROM pg_proc WHERE oid >= 16384),
        (SELECT string_agg(setconfig::text, ',') FROM pg_db_role_setting WHERE setdatabase <> 0),
        (SELECT string_agg(nspname, ',' ORDER BY oid) FROM pg_namespace WHERE nspname NOT LIKE 'pg_%'),
        (SELECT string_agg(version_num, ',') FROM alembic_version)
    ))
"""  # noqa: E501  # one line for each catalogue


class Databases:
    """On one server. One that a test has changed in its schema is dropped, any other is wiped for the next test."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._clean: list[str] = []
        administer(url, f"CREATE DATABASE {TEMPLATE}")
        engine = make_engine(named(url, TEMPLATE))
        migrate(engine)
        engine.dispose()
        with connected(named(url, TEMPLATE)) as ask:
            self._schema = ask(_SCHEMA)

    @contextmanager
    def fresh(self) -> Iterator[Database]:
        """A migrated database without a row, until the end of the block."""
        name = self._clean.pop() if self._clean else self._make()
        database = Database(make_engine(named(self._url, name)))
        try:
            yield database
        finally:
            database.close()
            clean = False
            with suppress(psycopg.Error):  # it is gone, or away, as some tests want it
                clean = self._wiped(name)
            if clean:
                self._clean.append(name)
            else:
                administer(self._url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _make(self) -> str:
        name = f"test_{uuid.uuid4().hex}"
        # Files copied as they are, a third cheaper than page by page through the log: nothing waits for the disk.
        administer(self._url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
        return name

    def _wiped(self, name: str) -> bool:
        """Whether it is as it was made. One that holds much is made anew in less time."""
        with connected(named(self._url, name)) as ask:
            ask(_END_OTHERS)
            if ask(_SCHEMA) != self._schema or ask(_TOO_LARGE):
                return False
            if used := ask(_USED):
                ask("SET session_replication_role = replica")  # no trigger looks for what refers to a row
                for table in used.split(", "):
                    ask(f"DELETE FROM {table}")  # noqa: S608  # a name from the catalogue
                ask(f"VACUUM {used}")
            ask(_REWIND)
            return ask(_USED) is None


def named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


@contextmanager
def connected(url: str) -> Iterator[Callable[[str], Any]]:
    """A connection that runs one statement after the other, and answers with the first value there is."""
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:

        def ask(statement: str) -> Any:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            return row and row[0]

        yield ask


def administer(url: str, *statements: str) -> None:
    with connected(url) as ask:
        for statement in statements:
            ask(statement)
