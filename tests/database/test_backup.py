"""Backup and restore, with real databases on both sides."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

import tools.backup
from sondage.errors import Conflict, InvalidInput, NotFound, SondageError, Unavailable
from store import datasets, jobs, projects
from store.engine import Database, check_migrated, migrate, open_database, transaction
from store.payloads import remove_payload
from store.settings import StoreSettings
from store.tables import Dataset, Example
from tests.rows import a_dataset, a_run, a_train_job, record
from tools.backup import main, restore, save
from worker.training.checkpoint import CheckpointStore

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
    with pytest.raises(Unavailable, match="cannot be reached"):
        save(nobody, file)
    assert [entry.name for entry in tmp_path.iterdir()] == ["sondage.tar"]
    assert file.read_text() == "the older one"


def test_the_command_names_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["backup", "save", ""])
    assert main() == 1
    assert "make backup FILE=" in capsys.readouterr().err


# --- beside a working server ----------------------------------------------------------------------------------------

UPLOAD, UNUSED = "a" * 32, "b" * 32


class Work:
    """A server with two datasets, a training after its second epoch and an upload that a job is to read."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        self.database = database
        self.settings = settings_of(data_dir, database.engine.url.render_as_string(hide_password=False))
        with transaction(database.engine) as session:
            self.payloads = [a_dataset(session, name=name).payload for name in ("kept", "other")]
            run = a_run(session, a_dataset(session, name="kept"))
            a_train_job(session, run)
            record(session, run, epochs=2)
            self.register(session, UPLOAD)
            self.run_id = run.id
        for payload in self.payloads:
            self.write(f"{payload}/a.bin", f"{payload}/b.bin")
        self.write(f"runs/{run.id}/probes/a.bin", f"uploads/{UPLOAD}/t.csv", f"uploads/{UNUSED}/t.csv")
        self.write("datasets/.partial-1/a.bin", f"runs/{run.id}/checkpoints/epoch-000009.partial")
        self.checkpoints = CheckpointStore(data_dir / "runs" / str(run.id) / "checkpoints")
        self.train(0, 1)

    def register(self, session: Session, upload: str) -> None:
        arguments = {"name": "mine", "source": {"kind": "csv", "path": f"upload:{upload}"}}
        project = projects.ensure(session)
        jobs.create(session, project_id=project.id, kind="register", arguments=arguments)

    def write(self, *names: str) -> None:
        for name in names:
            path = self.settings.data_dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

    def train(self, *epochs: int) -> None:
        for epoch in epochs:
            self.checkpoints.save(epoch, {"training": "t", "epoch": epoch})

    def goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Between the dump and the payloads: epochs, a new dataset, the upload read and dropped."""
        dump = tools.backup._postgres

        def then_work(*arguments: str) -> None:
            dump(*arguments)
            self.train(2, 3, 4)
            with transaction(self.database.engine) as session:
                self.write(f"{a_dataset(session, name='new').payload}/a.bin")
            shutil.rmtree(self.settings.data_dir / "uploads" / UPLOAD)

        monkeypatch.setattr(tools.backup, "_postgres", then_work)


@pytest.fixture
def work(database: Database, tmp_path: Path) -> Work:
    return Work(database, tmp_path / "working")


def test_a_training_goes_on_behind_its_last_epoch(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        work.goes_on(patched)
        save(work.settings, tmp_path / "sondage.tar")
    target = settings_of(tmp_path / "b")
    restore(target, tmp_path / "sondage.tar")

    restored = CheckpointStore(target.data_dir / "runs" / str(work.run_id) / "checkpoints")
    next_epoch, state = restored.load_latest(before_epoch=2, training="t")
    assert (next_epoch, state) == (2, {"training": "t", "epoch": 1})
    assert (target.data_dir / "uploads" / UPLOAD / "t.csv").exists()  # its job is open again
    with closing(open_database(None, target.data_dir)) as database, transaction(database.engine) as session:
        known = set(session.scalars(select(Dataset.payload)))
    there = {f"datasets/{folder.name}" for folder in (target.data_dir / "datasets").iterdir()}
    assert there == known == set(work.payloads)


def test_only_what_the_database_names_is_kept(work: Work, tmp_path: Path) -> None:
    work.write("datasets/999/a.bin", "runs/999/probes/a.bin")
    save(work.settings, tmp_path / "sondage.tar")
    run = f"runs/{work.run_id}"
    with tarfile.open(tmp_path / "sondage.tar") as archive:
        assert sorted(archive.getnames()) == sorted([
            "database.dump", f"{run}/probes/a.bin", f"uploads/{UPLOAD}/t.csv",
            f"{run}/checkpoints/epoch-000000.ckpt", f"{run}/checkpoints/epoch-000001.ckpt",
            *(f"{payload}/{name}" for payload in work.payloads for name in ("a.bin", "b.bin")),
        ])  # fmt: skip


def test_files_may_vanish_while_they_are_read(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, other = work.payloads
    first = tarfile.TarFile.addfile

    def addfile(self: tarfile.TarFile, entry: tarfile.TarInfo, file: object = None) -> None:
        first(self, entry, file)  # type: ignore[arg-type]
        if entry.name == f"{other}/a.bin":
            remove_payload(work.settings.data_dir / other)
        if entry.name.endswith("epoch-000000.ckpt"):
            work.train(2, 3)

    monkeypatch.setattr(tarfile.TarFile, "addfile", addfile)
    save(work.settings, tmp_path / "sondage.tar")
    with tarfile.open(tmp_path / "sondage.tar") as archive:
        names = archive.getnames()
    assert {f"{kept}/a.bin", f"{kept}/b.bin"} < set(names)
    assert [name[-6] for name in names if name.endswith(".ckpt")] == ["0", "2", "3"]
    said = capsys.readouterr().err
    assert f"{other} was deleted meanwhile" in said
    assert kept not in said
