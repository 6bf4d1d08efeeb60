"""The worker's health check, against what workers write into the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from store.engine import migrate, open_database
from tools.healthy import main


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("SONDAGE_DATA_DIR", str(tmp_path / "d"))
    monkeypatch.delenv("SONDAGE_DATABASE_URL", raising=False)
    monkeypatch.setattr("sys.argv", ["healthy", "worker"])
    with closing(open_database(None, tmp_path / "d")) as database:
        migrate(database.engine)
        yield database.engine


def sign_of_life(engine: Engine, age: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM procrastinate.procrastinate_workers"))
        connection.execute(
            text(
                "INSERT INTO procrastinate.procrastinate_workers (last_heartbeat) "
                "VALUES (now() - CAST(:age AS interval))"
            ),
            {"age": age},
        )


def test_only_a_recent_sign_of_life_counts(engine: Engine) -> None:
    assert main() == 1
    sign_of_life(engine, "5 minutes")
    assert main() == 1
    sign_of_life(engine, "1 second")
    assert main() == 0
