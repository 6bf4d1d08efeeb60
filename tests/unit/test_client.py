"""The client against answers that a server could give: faults, retries, pages, files, waiting."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sondage import errors
from sondage.client import Client, http, jobs
from sondage.client.members import members_of

NOW = "2026-11-21T03:00:00Z"
PROJECT = "/api/v1/projects/default"
Answer = Callable[[httpx.Request], httpx.Response]


def job(number: int = 1, state: str = "running", **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "kind": "register",
        "state": state,
        "attempt": 1,
        "progress": {},
        "error": None,
        "result": None,
        "dataset_id": None,
        "run_id": None,
        "tagging_id": None,
        "abort_requested": False,
        "created_at": NOW,
        "started_at": None,
        "finished_at": None,
        **more,
    }


def dataset(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": "cats",
        "version": number,
        "fingerprint": "f",
        "modality": "image",
        "num_examples": 3,
        "class_names": ["cat", "dog"],
        "splits": {"train": 3},
        "source": {},
        "created_at": NOW,
        **more,
    }


def run(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"cats-s{number}",
        "dataset_id": 1,
        "suite_id": 1,
        "recipe": {},
        "protocol": {},
        "seed": number,
        "slot": 0,
        "num_slots": 1,
        "num_epochs": 2,
        "num_rows": 5,
        "epochs_done": 2,
        "state": "finished",
        "created_at": NOW,
        "finished_at": NOW,
        **more,
    }


def tagging(number: int = 1, state: str = "finished", **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "dataset_id": 1,
        "suite_id": 1,
        "run_ids": [1],
        "tagger": "reference",
        "parameters": {},
        "categories": [],
        "calibration": "none",
        "state": state,
        "created_at": NOW,
        "finished_at": None,
        **more,
    }


def page(*items: dict[str, Any], cursor: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"items": list(items), "next_cursor": cursor})


def problem(status: int, code: str, detail: str = "Do this.", **more: Any) -> httpx.Response:
    body = {"title": "T", "status": status, "code": code, "detail": detail, "request_id": "r-1", **more}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})


class Server:
    """Answers by path, and keeps what it was asked. A list of answers is given out one by one; the last one stays."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self._answers: dict[tuple[str, str], list[httpx.Response | Exception | Answer]] = {}

    def on(self, method: str, path: str, *answers: httpx.Response | Exception | Answer) -> None:
        self._answers[method, path] = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answers = self._answers.get((request.method, request.url.path))
        if answers is None:
            return problem(404, "not_found", f"There is nothing at {request.url.path}.")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.asked if request.method == "POST"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(http, "PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(jobs, "FIRST_PAUSE_SECONDS", 0.0)
    for name in ("SONDAGE_URL", "SONDAGE_KEY"):
        monkeypatch.delenv(name, raising=False)
    return Server()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client("http://127.0.0.1:1", transport=httpx.MockTransport(server)) as opened:
        yield opened


# ---- where and as whom


def test_address_and_key_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONDAGE_URL", "https://sondage.example/")
    monkeypatch.setenv("SONDAGE_KEY", "secret")
    server.on("GET", "/api/v1/projects/my%20own/jobs/1".replace("%20", " "), httpx.Response(200, json=job()))
    with Client(project="my own", transport=httpx.MockTransport(server)) as client:
        client.jobs.get(1)
    assert str(server.asked[0].url) == "https://sondage.example/api/v1/projects/my%20own/jobs/1"
    assert server.asked[0].headers["authorization"] == "Bearer secret"
    assert "secret" not in repr(client)


def test_without_anything_it_asks_this_machine_and_sends_no_key(server: Server) -> None:
    server.on("GET", f"{PROJECT}/jobs/1", httpx.Response(200, json=job()))
    with Client(transport=httpx.MockTransport(server)) as client:
        client.jobs.get(1)
    assert server.asked[0].url.host == "127.0.0.1"
    assert server.asked[0].url.port == 8000
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "localhost", "ftp://host", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.InvalidInput, match="no address"):
        Client(url)


