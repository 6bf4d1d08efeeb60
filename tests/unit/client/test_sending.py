"""What is sent: sources of datasets, decisions, members of suites."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sondage import errors
from sondage.client import Client
from sondage.client.members import members_of
from tests.unit.client.answers import NOW, PROJECT, Server, dataset, job, page, problem

# ---- datasets


def test_a_file_is_sent_and_named_as_the_source(client: Client, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "my cats.npz"
    content = bytes(range(256)) * 10_000
    file.write_bytes(content)
    upload = {"id": "abc", "filename": "my cats.npz", "size_bytes": len(content), "sha256": "0"}
    server.on("POST", f"{PROJECT}/uploads", httpx.Response(201, json=upload))
    server.on("POST", f"{PROJECT}/datasets", httpx.Response(202, json=job()))
    told: list[tuple[int, int]] = []
    client.datasets.add(file, wait=False, on_upload=lambda *sent: told.append(sent), arrays={"x_train": "x"})
    sent, made = server.asked
    assert sent.url.params["filename"] == "my cats.npz"
    assert sent.content == content
    assert sent.headers["content-length"] == str(len(content))
    assert told[-1] == (len(content), len(content))
    body = json.loads(made.content)
    assert body["name"] == "my cats"
    assert body["source"]["path"] == "upload:abc"
    assert body["source"]["kind"] == "npz"
    assert body["source"]["arrays"] == {"x_train": "x"}


def test_digits_and_paths_on_the_server_are_not_sent(client: Client, server: Server) -> None:
    server.on("POST", f"{PROJECT}/datasets", httpx.Response(202, json=job()))
    client.datasets.add("digits", wait=False, noise={"share": 0.1, "seed": 3})
    client.datasets.add("/data/pets", server_path=True, wait=False)
    digits, pets = (body["source"] for body in server.bodies())
    assert digits["kind"] == "digits"
    assert digits["path"] is None
    assert digits["noise"] == {"share": 0.1, "seed": 3}
    assert (pets["kind"], pets["path"]) == ("imagefolder", "/data/pets")
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("missing.npz", {}, "no file missing.npz"),
        (".", {}, "is a folder"),
        ("digits", {"label_columns": "y"}, "label_columns"),
        ("digits", {"validation_share": 1.5}, "validation_share"),
        ("digits", {"modality": "sound"}, "modality"),
        ("/data/pets.tar", {"server_path": True}, "kind"),
    ],
)
def test_a_wrong_source_is_refused_before_anything_is_sent(
    client: Client, server: Server, source: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.InvalidInput, match=message):
        client.datasets.add(source, **options)
    assert server.asked == []


def test_adding_waits_for_the_dataset(client: Client, server: Server) -> None:
    ended = job(state="succeeded", result={"dataset_id": 7})
    server.on("POST", f"{PROJECT}/datasets", httpx.Response(202, json=job(state="queued")))
    server.on("GET", f"{PROJECT}/jobs/1", httpx.Response(200, json=job()), httpx.Response(200, json=ended))
    server.on("GET", f"{PROJECT}/datasets/7", httpx.Response(200, json=dataset(7)))
    states: list[str] = []
    made = client.datasets.add("digits", on_progress=lambda seen: states.append(seen.state))
    assert made.id == 7
    assert states == ["running", "succeeded"]


def test_decisions_are_sent_together(client: Client, server: Server) -> None:
    decided = {
        "id": 1,
        "index": 4,
        "decision": "relabel",
        "label": 2,
        "note": "",
        "reviewer": "me",
        "created_at": NOW,
    }
    server.on("POST", f"{PROJECT}/datasets/1/decisions", page(decided))
    assert client.datasets.decide(1, 4, "relabel", label=2).label == 2
    assert server.bodies() == [[{"index": 4, "decision": "relabel", "label": 2, "note": ""}]]
    with pytest.raises(errors.InvalidInput, match="decision"):
        client.datasets.decide(1, 4, "perhaps")  # type: ignore[arg-type]


# ---- suites


MEMBERS = [("a", "noisy"), ("7", "prototypical")]


def write_csv(folder: Path) -> Path:
    file = folder / "members.csv"
    file.write_bytes("﻿key,category,why\na,noisy,x\n7,prototypical,\n".encode())
    return file


def write_parquet(folder: Path) -> Path:
    pq.write_table(pa.table({"key": ["a", "7"], "category": ["noisy", "prototypical"]}), folder / "m.parquet")
    return folder / "m.parquet"


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: MEMBERS,
        lambda folder: dict(MEMBERS),
        lambda folder: ({"key": key, "category": category} for key, category in MEMBERS),
        lambda folder: pd.DataFrame(MEMBERS, columns=["key", "category"]).assign(more=1),
        lambda folder: pa.table({"category": ["noisy", "prototypical"], "key": ["a", "7"]}),
        write_csv,
        write_parquet,
    ],
    ids=["pairs", "mapping", "objects", "pandas", "arrow", "csv", "parquet"],
)
def test_members_come_from_whatever_holds_them(make: Callable[[Path], Any], tmp_path: Path) -> None:
    assert [(member.key, member.category) for member in members_of(make(tmp_path))] == MEMBERS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", b"id,category\na,noisy\n", "there is id, category"),
        ("m.csv", b"key,category\na,\n", "Member 0"),
        ("m.csv", b"key,category\n\xff\xfe,noisy\n", "UTF-8"),
        ("m.parquet", b"no parquet", "no Parquet"),
        ("m.xlsx", b"", "neither .csv nor .parquet"),
        (None, b"", "no file"),
    ],
)
def test_files_that_hold_no_members_are_refused(
    tmp_path: Path, name: str | None, content: bytes, message: str
) -> None:
    file = tmp_path / (name or "missing.csv")
    if name is not None:
        file.write_bytes(content)
    with pytest.raises(errors.InvalidInput, match=message):
        members_of(file)


def test_categories_of_ones_own_are_sent(client: Client, server: Server) -> None:
    server.on("POST", f"{PROJECT}/suites/upload", problem(409, "conflict"))
    with pytest.raises(errors.Conflict):
        client.suites.upload(MEMBERS, name="m", dataset=1, categories={"blurred": False, "other": None})
    assert server.bodies()[0]["categories"] == [
        {"name": "blurred", "wrong_label": False},
        {"name": "other", "wrong_label": None},
    ]
