"""Projects, uploads, datasets, and what a source may be."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from app.api import uploads
from app.api.sources import check_source
from app.api.uploads import safe_name
from app.main import create_app
from sondage.errors import Forbidden, InvalidInput
from sondage.wire import Source
from store import deletion, projects
from store.engine import Database, transaction
from store.tables import Job
from tests.api.worlds import BASE, Client, World, add_dataset, make_settings

DIGITS = {"name": "digits", "source": {"kind": "digits"}}


def test_projects(empty: World) -> None:
    made = empty.client.post("/api/v1/projects", json={"name": "pets"})
    assert made.status_code == 201
    again = empty.client.post("/api/v1/projects", json={"name": "pets"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert empty.client.post("/api/v1/projects", json={"name": "No Slug"}).status_code == 422
    first = empty.client.get("/api/v1/projects?limit=1").json()
    assert [project["name"] for project in first["items"]] == ["pets"]
    rest = empty.client.get("/api/v1/projects", params={"cursor": first["next_cursor"], "limit": 1}).json()
    assert [project["name"] for project in rest["items"]] == ["default"]
    assert rest["next_cursor"] is None
    assert empty.client.get("/api/v1/projects/none/datasets").status_code == 404


def test_registering_makes_a_job(empty: World) -> None:
    response = empty.client.post(
        empty.url + "/datasets", json={**DIGITS, "source": {"kind": "digits", "limit": 9}}
    )
    assert response.status_code == 202
    job = response.json()
    assert (job["kind"], job["state"], job["attempt"]) == ("register", "queued", 0)
    assert response.headers["location"] == f"{empty.url}/jobs/{job['id']}"
    assert empty.client.get(response.headers["location"]).json() == job
    with transaction(empty.database.engine) as session:
        arguments = session.get_one(Job, job["id"]).arguments
    assert arguments["name"] == "digits"
    assert Source.model_validate(arguments["source"]) == Source(kind="digits", limit=9)


def test_the_same_request_takes_effect_once(empty: World) -> None:
    key = {"Idempotency-Key": "abc"}
    first = empty.client.post(empty.url + "/datasets", json=DIGITS, headers=key)
    second = empty.client.post(empty.url + "/datasets", json=DIGITS, headers=key)
    assert first.json() == second.json()
    assert second.headers["location"] == first.headers["location"]
    assert len(empty.get("/jobs")["items"]) == 1
    other = empty.client.post(empty.url + "/datasets", json={**DIGITS, "name": "other"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    empty.post("/datasets", 202, json=DIGITS)
    assert len(empty.get("/jobs")["items"]) == 2


def test_a_refused_request_leaves_its_key_free(empty: World) -> None:
    key = {"Idempotency-Key": "abc"}
    wrong = {"name": "d", "source": {"kind": "npz"}}
    empty.post("/datasets", 422, json=wrong, headers=key)
    empty.post("/datasets", 202, json=DIGITS, headers=key)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "", "source": {"kind": "digits"}}, "name"),
        ({"name": "a/b", "source": {"kind": "digits"}}, "name"),
        ({"name": "a"}, "source"),
        ({"name": "a", "source": {"kind": "digits", "path": "x"}}, "source.path"),
        ({"name": "a", "source": {"kind": "csv"}}, "source.path"),
        ({"name": "a", "source": {"kind": "csv", "path": "upload:" + "0" * 32}}, "source.path"),
        ({"name": "a", "source": {"kind": "csv", "path": "upload:../../etc"}}, "source.path"),
        ({"name": "a", "source": {"kind": "digits", "noise": {"share": 1.5}}}, "source.noise.share"),
    ],
)
def test_what_no_worker_could_read_is_refused_at_once(
    empty: World, body: dict[str, object], field: str
) -> None:
    assert empty.post("/datasets", 422, json=body)["errors"][0]["field"] == field
    assert empty.get("/jobs")["items"] == []


def test_paths_only_below_the_roots(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "way-out").symlink_to(outside)
    settings = make_settings(tmp_path, source_roots=[root])
    for path in (str(root / "a.csv"), "a.csv", "deep/a.csv"):
        check_source(Source(kind="csv", path=path), settings)
    for path in (
        str(outside / "a.csv"),
        "../outside/a.csv",
        "way-out/a.csv",
        "/etc/passwd",
        str(root) + "-2/a.csv",
    ):
        with pytest.raises(Forbidden, match="SONDAGE_SOURCE_ROOTS"):
            check_source(Source(kind="csv", path=path), settings)
    with pytest.raises(Forbidden, match="upload"):
        check_source(Source(kind="csv", path="a.csv"), make_settings(tmp_path))
    with pytest.raises(InvalidInput):
        check_source(Source(kind="csv", path="a\0"), settings)


def test_an_upload_becomes_a_source(empty: World) -> None:
    content = os.urandom(300_000)
    upload = empty.post("/uploads?filename=my%20data.csv", 201, content=content)
    assert upload["filename"] == "my_data.csv"
    assert upload["size_bytes"] == len(content)
    assert upload["sha256"] == hashlib.sha256(content).hexdigest()
    stored = empty.settings.data_dir / "uploads" / upload["id"] / "my_data.csv"
    assert stored.read_bytes() == content
    source = {"kind": "csv", "path": f"upload:{upload['id']}"}
    empty.post("/datasets", 202, json={"name": "mine", "source": source})


def test_an_upload_outlasts_a_power_cut(empty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, its folder's names and, after the rename, the folder above are synced before the answer."""
    synced: list[int] = []
    real = os.fsync

    def sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    upload = empty.post("/uploads?filename=a.csv", 201, content=b"x" * 1000)
    parent = empty.settings.data_dir / "uploads"
    places = [(parent / upload["id"] / "a.csv"), parent / upload["id"], parent]
    assert synced[-3:] == [path.stat().st_ino for path in places]


