"""Any request: where it goes and as whom, faults, retries, pages, names."""

from __future__ import annotations

import httpx
import pytest

from sondage import errors
from sondage.client import Client
from tests.unit.client.answers import PROJECT, Server, dataset, job, page, problem, run, tagging

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


def test_white_space_around_a_key_is_none_of_it(server: Server) -> None:
    server.on("GET", f"{PROJECT}/jobs/1", httpx.Response(200, json=job()))
    with Client(key=" secret\n", transport=httpx.MockTransport(server)) as client:
        client.jobs.get(1)
    assert server.asked[0].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize("key", ["hidd\nen", "hidden schl\u00fcssel", "hidd\x7fen", "hidd en"])
def test_a_key_of_other_signs_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(errors.InvalidInput, match="holds signs that no key has") as caught:
        Client(key=key)
    assert caught.value.field == "key"
    assert "hidd" not in str(caught.value)


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
