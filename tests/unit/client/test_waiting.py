"""Waiting for jobs, runs and taggings."""

from __future__ import annotations

import httpx
import pytest

from sondage import errors
from sondage.client import Client, jobs
from tests.unit.client.answers import PROJECT, Server, dataset, job, run, tagging


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