def test_an_empty_upload_is_none(empty: World) -> None:
    empty.post("/uploads?filename=a.csv", 422, content=b"")
    empty.post("/uploads", 422, content=b"x")
    assert list((empty.settings.data_dir / "uploads").iterdir()) == []


def test_a_full_disk_leaves_nothing(empty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: BinaryIO) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads, "_finish", refuse)
    body = empty.post("/uploads?filename=a.csv", 507, content=b"x" * 1000)
    assert body["code"] == "storage_full"
    assert list((empty.settings.data_dir / "uploads").iterdir()) == []


def test_an_upload_holds_no_connection_while_it_comes(empty: World) -> None:
    """A slow client must not keep a transaction open for hours."""
    pool = empty.database.engine.pool
    seen = []

    def chunks() -> object:
        for _ in range(3):
            yield b"x" * 10
            seen.append(pool.checkedout())  # type: ignore[attr-defined]

    empty.post("/uploads?filename=a.csv", 201, content=chunks())
    assert seen[1:] == [0, 0]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a.csv", "a.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\x.npz", "x.npz"),
        (".hidden", "hidden"),
        ("a b\0c\n.csv", "a_b_c_.csv"),
        ("x" * 300 + ".csv", "x" * 116 + ".csv"),
    ],
)
def test_file_names_are_made_harmless(sent: str, kept: str) -> None:
    assert safe_name(sent) == kept


@pytest.mark.parametrize("name", ["", "..", "/", "a/"])
def test_no_file_name_at_all(name: str) -> None:
    with pytest.raises(InvalidInput):
        safe_name(name)


def test_datasets_are_listed_and_found(read_world: World) -> None:
    listed = read_world.get("/datasets?name=pets")["items"]
    assert listed == [read_world.get(f"/datasets/{read_world.dataset}")]
    assert listed[0]["splits"] == {"train": 32, "validation": 8}
    assert read_world.get("/datasets?name=none")["items"] == []
    assert read_world.get("/datasets/999", 404)["code"] == "not_found"


