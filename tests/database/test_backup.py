"""Backup and restore, with real databases on both sides."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text

from sondage.errors import Conflict, InvalidInput, NotFound, SondageError
from store import datasets, projects
from store.engine import check_migrated, migrate, open_database, transaction
from store.settings import StoreSettings
from store.tables import Dataset, Example
from tools.backup import main, restore, save

PICTURES = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreSettings]:
    """A server's data folder with one dataset of three examples and its payload."""
    settings = settings_of(tmp_path_factory.mktemp("a"))
    with closing(open_database(None, settings.data_dir)) as database:
        migrate(database.engine)
        with transaction(database.engine) as session:
            project = projects.ensure(session, name="default")
            new = datasets.NewDataset(
                name="letters",
                fingerprint="f" * 64,
                modality="text",
                class_names=["a", "b"],
                keys=["k0", "k1", "k2"],
                labels=np.array([0, 1, 0]),
                splits=["train", "train", "test"],
            )
            dataset, _ = datasets.add(session, project_id=project.id, new=new)
            payload = settings.data_dir / dataset.payload
        payload.mkdir(parents=True)
        (payload / "inputs.bin").write_bytes(PICTURES)
        (settings.data_dir / "cache").mkdir()
        (settings.data_dir / "cache" / "rebuilt").write_text("at will")
        yield settings


@pytest.fixture(scope="module")
def backup(source: StoreSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("f") / "sondage.tar"
    save(source, file)
    assert [entry.name for entry in file.parent.iterdir()] == ["sondage.tar"]
    return file


def settings_of(data_dir: Path, database_url: str | None = None) -> StoreSettings:
    return StoreSettings(data_dir=data_dir, database_url=database_url)


def keys_in(settings: StoreSettings) -> list[str]:
    with closing(open_database(settings.database_url, settings.data_dir)) as database:
        check_migrated(database.engine)
        with transaction(database.engine) as session:
            assert session.scalar(select(Dataset.name)) == "letters"
            return list(session.scalars(select(Example.key).order_by(Example.index)))


def test_everything_comes_back_in_another_folder(backup: Path, tmp_path: Path) -> None:
    target = settings_of(tmp_path / "b")
    restore(target, backup)
    assert keys_in(target) == ["k0", "k1", "k2"]
    (inputs,) = (target.data_dir / "datasets").rglob("inputs.bin")
    assert inputs.read_bytes() == PICTURES
    assert not (target.data_dir / "cache").exists()
    assert not list(target.data_dir.glob(".restore-*"))


def test_into_a_database_by_its_address(backup: Path, source: StoreSettings, tmp_path: Path) -> None:
    with closing(open_database(None, source.data_dir)) as database:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CREATE DATABASE elsewhere"))
        address = database.engine.url.set(database="elsewhere").render_as_string(hide_password=False)
        target = settings_of(tmp_path / "c", address)
        restore(target, backup)
        assert keys_in(target) == ["k0", "k1", "k2"]
        assert not (target.data_dir / "postgres").exists()
        save(target, tmp_path / "again.tar")
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("DROP DATABASE elsewhere"))
    with tarfile.open(tmp_path / "again.tar") as archive:
        assert "database.dump" in archive.getnames()
        assert any(name.endswith("inputs.bin") for name in archive.getnames())


def test_what_is_there_is_not_written_over(backup: Path, source: StoreSettings, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="is not empty"):
        restore(source, backup)
    with closing(open_database(None, source.data_dir)) as database:
        address = database.engine.url.render_as_string(hide_password=False)
        with pytest.raises(Conflict, match="holds tables already"):
            restore(settings_of(tmp_path / "d", address), backup)
    assert keys_in(source) == ["k0", "k1", "k2"]
    assert list((tmp_path / "d").iterdir()) == []


def test_a_damaged_backup_leaves_the_target_empty(backup: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tar"
    with tarfile.open(backup) as archive:
        archive.extractall(tmp_path / "parts", filter="data")
    dump = tmp_path / "parts" / "database.dump"
    whole = dump.read_bytes()
    dump.write_bytes(whole[: len(whole) * 3 // 4])
    with tarfile.open(damaged, "w") as archive:
        for part in (tmp_path / "parts").iterdir():
            archive.add(part, part.name)
    target = settings_of(tmp_path / "e")
    with pytest.raises(SondageError, match="pg_restore failed"):
        restore(target, damaged)
    assert [entry.name for entry in target.data_dir.iterdir()] == ["postgres"]
    restore(target, backup)
    assert keys_in(target) == ["k0", "k1", "k2"]


def test_a_file_that_is_no_backup(tmp_path: Path) -> None:
    target = settings_of(tmp_path / "f")
    with pytest.raises(NotFound):
        restore(target, tmp_path / "missing.tar")
    other = tmp_path / "other.tar"
    with tarfile.open(other, "w") as archive:
        archive.add(__file__, "something.py")
    with pytest.raises(InvalidInput, match=r"holds no database\.dump"):
        restore(target, other)
    assert not target.data_dir.exists() or list(target.data_dir.iterdir()) == []


def test_a_failed_backup_leaves_the_older_one(tmp_path: Path) -> None:
    file = tmp_path / "sondage.tar"
    file.write_text("the older one")
    nobody = settings_of(tmp_path / "g", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(SondageError, match="pg_dump failed"):
        save(nobody, file)
    assert [entry.name for entry in tmp_path.iterdir()] == ["sondage.tar"]
    assert file.read_text() == "the older one"


def test_the_command_names_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["backup", "save", ""])
    assert main() == 1
    assert "make backup FILE=" in capsys.readouterr().err
