"""Taggings: asked for, waiting, refused; the report."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from store import datasets, projects, runs, suites
from store.engine import transaction
from tests.api.worlds import World, add_dataset, add_run, queued_run


def test_a_tagging_of_finished_runs_begins_at_once(world: World) -> None:
    response = world.client.post(world.url + "/taggings", json={"run_ids": world.runs[::-1], "k": 7})
    assert response.status_code == 202
    made = response.json()
    assert (made["state"], made["run_ids"], made["suite_id"]) == (
        "queued",
        list(world.runs[::-1]),
        world.suite,
    )
    assert made["parameters"] == {"k": 7}
    assert response.headers["location"] == f"{world.url}/jobs/{made['job_id']}"
    job = world.get(f"/jobs/{made['job_id']}")
    assert (job["kind"], job["tagging_id"]) == ("tag", made["id"])


def test_a_tagging_of_a_run_that_is_going_on_waits(world: World) -> None:
    started = world.post(
        "/runs", 202, json={"name": "new", "dataset_id": world.dataset, "seeds": [0], "tag": False}
    )
    response = world.client.post(world.url + "/taggings", json={"run_ids": [started["runs"][0]["id"]]})
    made = response.json()
    assert (made["state"], made["job_id"]) == ("queued", None)
    assert response.headers["location"] == f"{world.url}/taggings/{made['id']}"


def test_it_takes_effect_once(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    body = {"run_ids": list(world.runs)}
    assert world.post("/taggings", 202, json=body, headers=key) == world.post(
        "/taggings", 202, json=body, headers=key
    )
    assert len(world.get("/taggings")["items"]) == 2


def test_known_examples_work_on_runs_that_are_recorded(world: World) -> None:
    rows = [{"key": f"k{index}", "category": "noisy" if index % 2 else "ood"} for index in range(20)]
    known = world.post(
        "/suites/upload", 201, json={"name": "known", "dataset_id": world.dataset, "members": rows}
    )
    made = world.post("/taggings", 202, json={"run_ids": list(world.runs), "suite_id": known["id"]})
    assert made["suite_id"] == known["id"]
    assert made["job_id"] is not None


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"run_ids": []}, 422, "run_ids"),
        ({"run_ids": [1, 1]}, 422, "run_ids"),
        ({"run_ids": [999]}, 404, None),
        ({"run_ids": [1], "suite_id": 999}, 404, None),
        ({"run_ids": [1], "k": 0}, 422, "k"),
        ({"run_ids": [1], "tagger": "other"}, 422, "tagger"),
        ({"run_ids": [1], "kk": 3}, 422, "kk"),
    ],
)
def test_wrong_requests(read_world: World, body: dict[str, Any], status: int, field: str | None) -> None:
    refused = read_world.post("/taggings", status, json=body)
    assert field is None or refused["errors"][0]["field"] == field


def test_suites_that_do_not_fit_the_runs(world: World) -> None:
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        first = datasets.get(session, project_id=project.id, dataset_id=world.dataset)
        other = add_dataset(session, project, "other", "image", ["a", "b"], ["train", "train"])
        foreign = queued_run(
            session, other, suites.get(session, project_id=project.id, suite_id=world.suite), "f"
        ).id
        bare = queued_run(session, first, None, "bare").id
        mine = suites.add(session, project_id=project.id, name="mine", digest="d", definition={}).id
        elsewhere = suites.add(
            session, project_id=project.id, name="known", digest="e", definition={}, dataset_id=other.id
        ).id
    run = world.runs[0]
    for body, field in (
        ({"run_ids": [run, foreign]}, "run_ids"),
        ({"run_ids": [run, bare]}, "suite_id"),
        ({"run_ids": [bare]}, "suite_id"),
        ({"run_ids": [run], "suite_id": mine}, "suite_id"),
        ({"run_ids": [run], "suite_id": elsewhere}, "suite_id"),
        ({"run_ids": [bare], "suite_id": mine}, "suite_id"),
    ):
        assert world.post("/taggings", 422, json=body)["errors"][0]["field"] == field
    assert len(world.get("/taggings")["items"]) == 1


def test_probes_planted_by_the_users_own_program_need_no_suite_in_the_run(world: World) -> None:
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        dataset = datasets.get(session, project_id=project.id, dataset_id=world.dataset)
        recorded = add_run(session, dataset, None, 2).id
    made = world.post("/taggings", 202, json={"run_ids": [recorded], "suite_id": world.suite})
    assert (made["suite_id"], made["state"]) == (world.suite, "queued")


@pytest.mark.parametrize("state", ["failed", "aborted"])
def test_a_run_that_ended_badly_cannot_be_tagged(world: World, state: str) -> None:
    with transaction(world.database.engine) as session:
        runs.set_state(session, run_id=world.runs[0], state=state)
    assert state in world.post("/taggings", 409, json={"run_ids": list(world.runs)})["detail"]
    assert len(world.get("/taggings")["items"]) == 1


def test_lists(read_world: World) -> None:
    assert [one["id"] for one in read_world.get("/taggings")["items"]] == [read_world.tagging]
    assert len(read_world.get(f"/taggings?run_id={read_world.runs[1]}")["items"]) == 1
    assert read_world.get("/taggings?run_id=999")["items"] == []
    assert read_world.get("/taggings?dataset_id=999")["items"] == []
    one = read_world.get(f"/taggings/{read_world.tagging}")
    assert (one["categories"], one["run_ids"]) == (["prototypical", "noisy"], list(read_world.runs))
    read_world.get("/taggings/999", 404)


def test_the_report(read_world: World) -> None:
    body = read_world.get(f"/taggings/{read_world.tagging}/report")
    assert body == {"tagging_id": read_world.tagging, "report": {"accuracy": 0.75}}
    read_world.get("/taggings/999/report", 404)


@pytest.mark.parametrize(
    "path", ["/report", "/tags", "/tags/0", "/facets", "/tags/export", "/tags/0/explanation"]
)
def test_before_it_has_finished_there_is_nothing_to_see(world: World, path: str) -> None:
    made = world.post("/taggings", 202, json={"run_ids": list(world.runs)})
    assert "queued" in world.get(f"/taggings/{made['id']}{path}", 409)["detail"]
    with transaction(world.database.engine) as session:
        session.execute(text("UPDATE taggings SET state = 'failed' WHERE id = :id"), {"id": made["id"]})
    assert "failed" in world.get(f"/taggings/{made['id']}{path}", 409)["detail"]


def test_deleting_a_tagging_leaves_the_runs_and_their_scores(world: World) -> None:
    assert world.delete(f"/taggings/{world.tagging}")["dependants"] == []
    world.get(f"/taggings/{world.tagging}", 404)
    assert len(world.get("/runs")["items"]) == 2
    assert len(world.get("/scores")["items"]) == 2
    world.delete(f"/taggings/{world.tagging}", 404)


def test_a_run_beside_others_of_the_same_dataset(world: World) -> None:
    with transaction(world.database.engine) as session:
        dataset = datasets.get(session, project_id=1, dataset_id=world.dataset)
        third = add_run(session, dataset, suites.get(session, project_id=1, suite_id=world.suite), 2).id
    made = world.post("/taggings", 202, json={"run_ids": [third]})
    assert made["run_ids"] == [third]
