"""Recorded runs as a whole: begun, resumed, finished, reopened, tagged, deleted, with their probes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from store import projects, suites
from store.engine import transaction
from store.tables import CurvePart, Dataset, EpochPart, Job, Run, SuiteMember, Tagging
from tests.api.recorders import CHANNELS, NUM, OCTETS, Recorder, begin, losses, recorder, some_dataset
from tests.api.worlds import World

# ---- begin, resume, finish, reopen


def test_a_name_is_taken_once(empty: World) -> None:
    run = recorder(empty)
    problem = begin(empty, status=409, **run.body)
    assert problem["code"] == "run_differs"
    assert "resume" in problem["detail"]
    differing = begin(empty, status=409, **run.body | {"resume": True, "channels": {"loss": "float32"}})
    assert "channels" in differing["detail"]
    assert "dataset_id" not in differing["detail"]


def test_resuming_goes_on_behind_the_last_closed_epoch(empty: World) -> None:
    run = recorder(empty, session="one")
    for epoch in range(2):
        run.put_all(epoch)
        run.close(epoch)
    run.put_all(2, offset=9.0)
    found = begin(empty, status=200, **run.body | {"resume": True, "session": "two"})
    assert (found["run"]["id"], found["next_epoch"], found["closed_epochs"]) == (run.id, 2, [0, 1])
    assert run.close(2, status=422)["code"] == "incomplete_epoch", "what the killed process had sent is gone"
    run.put_all(2)
    run.close(2)
    assert run.curves(rows=[1])[0] == [1.0, 1.25, 1.5]


def test_the_same_process_may_ask_again(empty: World) -> None:
    run = recorder(empty, session="one", world_size=2)
    run.put_all(0, rank=0, rows=[0])
    run.close(0, rank=0)
    for resume in (False, True):
        found = begin(empty, status=200, **run.body | {"resume": resume})
        assert found["waiting_for"] == {"0": [1]}
    run.put_all(0, rank=1, rows=[1])
    assert run.close(0, rank=1)["closed"]


def test_a_restart_between_parts_and_close_trains_the_epoch_again(empty: World) -> None:
    run = recorder(empty, session="one", world_size=2)
    run.put_all(0, rank=1, rows=[1], offset=7.0)
    run.close(0, rank=1)
    begin(empty, status=200, **run.body | {"resume": True, "session": "two"})
    assert run.recording()["waiting_for"] == {}
    with transaction(empty.database.engine) as session:
        assert (session.query(CurvePart).count(), session.query(EpochPart).count()) == (0, 0)
    for rank in range(2):
        run.put_all(0, rank=rank, rows=[rank])
        run.close(0, rank=rank)
    assert run.curves(rows=[0, 1]) == [[0.0], [1.0]]


def test_another_number_of_ranks_may_go_on(empty: World) -> None:
    run = recorder(empty, world_size=2)
    found = begin(empty, status=200, **run.body | {"resume": True, "world_size": 1})
    assert found["world_size"] == 1
    run.put_all(0)
    assert run.close(0)["closed"]


def test_two_begin_at_once(empty: World) -> None:
    dataset = some_dataset(empty)
    body = {
        "name": "r",
        "dataset_id": dataset["id"],
        "num_rows": NUM,
        "channels": {"loss": "float32"},
        "session": "x",
    }
    with ThreadPoolExecutor(4) as pool:
        url = empty.url + "/runs/recorded"
        answers = list(pool.map(lambda _: empty.client.post(url, json=body), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["run"]["id"] for answer in answers}) == 1


def test_a_resumed_run_is_running_again(empty: World) -> None:
    run = recorder(empty)
    run.post("finish", state="failed", message="out of memory")
    assert run.recording()["message"] == "out of memory"
    assert run.post("finish", state="failed")["state"] == "failed", "asked again, nothing happens"
    assert run.post("finish", status=409)["code"] == "run_closed"
    found = begin(empty, status=200, **run.body | {"resume": True})
    assert (found["run"]["state"], found["run"]["finished_at"]) == ("running", None)


def test_reopening(empty: World) -> None:
    run = recorder(empty)
    run.put_all(0)
    run.close(0)
    run.post("finish")
    assert run.put(losses(NUM, 1), "loss", 1).json()["code"] == "run_closed"
    assert run.close(1, status=409)["code"] == "run_closed"
    assert run.post("reopen")["run"]["state"] == "running"
    run.put_all(1)
    assert run.close(1)["closed"]


def test_aborting_closes_a_recorded_run(empty: World) -> None:
    run = recorder(empty)
    run.put_all(0)
    run.close(0)
    run.put_all(1)
    answer = empty.post(f"/runs/{run.id}/abort", 200)
    assert answer["job"] is None
    assert (answer["run"]["state"], answer["run"]["recorded"]) == ("aborted", True)
    assert answer["run"]["finished_at"] is not None
    assert answer["run"] == empty.get(f"/runs/{run.id}")
    assert run.recording()["closed_epochs"] == [0], "what has closed stays, what was under way goes"
    assert run.recording()["message"] == "It was aborted on the server."
    refused = run.put(np.zeros(NUM, np.float32), "loss", 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "run_closed")
    assert f"sondage run reopen {run.id}" in refused.json()["detail"]
    assert run.close(1, status=409)["code"] == "run_closed"
    assert run.post("finish", status=409)["code"] == "run_closed"
    assert empty.post(f"/runs/{run.id}/abort", 200)["run"] == answer["run"], "asked again, nothing happens"
    run.post("reopen")
    run.put_all(1)
    assert run.close(1)["closed"]
    run.post("finish")
    assert empty.post(f"/runs/{run.id}/abort", 200)["run"]["state"] == "finished", (
        "an ended one stays as it is"
    )


def test_aborting_closes_what_some_ranks_have_sent_whole(empty: World) -> None:
    run = recorder(empty, world_size=2)
    run.put_all(0, rank=0, rows=[0, 1])
    run.close(0, rank=0)
    run.put_all(1, rank=1)
    empty.post(f"/runs/{run.id}/abort", 200)
    assert run.epochs()[0]["missing_ranks"] == [1]
    assert list(run.epochs()) == [0]


def test_what_was_not_closed_is_dropped_at_the_end(empty: World) -> None:
    run = recorder(empty)
    run.put_all(0)
    run.post("finish")
    run.post("reopen")
    assert run.close(0, status=422)["code"] == "incomplete_epoch"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"num_rows": NUM - 1}, 422),
        ({"num_rows": NUM + 2_000_000}, 422),
        ({"channels": {}}, 422),
        ({"channels": {"Loss": "float32"}}, 422),
        ({"channels": {"loss": "float64"}}, 422),
        ({"world_size": 0}, 422),
        ({"world_size": 4_097}, 422),
        ({"channels": {"loss": "int8"}}, 422),
        ({"channels": {"margin": "int32"}}, 422),
        ({"channels": {"predicted": "float16"}}, 422),
        ({"channels": {"count": "float32"}}, 422),
        ({"num_epochs": 0}, 422),
        ({"dataset_id": 99}, 404),
        ({"suite_id": 99}, 404),
        ({"lr": 0.1}, 422),
    ],
)
def test_wrong_announcements(empty: World, options: dict[str, Any], status: int) -> None:
    body = {
        "name": "r",
        "dataset_id": some_dataset(empty)["id"],
        "num_rows": NUM,
        "channels": {"loss": "float32"},
    }
    begin(empty, status=status, **body | options)
    assert empty.get("/runs")["items"] == []


def test_runs_of_jobs_are_not_recorded_into(world: World) -> None:
    run = world.runs[0]
    body = {"name": "run-s0", "dataset_id": world.dataset, "num_rows": 40, "channels": {"loss": "float32"}}
    assert "trained by a job" in begin(world, status=409, **body, resume=True)["detail"]
    url = f"{world.url}/runs/{run}"
    put = world.client.put(f"{url}/curves/loss/9/0", content=b"", headers=OCTETS)
    assert put.status_code == 409
    assert world.client.post(f"{url}/finish", json={}).status_code == 409
    assert world.client.get(f"{url}/recording").status_code == 404
    assert world.client.put(f"{world.url}/runs/99/curves/loss/0/0", content=b"").status_code == 404


def test_a_run_that_records_can_be_deleted_with_all_it_has(empty: World) -> None:
    run = recorder(empty, world_size=2)
    run.put_all(0, rank=0, rows=[0])
    run.close(0, rank=0)
    empty.delete(f"/runs/{run.id}")
    with transaction(empty.database.engine) as session:
        assert (
            session.query(CurvePart).count(),
            session.query(EpochPart).count(),
            session.query(Run).count(),
        ) == (0, 0, 0)
        assert session.query(Dataset).count() == 1
    assert run.put(losses(NUM, 0), "loss", 0).status_code == 404


# ---- taggings


def _known(world: World, run: Recorder) -> int:
    """An uploaded suite of the run's dataset."""
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        members = [(at, "noisy" if at % 2 else "prototypical", "fit") for at in range(6)]
        suite = suites.add(
            session,
            project_id=project.id,
            name="known",
            digest="d",
            definition={},
            dataset_id=run.body["dataset_id"],
            members=members,
        )
        assert session.query(SuiteMember).count() == 6
        return suite.id


