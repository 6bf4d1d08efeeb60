"""What no row names is swept from the data folder; what is young, in use or another database's stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from store import datasets, deletion, jobs, projects
from store.engine import Database, transaction
from store.sweep import sweep
from store.tables import Dataset
from tests.rows import a_dataset, a_run

OLD, YOUNG = 30.0, 0.5
"""In days."""


class Folder:
    """A data folder of which we say how old things are."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, name: str, *, days: float = OLD) -> Path:
        made = self.path / name
        made.mkdir(parents=True)
        (made / "inputs.bin").write_bytes(b"x")
        then = time.time() - days * 86_400
        for path in (made / "inputs.bin", made):
            os.utime(path, (then, then))
        return made

    def names(self) -> set[str]:
        return {path.relative_to(self.path).as_posix() for path in self.path.glob("*/*")}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def _gone_dataset(database: Database, name: str) -> int:
    """The number of a dataset that was registered and deleted."""
    with transaction(database.engine) as session:
        number = a_dataset(session, name=name, fingerprint=f"of-{name}").id
    with transaction(database.engine) as session:
        deletion.remove(session, kind="dataset", number=number, cascade=False)
    return number


def test_orphans_go_and_what_has_a_row_stays(database: Database, folder: Folder) -> None:
    known, orphan = "a" * 64, "b" * 64
    with transaction(database.engine) as session:
        dataset = a_dataset(session, fingerprint=known)
        run = a_run(session, dataset)
        second = a_run(session, dataset, name="second")
    with transaction(database.engine) as session:
        deletion.remove(session, kind="run", number=second.id, cascade=False)
    gone, fresh = _gone_dataset(database, "gone"), _gone_dataset(database, "fresh")
    kept = [dataset.payload, f"runs/{run.id}", f"cache/{known}", "datasets/notes", "cache/of-mine"]
    for name in (*kept, f"datasets/{gone}", f"runs/{second.id}", f"cache/{orphan}", "runs/.partial-1"):
        folder.add(name)
    folder.add(f"datasets/{fresh}", days=YOUNG)
    removed = sweep(database.engine, folder.path)
    assert folder.names() == {*kept, f"datasets/{fresh}"}
    assert {path.name for path in removed} == {str(gone), str(second.id), orphan}


def test_the_folder_of_a_registration_that_was_never_committed_goes(
    database: Database, folder: Folder
) -> None:
    with transaction(database.engine) as session:
        payload = folder.add(a_dataset(session).payload)
        session.rollback()
    assert sweep(database.engine, folder.path) == [payload]
    assert not payload.exists()


def test_numbers_that_this_database_never_gave_out_are_not_its_own(
    database: Database, folder: Folder
) -> None:
    """As with a fresh database, or a restored older one, on a data folder that is full."""
    folder.add("datasets/1")
    folder.add("runs/1")
    assert sweep(database.engine, folder.path) == []
    gone = _gone_dataset(database, "gone")
    folder.add(f"datasets/{gone + 1}")
    sweep(database.engine, folder.path)
    assert folder.names() == {f"datasets/{gone + 1}", "runs/1"}


def test_a_folder_that_holds_nothing_of_this_database_is_left_alone(
    database: Database, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    gone = _gone_dataset(database, "gone")
    with transaction(database.engine) as session:
        payload = a_dataset(session).payload
    folder.add(f"datasets/{gone}")
    assert sweep(database.engine, folder.path) == []
    assert "holds no payload of this database" in caplog.text
    folder.add(payload)
    sweep(database.engine, folder.path)
    assert folder.names() == {payload}


def test_uploads_go_after_their_days_unless_a_job_is_to_read_them(database: Database, folder: Folder) -> None:
    wanted, done, forgotten, young = (f"{number:032x}" for number in range(4))
    for name in (wanted, done, forgotten):
        folder.add(f"uploads/{name}", days=8)
    folder.add(f"uploads/{young}", days=6)
    with transaction(database.engine) as session:
        project = projects.ensure(session)
        for name in (wanted, done):
            arguments = {"name": "d", "source": {"kind": "csv", "path": f"upload:{name}"}}
            job = jobs.create(session, project_id=project.id, kind="register", arguments=arguments)
        jobs.request_abort(session, project_id=project.id, job_id=job.id)
    sweep(database.engine, folder.path, upload_days=7)
    assert folder.names() == {f"uploads/{wanted}", f"uploads/{young}"}
    sweep(database.engine, folder.path, upload_days=5)
    assert folder.names() == {f"uploads/{wanted}"}


def test_one_folder_that_stays_keeps_no_other(
    database: Database, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (folder.add(f"datasets/{_gone_dataset(database, name)}") for name in ("a", "b"))
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self == first:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    assert sweep(database.engine, folder.path) == [second]


def test_a_dataset_without_inputs_has_no_folder_to_lose(database: Database, folder: Folder) -> None:
    with transaction(database.engine) as session:
        dataset = a_dataset(session)
        session.get_one(Dataset, dataset.id).payload = ""
    gone = folder.add(f"datasets/{_gone_dataset(database, 'gone')}")
    assert sweep(database.engine, folder.path) == [gone]


def test_inputs_that_were_to_be_added_and_were_not_go(database: Database, folder: Folder) -> None:
    """And what is cached of inputs that were: by their own fingerprint, not by that of the labels."""
    name = "0123456789abcdef"
    with transaction(database.engine) as session:
        dataset = a_dataset(session, fingerprint="a" * 64)
        payload = f"datasets/{dataset.id}-{name}"
        datasets.add_inputs(
            session, dataset=dataset, modality="text", payload=payload, provenance={"fingerprint": "b" * 64}
        )
    orphan, beyond = f"datasets/{dataset.id}-{name[::-1]}", f"datasets/{dataset.id + 999}-{name}"
    young = folder.add(f"datasets/{dataset.id}-{'f' * 16}", days=YOUNG)
    kept = {payload, beyond, f"datasets/{young.name}", f"cache/{'b' * 64}"}
    for place in (payload, orphan, beyond, f"cache/{'a' * 64}", f"cache/{'b' * 64}"):
        folder.add(place)
    removed = sweep(database.engine, folder.path)
    assert {path.name for path in removed} == {Path(orphan).name, "a" * 64}
    assert folder.names() == kept
