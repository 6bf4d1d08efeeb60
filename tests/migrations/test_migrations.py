"""The migrated database equals the declared one; up and down both work, on data too."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from sondage.errors import Conflict, Unavailable
from store.engine import ALEMBIC_INI, Database, check_migrated, migrate, transaction
from store.tables import Base
from tests.rows import a_finished_tagging


def _config(engine_connection: object) -> Config:
    config = Config(str(ALEMBIC_INI))
    config.attributes["connection"] = engine_connection
    return config


def _go(engine: Engine, direction: str, revision: str) -> None:
    with engine.begin() as connection:
        getattr(command, direction)(_config(connection), revision)


def test_one_head() -> None:
    assert len(ScriptDirectory.from_config(Config(str(ALEMBIC_INI))).get_heads()) == 1


def test_migrated_schema_equals_the_declared_one(database: Database) -> None:
    with database.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_checks_equal_the_declared_ones(database: Database) -> None:
    """Alembic does not compare check constraints."""
    inspector = inspect(database.engine)
    for table in Base.metadata.tables.values():
        declared = {c.name for c in table.constraints if type(c).__name__ == "CheckConstraint"}
        assert {c["name"] for c in inspector.get_check_constraints(table.name)} == declared


def test_every_constraint_has_a_name_of_ours(database: Database) -> None:
    with transaction(database.engine) as session:
        names = session.scalars(
            text(
                "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
            )
        ).all()
    strays = [name for name in names if name.split("_")[0] not in ("pk", "uq", "fk", "ck", "alembic")]
    assert strays == []


def test_blocks_are_stored_uncompressed(database: Database) -> None:
    query = text(
        "SELECT attrelid::regclass::text, attstorage::text FROM pg_attribute"
        " WHERE attname = 'data' AND attrelid IN ('curve_blocks'::regclass, 'score_blocks'::regclass)"
    )
    with transaction(database.engine) as session:
        assert dict(session.execute(query).all()) == {"curve_blocks": "e", "score_blocks": "e"}  # type: ignore[arg-type]


def test_down_and_up_again_with_data(database: Database) -> None:
    with transaction(database.engine) as session:
        a_finished_tagging(session)
    _go(database.engine, "downgrade", "base")
    left = inspect(database.engine)
    assert set(left.get_table_names()) <= {"alembic_version"}
    assert "procrastinate" not in left.get_schema_names()
    with pytest.raises((Conflict, Unavailable), match="migrate"):
        check_migrated(database.engine)
    _go(database.engine, "upgrade", "head")
    check_migrated(database.engine)
    with transaction(database.engine) as session:
        a_finished_tagging(session)


def test_every_step_goes_up_down_up(database: Database) -> None:
    script = ScriptDirectory.from_config(Config(str(ALEMBIC_INI)))
    _go(database.engine, "downgrade", "base")
    for revision in reversed(list(script.walk_revisions())):
        _go(database.engine, "upgrade", revision.revision)
        _go(database.engine, "downgrade", "-1")
        _go(database.engine, "upgrade", revision.revision)


def test_migrating_twice_changes_nothing(database: Database) -> None:
    migrate(database.engine)
    check_migrated(database.engine)


def test_procrastinate_lives_in_its_own_schema(database: Database) -> None:
    inspector = inspect(database.engine)
    assert not [name for name in inspector.get_table_names() if name.startswith("procrastinate")]
    assert "procrastinate_jobs" in inspector.get_table_names(schema="procrastinate")
