"""Who may record: versions of the protocol, keys and their scopes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.main import create_app, prepare
from app.recording.blocks import MAX_BYTES
from app.recording.bodies import received
from store import keys, projects
from store.engine import Database, transaction
from store.tables import CurveBlock, Run
from tests.api.recorders import ARROW, NUM, OCTETS, losses, recorder, some_dataset
from tests.api.worlds import BASE, Client, World, make_settings


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ("0.1.0; protocol=1", 201, None),
        (None, 201, None),
        ("9.0.0; protocol=2", 426, "client_too_new"),
        ("0.0.1;protocol=0", 426, "client_too_old"),
        ("curl", 422, "invalid_input"),
    ],
)
def test_versions_meet(empty: World, header: str | None, status: int, code: str | None) -> None:
    dataset = some_dataset(empty)
    body = {"name": "r", "dataset_id": dataset["id"], "num_rows": NUM, "channels": {"loss": "float32"}}
    headers = {} if header is None else {"Sondage-Client": header}
    response = empty.client.post(empty.url + "/runs/recorded", json=body, headers=headers)
    assert response.status_code == status
    if status != 422:
        assert response.headers["Sondage-Protocol"] == "1"
    if code is not None:
        assert response.json()["code"] == code
        assert empty.get("/runs")["items"] == []


@pytest.fixture
def guarded(tmp_path: Path, database: Database) -> Iterator[World]:
    """A server that demands keys."""
    settings = make_settings(tmp_path / "data", host="0.0.0.0")  # noqa: S104  # nothing is bound
    with transaction(database.engine) as session:
        keys.create(session, name="op", scopes=["admin"], project_id=None)
    prepare(database, settings)
    with Client(create_app(settings, database), base_url=BASE) as client:
        yield World(client, database, settings)


def test_recording_takes_a_living_key_with_its_scope(guarded: World) -> None:
    with transaction(guarded.database.engine) as session:
        project = projects.by_name(session, name="default").id
        recording = keys.create(session, name="r", scopes=["record"], project_id=project)
        reading = keys.create(session, name="q", scopes=["read"], project_id=project)
    guarded.client.headers["Authorization"] = f"Bearer {recording.secret}"
    run = recorder(guarded)
    run.put_all(0)
    guarded.client.headers["Authorization"] = f"Bearer {reading.secret}"
    assert run.put(losses(NUM, 0), "loss", 0).json()["code"] == "forbidden"
    run.close(0, status=403)
    with transaction(guarded.database.engine) as session:
        keys.revoke(session, key_id=recording.key.id)
    guarded.client.headers["Authorization"] = f"Bearer {recording.secret}"
    assert run.put(losses(NUM, 0), "loss", 0).status_code == 401
    run.close(0, status=401)


def test_a_key_of_another_project_writes_nothing(guarded: World) -> None:
    with transaction(guarded.database.engine) as session:
        mine = projects.by_name(session, name="default").id
        other = projects.create(session, name="other").id
        theirs = keys.create(session, name="t", scopes=["record", "read"], project_id=other)
        key = keys.create(session, name="r", scopes=["record", "read"], project_id=mine)
    guarded.client.headers["Authorization"] = f"Bearer {key.secret}"
    run = recorder(guarded)
    guarded.client.headers["Authorization"] = f"Bearer {theirs.secret}"
    for url in (run.url, run.url.replace("/projects/default/", "/projects/other/")):
        elsewhere, body = guarded.client, losses(NUM, 0).tobytes()
        answers = [
            elsewhere.put(f"{url}/curves/loss/0/0", content=body, headers=OCTETS),
            elsewhere.post(f"{url}/epochs/0", json={}),
            elsewhere.put(f"{url}/probes", json=[]),
            elsewhere.post(f"{url}/records", content=b"x", headers=ARROW),
            elsewhere.post(f"{url}/finish", json={}),
            elsewhere.post(f"{url}/reopen"),
            elsewhere.get(f"{url}/recording"),
        ]
        assert [answer.status_code for answer in answers] == [404] * len(answers), url
    with transaction(guarded.database.engine) as session:
        assert session.query(CurveBlock).count() == 0
        assert session.get_one(Run, run.id).state == "running"


def test_the_key_comes_before_the_body(guarded: World, bodies_read: list[int]) -> None:
    """Nothing of a body is read for who may not send it, and never more than a block holds."""
    with transaction(guarded.database.engine) as session:
        project = projects.by_name(session, name="default").id
        recording = keys.create(session, name="r", scopes=["record"], project_id=project)
    guarded.client.headers["Authorization"] = f"Bearer {recording.secret}"
    run = recorder(guarded)
    large = bytes(MAX_BYTES + 1)
    assert run.put(np.frombuffer(large, np.int8), "loss", 0).json()["errors"][0]["field"] == "body"
    assert bodies_read == [MAX_BYTES]
    guarded.client.headers["Authorization"] = "Bearer nothing"
    assert run.put(np.frombuffer(large, np.int8), "loss", 0).status_code == 401
    assert bodies_read == [MAX_BYTES], "not read"


def test_a_block_asks_for_its_key_once(guarded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction(guarded.database.engine) as session:
        project = projects.by_name(session, name="default").id
        recording = keys.create(session, name="r", scopes=["record"], project_id=project)
    guarded.client.headers["Authorization"] = f"Bearer {recording.secret}"
    run, looked_up = recorder(guarded), []
    find = keys.find
    monkeypatch.setattr(keys, "find", lambda *given, **named: looked_up.append(1) or find(*given, **named))
    assert run.put(losses(NUM, 0), "loss", 0).status_code == 200
    assert len(looked_up) == 1


@pytest.fixture
def bodies_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Limits of the bodies that are read."""
    read: list[int] = []

    async def noted(request: Any, *, max_bytes: int) -> bytes:
        read.append(max_bytes)
        return await received(request, max_bytes=max_bytes)

    monkeypatch.setattr("app.api.recording.received", noted)
    return read
