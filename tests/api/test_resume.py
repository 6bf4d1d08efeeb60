"""Runs that failed or were aborted are gone on with; others are not."""

from __future__ import annotations

from typing import Any

from store import jobs
from store.engine import transaction
from tests.api.worlds import World


def start(world: World) -> Any:
    body = {"name": "again", "dataset_id": world.dataset, "seeds": [0], "tag": True}
    return world.post("/runs", 202, json=body)


def test_an_aborted_run_is_resumed(world: World) -> None:
    made = start(world)
    run = made["runs"][0]["id"]
    world.post(f"/runs/{run}/abort", 200)
    job = world.post(f"/runs/{run}/resume", 200)
    assert (job["id"], job["state"], job["abort_requested"]) == (made["jobs"][0]["id"], "queued", False)
    again = world.get(f"/runs/{run}")
    assert (again["state"], again["finished_at"]) == ("queued", None)
    assert world.get(f"/taggings/{made['tagging']['id']}")["state"] == "aborted"


def test_a_failed_run_is_resumed_without_its_error(world: World) -> None:
    made = start(world)
    job_id = made["jobs"][0]["id"]
    with transaction(world.database.engine) as session:
        jobs.take(session, job_id=job_id, worker="w")
        jobs.fail(session, job_id=job_id, attempt=1, error="the disk was full")
    job = world.post(f"/runs/{made['runs'][0]['id']}/resume", 200)
    assert (job["state"], job["error"], job["finished_at"]) == ("queued", None, None)
    with transaction(world.database.engine) as session:
        taken = jobs.take(session, job_id=job_id, worker="w")
        assert taken is not None
        assert taken.attempt == 2


def test_other_runs_are_not(world: World) -> None:
    made = start(world)
    problem = world.post(f"/runs/{made['runs'][0]['id']}/resume", 409)
    assert problem["code"] == "conflict"
    assert "queued" in problem["detail"]
    assert "no job" in world.post(f"/runs/{world.runs[0]}/resume", 409)["detail"]
    world.post("/runs/999/resume", 404)
