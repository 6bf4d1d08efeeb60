"""Who may reach the server: by which name, from which page, with which key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.main import create_app, prepare
from app.settings import is_loopback
from sondage.errors import Forbidden
from store import keys, projects
from store.engine import Database, transaction
from tests.api.worlds import BASE, Client, World, document, fill, make_settings

PROJECT = "/api/v1/projects/default"
ANYWHERE = "0.0.0.0"  # noqa: S104  # nothing is bound


@pytest.fixture
def guarded(tmp_path: Path, database: Database) -> Iterator[World]:
    """A server that others can reach, with the small world in it."""
    settings = make_settings(tmp_path / "data", host=ANYWHERE)
    make_key(database, "admin")
    prepare(database, settings)
    with Client(create_app(settings, database), base_url="http://sondage.example") as client:
        yield fill(World(client, database, settings))


def make_key(database: Database, *scopes: str, project: str | None = None) -> str:
    with transaction(database.engine) as session:
        number = None if project is None else projects.ensure(session, name=project).id
        return keys.create(session, name="someone", scopes=scopes, project_id=number).secret


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000"])
def test_own_names_are_answered(empty: World, host: str) -> None:
    assert empty.client.get(f"{PROJECT}/datasets", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "128.0.0.1", "", "[::1", "2130706433"]
)
def test_foreign_names_are_not(empty: World, host: str) -> None:
    response = empty.client.get(f"{PROJECT}/datasets", headers={"Host": host})
    assert (response.status_code, response.json()["code"]) == (421, "foreign_host")
    assert empty.client.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": BASE}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
    ],
)
def test_pages_of_others_are_refused(empty: World, headers: dict[str, str], status: int) -> None:
    assert empty.client.get(f"{PROJECT}/datasets", headers=headers).status_code == status


def test_a_link_from_elsewhere_opens_the_dashboard(empty: World) -> None:
    assert empty.client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_loopback_is_open_although_keys_exist(empty: World) -> None:
    make_key(empty.database, "read")
    assert empty.client.get(f"{PROJECT}/datasets").status_code == 200


def test_no_start_without_keys_where_others_can_reach(tmp_path: Path, database: Database) -> None:
    for options in ({"host": ANYWHERE}, {"host": "::"}, {"allowed_hosts": ["sondage.example"]}):
        with pytest.raises(Forbidden, match="python -m app keys create"):
            prepare(database, make_settings(tmp_path, **options))


def test_a_revoked_key_does_not_count_as_one(tmp_path: Path, database: Database) -> None:
    make_key(database, "read")
    with transaction(database.engine) as session:
        keys.revoke(session, key_id=1)
    with pytest.raises(Forbidden):
        prepare(database, make_settings(tmp_path, host=ANYWHERE))


def test_every_route_asks_for_a_key(guarded: World) -> None:
    asked = 0
    for template, operations in document()["paths"].items():
        path = template.replace("{project}", "default").replace("{channel}", "loss")
        for name in (
            "dataset_id",
            "index",
            "suite_id",
            "run_id",
            "row",
            "epoch",
            "shard",
            "tagging_id",
            "score_id",
            "job_id",
        ):
            path = path.replace(f"{{{name}}}", "1")
        for method in operations:
            response = guarded.client.request(
                method.upper(), path, params={"filename": "a", "rows": "0"}, json={}
            )
            if template == "/api/v1/health":
                assert response.status_code == 200
                continue
            asked += 1
            assert response.status_code == 401, (method, path)
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            assert response.json()["code"] == "unauthenticated"
    assert asked > 40
    assert guarded.client.get("/api/v1/openapi.json").status_code == 401


@pytest.mark.parametrize("header", ["Bearer sdg_wrong", "Bearer ", "Basic abc", "sdg_x"])
def test_wrong_keys(guarded: World, header: str) -> None:
    response = guarded.client.get(f"{PROJECT}/datasets", headers={"Authorization": header})
    assert response.status_code == 401


def test_health_tells_a_stranger_little(guarded: World) -> None:
    assert guarded.client.get("/api/v1/health").json()["database"] == "ok"
    secret = make_key(guarded.database, "read")
    assert guarded.client.get("/api/v1/health", headers=bearer(secret)).status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("read", "GET", "/datasets", 200),
        ("record", "GET", "/datasets", 403),
        ("review", "GET", "/datasets", 403),
        ("admin", "GET", "/datasets", 200),
        ("record", "POST", "/suites", 201),
        ("read", "POST", "/suites", 403),
        ("review", "POST", "/datasets/1/decisions", 201),
        ("record", "POST", "/datasets/1/decisions", 403),
        ("admin", "POST", "/datasets/1/decisions", 201),
        ("record", "DELETE", "/taggings/1", 403),
        ("admin", "DELETE", "/taggings/1", 200),
    ],
)
def test_scopes(guarded: World, scope: str, method: str, path: str, status: int) -> None:
    body = {"index": 0, "decision": "keep"} if "decisions" in path else {"name": "mine"}
    response = guarded.client.request(
        method,
        PROJECT + path,
        headers=bearer(make_key(guarded.database, scope)),
        json=body if method == "POST" else None,
    )
    assert response.status_code == status, response.text
    if status == 403:
        assert scope not in response.json()["detail"]
        assert response.json()["code"] == "forbidden"


def test_a_key_of_one_project_sees_no_other(guarded: World) -> None:
    own = bearer(make_key(guarded.database, "admin", project="mine"))
    listed = guarded.client.get("/api/v1/projects", headers=own).json()["items"]
    assert [project["name"] for project in listed] == ["mine"]
    foreign = guarded.client.get(f"{PROJECT}/datasets", headers=own)
    missing = guarded.client.get("/api/v1/projects/nothing/datasets", headers=own)
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json()["detail"].replace("default", "nothing") == missing.json()["detail"]
    assert guarded.client.post("/api/v1/projects", headers=own, json={"name": "more"}).status_code == 403


def test_numbers_of_another_project_are_not_found(guarded: World) -> None:
    own = bearer(make_key(guarded.database, "admin", project="mine"))
    for path in ("/datasets/1", "/runs/1", "/suites/1", "/taggings/1", "/taggings/1/tags", "/scores/1/values",
                 "/datasets/1/examples/0/thumbnail", "/runs/1/curves/loss?rows=0"):  # fmt: skip
        assert guarded.client.get(f"/api/v1/projects/mine{path}", headers=own).status_code == 404, path


def test_decisions_carry_the_name_of_the_key(guarded: World) -> None:
    response = guarded.client.post(
        f"{PROJECT}/datasets/1/decisions",
        headers=bearer(make_key(guarded.database, "review")),
        json={"index": 1, "decision": "keep"},
    )
    assert response.json()["items"][0]["reviewer"] == "someone"


def test_allowed_hosts_are_the_only_foreign_names(tmp_path: Path, database: Database) -> None:
    settings = make_settings(tmp_path, allowed_hosts=["sondage.example"])
    secret = make_key(database, "read")
    prepare(database, settings)
    with Client(create_app(settings, database), base_url="http://sondage.example") as client:
        assert client.get(f"{PROJECT}/datasets").status_code == 401
        assert client.get(f"{PROJECT}/datasets", headers=bearer(secret)).status_code == 200
        assert client.get(f"{PROJECT}/datasets", headers={"Host": "evil.example"}).status_code == 421
        behind_proxy = bearer(secret) | {"Origin": "https://sondage.example", "Host": "127.0.0.1:8000"}
        assert client.get(f"{PROJECT}/datasets", headers=behind_proxy).status_code == 200
        foreign = behind_proxy | {"Origin": "https://evil.example"}
        assert client.get(f"{PROJECT}/datasets", headers=foreign).status_code == 403


def test_what_counts_as_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "localhost"]))
    assert not any(map(is_loopback, [ANYWHERE, "::", "192.168.0.1", "example.org", ""]))
