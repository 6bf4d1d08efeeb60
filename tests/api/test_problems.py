"""Errors as problems, request numbers, safe headers, limits, health."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from app import errors
from app.errors import STATUS
from app.main import create_app, prepare
from sondage import errors as sondage_errors
from store import datasets
from store.engine import Database, make_engine, transaction
from tests.api.worlds import BASE, Client, World, make_settings
from tests.rows import FILL_DISK

URL = "/api/v1/projects/default"


def problem_of(response: object, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.text  # type: ignore[attr-defined]
    assert response.headers["content-type"] == "application/problem+json"  # type: ignore[attr-defined]
    body = response.json()  # type: ignore[attr-defined]
    assert set(body) == {"type", "title", "status", "code", "detail", "errors", "request_id"}
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == response.headers["x-request-id"]  # type: ignore[attr-defined]
    return dict(body)


def test_fastapis_own_errors_are_problems_too(read_world: World) -> None:
    client = read_world.client
    body = problem_of(client.get(f"{URL}/datasets?limit=0"), 422, "invalid_input")
    assert [fault["field"] for fault in body["errors"]] == ["limit"]  # type: ignore[attr-defined]
    body = problem_of(
        client.post(f"{URL}/datasets", json={"name": "x", "source": {"kind": "zip"}}), 422, "invalid_input"
    )
    assert body["errors"][0]["field"] == "source.kind"  # type: ignore[index]
    problem_of(
        client.post(f"{URL}/datasets", content=b"{", headers={"Content-Type": "application/json"}),
        422,
        "invalid_input",
    )
    problem_of(client.get("/api/v1/nothing"), 404, "not_found")
    problem_of(client.get("/api/other"), 404, "not_found")
    body = problem_of(client.put(f"{URL}/datasets"), 405, "method_not_allowed")
    assert "GET" in str(body["detail"])


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"name": "\xff"}', b"\x00"])
def test_bodies_that_cannot_be_parsed(read_world: World, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for path in ("/datasets", "/suites/upload", f"/datasets/{read_world.dataset}/decisions"):
        response = read_world.client.post(URL + path, content=content, headers=headers)
        problem_of(response, 422, "invalid_input")


def test_an_unknown_field_is_named(read_world: World) -> None:
    body = read_world.post(
        "/datasets", 422, json={"name": "x", "source": {"kind": "digits", "lable_column": "y"}}
    )
    assert body["errors"][0]["field"] == "source.lable_column"


def test_numbers_that_no_table_holds(read_world: World) -> None:
    for path in (f"/datasets/{2**63}", "/datasets/0", "/datasets/x", f"/runs?dataset_id={2**70}"):
        problem_of(read_world.client.get(URL + path), 422, "invalid_input")


def test_a_nul_character_is_refused_not_a_fault(read_world: World) -> None:
    problem_of(read_world.client.get(f"{URL}/datasets", params={"name": "a\0b"}), 422, "invalid_input")


def test_the_callers_request_number_is_kept_when_it_is_harmless(read_world: World) -> None:
    asked = read_world.client.get("/api/v1/health", headers={"X-Request-ID": "abc-1.2_3"})
    assert asked.headers["x-request-id"] == "abc-1.2_3"
    made = read_world.client.get("/api/v1/health", headers={"X-Request-ID": "a b\tc"})
    assert uuid.UUID(hex=made.headers["x-request-id"])


def test_every_answer_has_safe_headers(read_world: World) -> None:
    for path in ("/", "/api/v1/health", f"{URL}/datasets/99"):
        headers = read_world.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["x-frame-options"] == "DENY"


def test_a_fault_of_ours_is_logged_and_not_shown(
    empty: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise ZeroDivisionError("secret inside")

    monkeypatch.setattr(datasets, "listed", fail)
    with caplog.at_level(logging.ERROR, "app"):
        body = problem_of(empty.client.get(f"{URL}/datasets"), 500, "internal_error")
    assert "secret" not in str(body)
    assert str(body["request_id"]) in caplog.text
    assert "secret inside" in caplog.text


def test_a_fault_undoes_the_transaction(empty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from store import jobs

    def fail(*args: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(jobs, "tell_workers", fail)
    empty.post("/datasets", 500, json={"name": "d", "source": {"kind": "digits"}})
    assert empty.get("/jobs")["items"] == []


def test_a_body_that_is_too_large(tmp_path: Path, database: Database) -> None:
    settings = make_settings(tmp_path, max_body_bytes=1000, max_upload_bytes=2000)
    prepare(database, settings)
    with Client(create_app(settings, database), base_url=BASE) as client:
        announced = client.post(f"{URL}/datasets", content=b"x" * 1001)
        problem_of(announced, 413, "too_large")
        streamed = client.post(f"{URL}/datasets", content=(b"x" * 100 for _ in range(11)))
        problem_of(streamed, 413, "too_large")
        assert client.post(f"{URL}/uploads?filename=a", content=b"x" * 1001).status_code == 201
        problem_of(client.post(f"{URL}/uploads?filename=a", content=b"x" * 2001), 413, "too_large")
        chunks = (b"x" * 100 for _ in range(21))
        problem_of(client.post(f"{URL}/uploads?filename=a", content=chunks), 413, "too_large")
        assert len(list((tmp_path / "uploads").iterdir())) == 1


def test_a_database_that_is_away(empty: World) -> None:
    away = Database(make_engine("postgresql://nobody@127.0.0.1:1/none"))
    with TestClient(create_app(empty.settings, away), base_url=BASE) as client:
        response = client.get(f"{URL}/datasets")
        problem_of(response, 503, "unavailable")
        assert response.headers["retry-after"] == "2"
        health = client.get("/api/v1/health")
        assert (health.status_code, health.json()["database"]) == (503, "unreachable")
    away.close()


def test_a_database_without_its_schema(empty: World) -> None:
    with transaction(empty.database.engine) as session:
        session.execute(text("DELETE FROM alembic_version"))
    health = empty.client.get("/api/v1/health")
    assert (health.status_code, health.json()["database"]) == (503, "not_migrated")


def test_health(empty: World) -> None:
    body = empty.client.get("/api/v1/health").json()
    assert (body["status"], body["database"], body["worker_seen_at"]) == ("ok", "ok", None)
    with transaction(empty.database.engine) as session:
        session.execute(
            text("INSERT INTO procrastinate.procrastinate_workers (last_heartbeat) VALUES (now())")
        )
    assert empty.client.get("/api/v1/health").json()["worker_seen_at"] is not None


def test_every_error_has_a_status() -> None:
    ours = [
        one
        for module in (sondage_errors, errors)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, sondage_errors.SondageError)
    ]
    for kind in ours:
        assert any(parent in STATUS for parent in kind.__mro__) or kind is sondage_errors.SondageError


def test_a_full_disk_of_the_database_asks_for_room(empty: World) -> None:
    with transaction(empty.database.engine) as session:
        session.execute(text(FILL_DISK.format(table="suites")))
    client = TestClient(empty.client.app, base_url=BASE)
    answer = client.post(f"{URL}/suites", json={"name": "mine"})
    body = problem_of(answer, 507, "storage_full")
    assert "disk is full" in str(body["detail"])