# ---- faults


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "not_found", errors.NotFound),
        (409, "conflict", errors.Conflict),
        (403, "forbidden", errors.Forbidden),
        (401, "unauthenticated", errors.Forbidden),
        (413, "too_large", errors.InvalidInput),
        (400, "invalid_cursor", errors.InvalidInput),
        (422, "invalid_input", errors.InvalidInput),
        (422, "unsupported", errors.Unsupported),
        (507, "storage_full", errors.Unavailable),
        (503, "unavailable", errors.Unavailable),
        (500, "data_folder", errors.DataFolderError),
        (500, "internal_error", errors.SondageError),
        (418, "a code of a later version", errors.SondageError),
    ],
)
def test_problems_are_exceptions(
    client: Client, server: Server, status: int, code: str, expected: type[Exception]
) -> None:
    server.on("GET", f"{PROJECT}/jobs/1", problem(status, code))
    with pytest.raises(errors.SondageError, match="Do this") as caught:
        client.jobs.get(1)
    assert type(caught.value) is expected
    assert ("r-1" in str(caught.value)) == (status >= 500)


def test_wrong_rows_are_listed(client: Client, server: Server) -> None:
    rows = [{"code": "unknown_key", "message": "No such key.", "index": 4}]
    server.on("POST", f"{PROJECT}/suites/upload", problem(422, "invalid_rows", errors=rows))
    with pytest.raises(errors.InvalidRows) as caught:
        client.suites.upload({"k": "noisy"}, name="mine", dataset=1)
    assert caught.value.rows == [errors.RowError(4, "unknown_key", "No such key.")]


def test_a_wrong_field_is_named(client: Client, server: Server) -> None:
    faults = [{"code": "t", "message": "must be positive", "field": "recipe.lr"}]
    server.on("GET", f"{PROJECT}/datasets/1", httpx.Response(200, json=dataset()))
    server.on("POST", f"{PROJECT}/runs", problem(422, "invalid_input", errors=faults))
    with pytest.raises(errors.InvalidInput, match=r"recipe\.lr: must be positive") as caught:
        client.runs.start(1)
    assert caught.value.field == "recipe.lr"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>A router's own page</html>"),
        httpx.Response(200, json={"hello": "world"}),
        httpx.Response(404, text="nginx"),
        httpx.Response(301, headers={"location": "https://elsewhere.example/"}),
    ],
)
def test_another_program_on_the_port_is_told_apart(
    client: Client, server: Server, answer: httpx.Response
) -> None:
    server.on("GET", f"{PROJECT}/jobs/1", answer)
    with pytest.raises(errors.Unavailable, match="not as a Sondage server") as caught:
        client.jobs.get(1)
    assert ("elsewhere.example" in str(caught.value)) == (answer.status_code == 301)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_named_with_what_to_do() -> None:
    with Client("http://127.0.0.1:1") as client, pytest.raises(errors.Unavailable, match="make up") as caught:
        client.jobs.get(1)
    assert "SONDAGE_URL" in str(caught.value)


# ---- retries


def test_reading_is_tried_again_when_the_connection_breaks(client: Client, server: Server) -> None:
    broken = httpx.RemoteProtocolError("gone")
    server.on(
        "GET", f"{PROJECT}/jobs/1", broken, problem(503, "unavailable"), httpx.Response(200, json=job())
    )
    assert client.jobs.get(1).id == 1
    assert len(server.asked) == 3