def test_finishing_wakes_the_taggings_that_wait(empty: World) -> None:
    run = recorder(empty)
    body = {"run_ids": [run.id], "suite_id": _known(empty, run)}
    tagging = empty.post("/taggings", 202, json=body)
    assert tagging["job_id"] is None
    run.put_all(0)
    run.close(0)
    run.post("finish")
    woken = empty.get(f"/taggings/{tagging['id']}")
    assert woken["job_id"] is not None
    problem = run.post("reopen", status=409)
    assert f"Tagging {tagging['id']}" in problem["detail"]
    assert "Tagging" in begin(empty, status=409, **run.body | {"resume": True})["detail"]
    run.post("finish")
    with transaction(empty.database.engine) as session:
        assert session.query(Job).filter(Job.kind == "tag").count() == 1


def test_a_failed_training_ends_the_taggings_that_wait(empty: World) -> None:
    run = recorder(empty)
    tagging = empty.post("/taggings", 202, json={"run_ids": [run.id], "suite_id": _known(empty, run)})
    run.post("finish", state="aborted")
    with transaction(empty.database.engine) as session:
        assert session.get_one(Tagging, tagging["id"]).state == "aborted"


def test_two_runs_of_one_tagging_finish_at_once(empty: World) -> None:
    first, second = recorder(empty), recorder(empty, name="s")
    body = {"run_ids": [first.id, second.id], "suite_id": _known(empty, first)}
    tagging = empty.post("/taggings", 202, json=body)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda run: run.post("finish"), (first, second)))
    assert empty.get(f"/taggings/{tagging['id']}")["job_id"] is not None


