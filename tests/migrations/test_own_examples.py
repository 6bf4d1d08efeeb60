"""The step that brings examples of the user's own: down and up again on data, and what it refuses."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from store import runs, suites
from store.engine import ALEMBIC_INI, Database, transaction
from tests.rows import a_dataset, a_finished_tagging, a_run

STEP, BEFORE = "3f6c0d9e51b7", "c41f0e6ab7d2"


def go(database: Database, direction: str, revision: str) -> None:
    config = Config(str(ALEMBIC_INI))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, direction)(config, revision)


def all_of(database: Database, table: str) -> list[dict]:
    with transaction(database.engine) as session:
        rows = session.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2")).mappings()  # noqa: S608  # our own names
        return [dict(row) for row in rows]


def test_what_was_there_outlives_down_and_up(database: Database) -> None:
    with transaction(database.engine) as session:
        a_finished_tagging(session)
    before = {table: all_of(database, table) for table in ("suites", "run_probes", "tagging_probes")}
    go(database, "downgrade", BEFORE)
    assert "notes" not in all_of(database, "suites")[0]
    assert "example_index" not in all_of(database, "run_probes")[0]
    go(database, "upgrade", "head")
    assert {table: all_of(database, table) for table in before} == before
    assert before["suites"][0]["notes"] == []


def test_the_way_back_is_refused_while_there_are_own_examples(database: Database) -> None:
    with transaction(database.engine) as session:
        dataset = a_dataset(session)
        suite = suites.add(
            session,
            project_id=dataset.project_id,
            name="own",
            digest="d",
            definition={},
            examples_dataset_id=dataset.id,
            members=[(0, "ood", "fit")],
        )
        run = a_run(session, dataset, suite=suite)
        probe = runs.PlantedProbe(6, "ood", "fit", "own", None, 1, example_index=0)
        runs.plant(session, run=run, probes=[probe])
    before = all_of(database, "run_probes")
    with pytest.raises(IntegrityError, match="source_row"):
        go(database, "downgrade", BEFORE)
    assert all_of(database, "run_probes") == before
    with transaction(database.engine) as session:
        session.execute(text("DELETE FROM runs"))
    with pytest.raises(IntegrityError, match="kind_is_known"):
        go(database, "downgrade", BEFORE)
    with transaction(database.engine) as session:
        session.execute(text("DELETE FROM suites"))
    go(database, "downgrade", BEFORE)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE suites SET examples_dataset_id = (SELECT min(id) FROM datasets)",
        "UPDATE suites SET kind = 'examples'",
        "UPDATE run_probes SET example_index = 0",
        "UPDATE suites SET kind = 'imagined'",
    ],
)
def test_what_the_constraints_refuse(database: Database, statement: str) -> None:
    with transaction(database.engine) as session:
        a_finished_tagging(session)
    with pytest.raises(IntegrityError), transaction(database.engine) as session:
        session.execute(text(statement))