def test_making_is_tried_again_under_the_same_key(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/datasets/1", httpx.Response(200, json=dataset()))
    created = {"runs": [run()], "jobs": [job()], "tagging": None}
    server.on("POST", f"{PROJECT}/runs", httpx.ReadError("gone"), httpx.Response(202, json=created))
    client.runs.start(1)
    keys = [request.headers["idempotency-key"] for request in server.asked if request.method == "POST"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_two_requests_have_two_keys(client: Client, server: Server) -> None:
    server.on("POST", f"{PROJECT}/taggings", httpx.Response(202, json=tagging()))
    server.on("GET", f"{PROJECT}/runs/1", httpx.Response(200, json=run()))
    for _ in range(2):
        client.taggings.create(1, wait=False)
    keys = [request.headers["idempotency-key"] for request in server.asked if request.method == "POST"]
    assert len(set(keys)) == 2


def test_deleting_is_not_tried_again_once_it_may_have_happened(client: Client, server: Server) -> None:
    server.on("DELETE", f"{PROJECT}/datasets/1", httpx.ReadError("gone"))
    with pytest.raises(errors.Unavailable, match="not known"):
        client.datasets.delete(1)
    assert len(server.asked) == 1


def test_what_never_reached_the_server_is_tried_again(client: Client, server: Server) -> None:
    deleted = httpx.Response(200, json={"kind": "dataset", "id": 1, "dependants": []})
    server.on("DELETE", f"{PROJECT}/datasets/1", httpx.ConnectError("refused"), deleted)
    assert client.datasets.delete(1).id == 1


def test_it_gives_up_after_three_attempts(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/jobs/1", httpx.ReadTimeout("slow"))
    with pytest.raises(errors.Unavailable, match="within 60 s"):
        client.jobs.get(1)
    assert len(server.asked) == 3


# ---- lists and names


def test_lists_go_on_page_by_page(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/jobs", page(job(3), job(2), cursor="next"), page(job(1)))
    assert [found.id for found in client.jobs.list(state="running")] == [3, 2, 1]
    assert dict(server.asked[1].url.params) == {"limit": "500", "cursor": "next", "state": "running"}


def test_a_limit_fetches_no_more_than_it_shows(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/jobs", page(job(3), job(2), cursor="next"))
    assert [found.id for found in client.jobs.list(limit=2)] == [3, 2]
    assert [request.url.params["limit"] for request in server.asked] == ["2"]


def test_a_name_is_its_newest_version(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/datasets", page(dataset(9, name="dogs"), dataset(7), dataset(4)))
    assert client.datasets.get("cats").id == 7
    with pytest.raises(errors.NotFound, match="no dataset 'mice'"):
        client.datasets.get("mice")


def test_a_name_of_start_is_the_runs_of_all_its_seeds(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/runs", page(run(2, slot=1), run(1), run(3, name="dogs-s3")))
    assert [found.id for found in client.runs.named("cats")] == [1, 2]
    assert [found.id for found in client.runs.named("cats-s2")] == [2]
    with pytest.raises(errors.NotFound):
        client.runs.named("mice")


def test_the_newest_tagging_is_a_finished_one(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/taggings", page(tagging(3, "running"), tagging(2), tagging(1)))
    assert client.taggings.get("latest").id == 2
    server.on("GET", f"{PROJECT}/taggings", page(tagging(3, "running")))
    assert client.taggings.get("latest").state == "running"
    server.on("GET", f"{PROJECT}/taggings", page())
    with pytest.raises(errors.NotFound, match="no tagging"):
        client.taggings.get("latest")


def test_a_tagging_is_found_by_its_runs_name(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/datasets", page())
    server.on("GET", f"{PROJECT}/runs", page(run(5, name="try-s5")))
    server.on("GET", f"{PROJECT}/taggings", page(tagging(3, run_ids=[4]), tagging(2, run_ids=[5])))
    assert client.taggings.number("try") == 2


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


# ---- waiting


def test_a_failed_job_raises_its_error(client: Client, server: Server) -> None:
    server.on(
        "GET", f"{PROJECT}/jobs/1", httpx.Response(200, json=job(state="failed", error="Row 3 has no label."))
    )
    with pytest.raises(errors.JobFailed, match="Row 3 has no label"):
        client.jobs.wait(1)


def test_an_aborted_job_raises(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/jobs/1", httpx.Response(200, json=job(state="aborted")))
    with pytest.raises(errors.JobAborted):
        client.jobs.wait(1)


def test_waiting_outlives_a_restart_of_the_server(client: Client, server: Server) -> None:
    away = [httpx.ConnectError("refused")] * 7
    server.on("GET", f"{PROJECT}/jobs/1", *away, httpx.Response(200, json=job(state="succeeded")))
    assert client.jobs.wait(1).state == "succeeded"


def test_waiting_does_not_outlive_a_server_that_stays_away(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PATIENCE_SECONDS", 0.0)
    server.on("GET", f"{PROJECT}/jobs/1", httpx.ConnectError("refused"))
    with pytest.raises(errors.Unavailable):
        client.jobs.wait(1)


def test_started_runs_wait_for_their_tagging(client: Client, server: Server) -> None:
    created = {"runs": [run(1), run(2)], "jobs": [job(1), job(2)], "tagging": tagging(1, "queued")}
    server.on("GET", f"{PROJECT}/datasets/1", httpx.Response(200, json=dataset()))
    server.on("POST", f"{PROJECT}/runs", httpx.Response(202, json=created))
    for number in (1, 2):
        ended = httpx.Response(200, json=job(number, "succeeded"))
        server.on("GET", f"{PROJECT}/jobs/{number}", httpx.Response(200, json=job(number)), ended)
        server.on("GET", f"{PROJECT}/runs/{number}", httpx.Response(200, json=run(number)))
    server.on("GET", f"{PROJECT}/jobs/3", httpx.Response(200, json=job(3, "succeeded", kind="tag")))
    waiting = httpx.Response(200, json=tagging(1, "queued"))
    server.on("GET", f"{PROJECT}/taggings/1", waiting, httpx.Response(200, json=tagging(1, job_id=3)))
    seen: set[int] = set()
    finished = client.runs.start(1, name="t").wait(on_progress=lambda found: seen.add(found.id))
    assert finished.tagging is not None
    assert finished.tagging.state == "finished"
    assert [found.state for found in finished.jobs] == ["succeeded", "succeeded"]
    assert seen == {1, 2, 3}


def test_a_tagging_that_fails_with_its_runs_raises(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/taggings/1", httpx.Response(200, json=tagging(1, "failed")))
    with pytest.raises(errors.JobFailed, match="one of its runs"):
        client.taggings.wait(1)


def test_runs_without_probes_ask_for_no_tagging(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/datasets/1", httpx.Response(200, json=dataset()))
    server.on("POST", f"{PROJECT}/runs", httpx.Response(202, json={"runs": [], "jobs": []}))
    client.runs.start(1, suite=None, seeds=[5], recipe={"num_epochs": 2})
    body = server.bodies()[0]
    assert body["suite"] is None
    assert body["tag"] is False
    assert body["seeds"] == [5]
    assert body["name"].startswith("cats-")


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


# ---- numbers


def block(values: np.ndarray[Any, Any]) -> httpx.Response:
    headers = {"X-Dtype": values.dtype.name, "X-Num-Rows": str(len(values))}
    return httpx.Response(
        200, content=values.astype(values.dtype.newbyteorder("<")).tobytes(), headers=headers
    )


@pytest.mark.parametrize(
    ("channel", "dtype"), [("loss", "float32"), ("margin", "float16"), ("predicted", "int16")]
)
def test_curves_are_put_together_from_blocks(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, channel: str, dtype: str
) -> None:
    monkeypatch.setattr("sondage.client.blocks.SHARD_ROWS", 3)
    truth = np.arange(10).reshape(5, 2).astype(dtype)
    server.on("GET", f"{PROJECT}/runs/1", httpx.Response(200, json=run()))
    for epoch in range(2):
        for shard, rows in enumerate((slice(0, 3), slice(3, 5))):
            server.on("GET", f"{PROJECT}/runs/1/curves/{channel}/{epoch}/{shard}", block(truth[rows, epoch]))
    found = client.runs.curves(1, channel)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, truth)


def test_a_block_that_is_cut_short_is_noticed(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/runs/1", httpx.Response(200, json=run(epochs_done=1)))
    server.on("GET", f"{PROJECT}/runs/1/curves/loss/0/0", block(np.zeros(4, np.float32)))
    with pytest.raises(errors.Unavailable):
        client.runs.curves(1)


def test_a_run_without_epochs_has_no_curves(client: Client, server: Server) -> None:
    server.on("GET", f"{PROJECT}/runs/1", httpx.Response(200, json=run(epochs_done=0)))
    with pytest.raises(errors.Conflict, match="no epoch"):
        client.runs.curves(1)


def test_curves_of_a_few_rows_keep_their_order(client: Client, server: Server) -> None:
    curves = [{"row": 2, "values": [1.0, None]}, {"row": 9, "values": [3.0, 4.0]}]
    body = {"run_id": 1, "channel": "loss", "epochs": 2, "curves": curves}
    server.on("GET", f"{PROJECT}/runs/1/curves/loss", httpx.Response(200, json=body))
    np.testing.assert_array_equal(client.runs.curve(1, [9, 2]), [[3, 4], [1, np.nan]])
    assert server.asked[0].url.params["rows"] == "9,2"


def test_scores_are_float32_with_nan(client: Client, server: Server) -> None:
    truth = np.array([0.5, np.nan, -1], np.float32)
    server.on("GET", f"{PROJECT}/scores/4/values", block(truth))
    np.testing.assert_array_equal(client.scores.values(4), truth)


# ---- tags as files


def test_a_file_replaces_what_was_there(client: Client, server: Server, tmp_path: Path) -> None:
    server.on("GET", f"{PROJECT}/taggings/1/tags/export", httpx.Response(200, content=b"index\n1\n"))
    file = tmp_path / "tags.csv"
    file.write_text("old")
    assert client.tags(1, tag="noisy", limit=5).export(file) == file
    assert file.read_bytes() == b"index\n1\n"
    assert dict(server.asked[0].url.params) == {
        "tag": "noisy",
        "order_by": "suspicion",
        "limit": "5",
        "format": "csv",
    }


def test_a_download_that_breaks_off_leaves_what_was_there(
    client: Client, server: Server, tmp_path: Path
) -> None:
    def break_off(request: httpx.Request) -> httpx.Response:
        def pieces() -> Iterator[bytes]:
            yield b"index\n"
            raise httpx.ReadError("gone")

        return httpx.Response(200, content=pieces())

    server.on("GET", f"{PROJECT}/taggings/1/tags/export", break_off)
    file = tmp_path / "tags.csv"
    file.write_text("old")
    with pytest.raises(errors.Unavailable, match="broke off"):
        client.tags(1).export(file)
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["tags.csv"]


def test_a_fault_while_exporting_is_an_exception(client: Client, server: Server, tmp_path: Path) -> None:
    server.on("GET", f"{PROJECT}/taggings/1/tags/export", problem(409, "conflict", "Not finished."))
    with pytest.raises(errors.Conflict, match="Not finished"):
        client.tags(1).export(tmp_path / "tags.csv")
    assert list(tmp_path.iterdir()) == []


def test_tags_become_tables(client: Client, server: Server, tmp_path: Path) -> None:
    table = pa.table({"index": [3, 1], "tag": ["noisy", "ood"]})
    pq.write_table(table, tmp_path / "t.parquet")
    answer = httpx.Response(200, content=(tmp_path / "t.parquet").read_bytes())
    server.on("GET", f"{PROJECT}/taggings/1/tags/export", answer)
    assert client.tags(1).to_arrow().equals(table)
    assert client.tags(1).to_pandas()["index"].tolist() == [3, 1]


def test_compressed_answers_are_read(client: Client, server: Server, tmp_path: Path) -> None:
    packed = httpx.Response(200, content=gzip.compress(b"index\n"), headers={"Content-Encoding": "gzip"})
    server.on("GET", f"{PROJECT}/taggings/1/tags/export", lambda request: packed)
    assert client.tags(1).export(tmp_path / "tags.csv").read_bytes() == b"index\n"


@pytest.mark.parametrize(("name", "format"), [("tags.xlsx", None), ("tags.csv", "xml")])
def test_formats_that_there_are_not_are_refused(
    client: Client, server: Server, tmp_path: Path, name: str, format: str | None
) -> None:
    with pytest.raises(errors.InvalidInput, match=r"csv"):
        client.tags(1).export(tmp_path / name, format)
    assert server.asked == []


def test_tables_without_pyarrow_say_what_to_install(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"pip install 'sondage\[cli\]'"):
        client.tags(1).to_arrow()