# ---- probes


def _probe(row: int, source: int, label: int = 1, **other: Any) -> dict[str, Any]:
    usual = {"category": "noisy", "role": "fit", "generator": "flip"}
    return {"row": row, "source_row": source, "label": label, **usual, **other}


def test_probes_are_named_before_the_first_epoch_closes(empty: World) -> None:
    dataset = some_dataset(empty)
    body = {"name": "r", "dataset_id": dataset["id"], "num_rows": NUM + 2, "channels": {"loss": "float32"}}
    run = Recorder(empty, begin(empty, **body)["run"]["id"], body)
    run.put(losses(NUM + 2, 0), "loss", 0)
    assert "probes" in run.close(0, status=422)["detail"]
    given = [
        _probe(NUM, 0),
        _probe(NUM + 1, 4, category="ood", role="held_out"),
        _probe(3, 3, category="atypical"),
    ]
    for _ in range(2):
        answer = empty.client.put(f"{run.url}/probes", json=given)
        assert answer.json()["categories"] == {"noisy": 1, "ood": 1, "atypical": 1}
    listed = empty.get(f"/runs/{run.id}/probes")["items"]
    assert [(one["row"], one["category"], one["label_name"]) for one in listed] == [
        (3, "atypical", "dog"), (NUM, "noisy", "dog"), (NUM + 1, "ood", "dog")
    ]  # fmt: skip
    run.close(0, counts={"loss": 9})
    assert run.epochs()[0]["coverage"] == 0.9, "ten examples, two of them displaced, and two made probes"
    late = empty.client.put(f"{run.url}/probes", json=given)
    assert (late.status_code, late.json()["code"]) == (409, "epoch_closed")
    picture = empty.client.get(f"{run.url}/rows/{NUM}/thumbnail")
    assert picture.status_code == 404


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (_probe(NUM, 4), "duplicate_row"),
        (_probe(NUM + 1, 0), "duplicate_source"),
        (_probe(NUM + 2, 4), "row_range"),
        (_probe(NUM + 1, NUM), "source_range"),
        (_probe(NUM + 1, 4, category="strange"), "unknown_category"),
        (_probe(NUM + 1, 4, label=2), "unknown_label"),
        (_probe(3, 4), "source_differs"),
        (_probe(3, 3, label=0), "label_differs"),
    ],
)
def test_one_wrong_probe_and_nothing_is_stored(empty: World, second: dict[str, Any], code: str) -> None:
    dataset = some_dataset(empty)
    body = {"name": "r", "dataset_id": dataset["id"], "num_rows": NUM + 2, "channels": {"loss": "float32"}}
    run = Recorder(empty, begin(empty, **body)["run"]["id"], body)
    response = empty.client.put(f"{run.url}/probes", json=[_probe(NUM, 0), second])
    assert response.status_code == 422
    assert {(one["index"], one["code"]) for one in response.json()["errors"]} >= {(1, code)}
    missing = empty.client.put(f"{run.url}/probes", json=[_probe(NUM, 0)])
    assert missing.json()["errors"][0]["code"] == "missing_probe"
    assert empty.get(f"/runs/{run.id}/probes")["items"] == []


def test_planted_in_the_users_own_loop_it_is_tagged_by_the_usual_suite(empty: World) -> None:
    """On a fresh server nobody has asked for that suite yet."""
    body = {"name": "r", "dataset_id": some_dataset(empty)["id"], "num_rows": NUM + 2, "channels": CHANNELS}
    run = Recorder(empty, begin(empty, **body)["run"]["id"], body)
    given = [_probe(NUM, 0), _probe(NUM + 1, 1)]
    assert empty.client.put(f"{run.url}/probes", json=given).status_code == 200
    run.put_all(0)
    run.close(0)
    run.post("finish")
    assert empty.get("/suites")["items"] == []
    made = empty.post("/taggings", 202, json={"run_ids": [run.id]})
    suite = empty.get(f"/suites/{made['suite_id']}")
    assert (suite["name"], suite["kind"]) == ("default", "generated")