def test_a_cursor_of_another_list_is_refused(read_world: World) -> None:
    cursor = read_world.get("/runs?limit=1")["next_cursor"]
    assert read_world.get(f"/runs?limit=1&state=finished&cursor={cursor}", 400)["code"] == "invalid_cursor"
    assert read_world.get(f"/datasets?cursor={cursor}", 400)["code"] == "invalid_cursor"
    assert read_world.get("/runs?cursor=nonsense", 400)["code"] == "invalid_cursor"
    assert read_world.get(f"/runs?limit=2&cursor={cursor}")["items"][0]["name"] == "run-s0"


def test_deleting_names_what_depends_first(world: World) -> None:
    path = f"/datasets/{world.dataset}"
    folder = world.settings.data_dir
    refused = world.delete(path, 409)
    assert "run-s0" in refused["detail"]
    named = world.delete(path + "?dry_run=true")
    assert [one["kind"] for one in named["dependants"]] == ["tagging", "score", "score", "run", "run"]
    assert named["dry_run"] is True
    world.get(path)
    gone = world.delete(path + "?cascade=true")
    assert gone["dependants"] == named["dependants"]
    for missing in (path, f"/runs/{world.runs[0]}", f"/taggings/{world.tagging}"):
        world.get(missing, 404)
    assert not (folder / "datasets" / str(world.dataset)).exists()
    assert not (folder / "runs" / str(world.runs[0])).exists()
    assert world.get(f"/suites/{world.suite}")["name"] == "default"


def test_a_folder_that_cannot_be_removed_keeps_neither_the_others_nor_the_rows_space(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rename, reclaimed = world.settings.data_dir, Path.rename, []
    stuck = folder / "runs" / str(world.runs[0])
    assert stuck.is_dir()

    def refuse(self: Path, target: Path) -> Path:
        if self == stuck:
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    monkeypatch.setattr(deletion, "reclaim", reclaimed.append)
    world.delete(f"/datasets/{world.dataset}?cascade=true")
    assert stuck.exists()
    assert not (folder / "runs" / str(world.runs[1])).exists()
    assert not (folder / "datasets" / str(world.dataset)).exists()
    assert reclaimed == [world.database.engine]


@pytest.mark.parametrize("trigger", ["start", "delete"])
def test_orphans_are_swept_at_the_start_and_after_a_delete(world: World, trigger: str) -> None:
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        number = add_dataset(session, project, "orphan", "image", ["a"], ["train"]).id
        session.rollback()  # its number is given out for good
    orphan = world.settings.data_dir / "datasets" / str(number)
    orphan.mkdir()
    os.utime(orphan, (0, 0))
    if trigger == "delete":
        world.delete(f"/taggings/{world.tagging}")
    else:
        with Client(create_app(world.settings, world.database), base_url=BASE):
            pass
    assert not orphan.exists()
    assert (world.settings.data_dir / "datasets" / str(world.dataset)).exists()


def test_nothing_is_deleted_while_work_is_going_on(world: World) -> None:
    started = world.post("/runs", 202, json={"name": "more", "dataset_id": world.dataset, "seeds": [0]})
    refused = world.delete(f"/datasets/{world.dataset}?cascade=true", 409)
    assert f"Job {started['jobs'][0]['id']}" in refused["detail"]
    world.get(f"/datasets/{world.dataset}")
    assert (world.settings.data_dir / "datasets" / str(world.dataset)).exists()


def test_two_requests_under_one_key_at_once(empty: World) -> None:
    """The second one waits for the first and repeats its answer."""
    from concurrent.futures import ThreadPoolExecutor

    def register() -> int:
        response = empty.client.post(
            empty.url + "/datasets", json=DIGITS, headers={"Idempotency-Key": "same"}
        )
        assert response.status_code == 202
        return int(response.json()["id"])

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(lambda _: register(), range(12)))) == 1
    assert len(empty.get("/jobs")["items"]) == 1


def test_the_database_of_a_request_is_given_back(empty: World, database: Database) -> None:
    for path in ("/datasets", "/datasets/9", "/runs?limit=x"):
        empty.client.get(empty.url + path)
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
