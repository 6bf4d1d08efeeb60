"""Runs: started, listed, followed, aborted, deleted; their probes and curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.api.recipes import TAKES
from store import jobs, projects, runs, taggings
from store.engine import transaction
from tests.api.worlds import CLASSES, NUM_EPOCHS, NUM_MADE, N, World, add_dataset, curves_of, queued_run


def start(world: World, status: int = 202, **more: Any) -> Any:
    return world.post("/runs", status, json={"name": "new", "dataset_id": world.dataset, **more})


def test_one_run_and_one_job_per_seed_and_a_tagging(world: World) -> None:
    made = start(world, seeds=[3, 5], recipe={"num_epochs": 4, "pass": "evaluation"})
    assert [run["name"] for run in made["runs"]] == ["new-s3", "new-s5"]
    assert [(run["seed"], run["slot"], run["num_slots"]) for run in made["runs"]] == [(3, 0, 2), (5, 1, 2)]
    for run, job in zip(made["runs"], made["jobs"], strict=True):
        assert (run["state"], run["epochs_done"], run["num_epochs"], run["num_rows"]) == ("queued", 0, 4, N)
        assert run["job_id"] == job["id"]
        assert (job["kind"], job["state"], job["run_id"]) == ("train", "queued", run["id"])
        assert run["recipe"]["model"] == "convnet"
        assert run["protocol"]["pass"] == "evaluation"
        assert run["protocol"]["channels"] == ["loss", "margin", "predicted"]
        assert run["suite_id"] == world.suite
    tagging = made["tagging"]
    assert tagging["run_ids"] == [run["id"] for run in made["runs"]]
    assert (tagging["state"], tagging["job_id"]) == ("queued", None)
    assert world.get(f"/runs/{made['runs'][0]['id']}") == made["runs"][0]


def add_texts(world: World, num: int, modality: str = "text") -> int:
    """A dataset of its own; its payload is not needed to queue a run."""
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        keys = [str(row) for row in range(num)]
        return add_dataset(session, project, f"{modality}-{num}", modality, keys, ["train"] * num).id


@pytest.mark.parametrize(
    ("modality", "recipe", "field"),
    [
        ("text", {"model": "convnet"}, "model"),
        ("text", {"augment": "flip"}, "augment"),
        ("table", {"image_size": 32}, "image_size"),
        ("vector", {"model": "table_mlp"}, "model"),
    ],
)
def test_a_recipe_for_other_inputs_is_refused_before_it_is_queued(
    empty: World, modality: str, recipe: dict[str, Any], field: str
) -> None:
    body = {"name": "r", "dataset_id": add_texts(empty, 100, modality), "recipe": recipe}
    assert empty.post("/runs", 422, json=body)["errors"][0]["field"] == field
    assert empty.get("/runs")["items"] == []


def test_models_are_for_the_inputs_that_the_worker_builds_them_for() -> None:
    from worker.training.models import _MODELS

    assert {name: entry.modality for name, entry in _MODELS.items()} == TAKES


def test_a_suite_for_too_few_examples_is_refused_before_it_is_queued(empty: World) -> None:
    few = {"name": "r", "dataset_id": add_texts(empty, 30)}
    assert "too few" in empty.post("/runs", 422, json=few)["errors"][0]["message"]
    assert empty.get("/runs")["items"] == []
    empty.post("/runs", 202, json={**few, "suite": None})


def test_the_default_suite_is_made_when_it_is_first_used(empty: World) -> None:
    dataset = add_texts(empty, 100)
    made = empty.post("/runs", 202, json={"name": "r", "dataset_id": dataset})
    (suite,) = empty.get("/suites")["items"]
    assert (suite["name"], suite["id"]) == ("default", made["runs"][0]["suite_id"])


def test_a_start_takes_effect_once(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    body = {"name": "new", "dataset_id": world.dataset}
    first = world.post("/runs", 202, json=body, headers=key)
    assert world.post("/runs", 202, json=body, headers=key) == first
    assert world.post("/runs", 409, json=body)["code"] == "conflict"


def test_without_a_tagging_and_without_a_suite(world: World) -> None:
    assert start(world, tag=False)["tagging"] is None
    bare = start(world, name="bare", suite=None)
    assert bare["tagging"] is None
    assert bare["runs"][0]["suite_id"] is None
    assert start(world, 422, name="x", suite=None, tag=True)["errors"][0]["field"] == "tag"


@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ({"dataset_id": 999}, 404, None),
        ({"suite": "none"}, 404, None),
        ({"seeds": []}, 422, "seeds"),
        ({"seeds": [1, 1]}, 422, "seeds"),
        ({"seeds": [-1]}, 422, "seeds"),
        ({"seeds": list(range(9))}, 422, "seeds"),
        ({"recipe": {"learning_rate": 1}}, 422, "learning_rate"),
        ({"recipe": {"num_epochs": 0}}, 422, "num_epochs"),
        ({"recipe": {"model": "resnet9000"}}, 422, "model"),
        ({"recipe": {"model": "os:system"}}, 403, None),
        ({"recipe": {"model": "ngrams"}}, 422, "model"),
        ({"suite": "wide"}, 422, "suite"),
        ({"name": "run", "seeds": [0]}, 409, None),
    ],
)
def test_starts_that_are_refused(world: World, more: dict[str, Any], status: int, field: str | None) -> None:
    world.post("/suites", 201, json={"name": "wide"})
    refused = start(world, status, **more)
    assert field is None or refused["errors"][0]["field"] == field
    assert len(world.get("/runs")["items"]) == 2
    assert world.get("/jobs")["items"] == []


def test_models_of_ones_own_from_allowed_modules(world: World) -> None:
    world.settings.model_modules.append("mine.models")
    assert (
        start(world, recipe={"model": "mine.models:net"})["runs"][0]["recipe"]["model"] == "mine.models:net"
    )
    assert "SONDAGE_MODEL_MODULES" in start(world, 403, name="x", recipe={"model": "mine:net"})["detail"]


def test_known_examples_are_not_planted(world: World) -> None:
    rows = [{"key": f"k{index}", "category": "noisy" if index % 2 else "ood"} for index in range(8)]
    world.post("/suites/upload", 201, json={"name": "known", "dataset_id": world.dataset, "members": rows})
    assert start(world, 422, suite="known")["errors"][0]["field"] == "suite"


def test_lists_of_runs(read_world: World) -> None:
    listed = read_world.get("/runs")["items"]
    assert [run["name"] for run in listed] == ["run-s1", "run-s0"]
    assert listed[0]["epochs_done"] == NUM_EPOCHS
    assert [run["id"] for run in read_world.get("/runs?name=run-s0")["items"]] == [read_world.runs[0]]
    assert read_world.get("/runs?state=queued")["items"] == []
    assert read_world.get(f"/runs?dataset_id={read_world.dataset + 1}")["items"] == []
    read_world.get("/runs?state=odd", 422)
    read_world.get("/runs/999", 404)


def test_epochs(read_world: World) -> None:
    path = f"/runs/{read_world.runs[0]}/epochs"
    first = read_world.get(path + "?limit=2")
    rest = read_world.get(path + f"?limit=1000&cursor={first['next_cursor']}")
    epochs = first["items"] + rest["items"]
    assert [one["epoch"] for one in epochs] == list(range(NUM_EPOCHS))
    assert epochs[1]["metrics"] == {"train_loss": 0.5}
    read_world.get("/runs/999/epochs", 404)


def test_probes(read_world: World) -> None:
    path = f"/runs/{read_world.runs[1]}/probes"
    first = read_world.get(path + "?limit=5")
    found = first["items"] + read_world.get(path + f"?cursor={first['next_cursor']}")["items"]
    assert [one["row"] for one in found] == list(range(N, N + NUM_MADE))
    assert [one["source_row"] for one in found] == list(range(NUM_MADE, 2 * NUM_MADE))
    assert {one["label_name"] for one in found} <= set(CLASSES)
    assert (found[0]["category"], found[0]["role"]) == ("prototypical", "fit")
    read_world.get("/runs/999/probes", 404)


def test_curves_of_some_rows(read_world: World) -> None:
    path = f"/runs/{read_world.runs[0]}/curves"
    loss, predicted = curves_of(0)
    found = read_world.get(f"{path}/loss?rows=47,0,20")
    assert (found["channel"], found["epochs"]) == ("loss", NUM_EPOCHS)
    assert [one["row"] for one in found["curves"]] == [47, 0, 20]
    assert found["curves"][1]["values"] == [None] * NUM_EPOCHS
    assert found["curves"][2]["values"] == loss[20].tolist()
    assert read_world.get(f"{path}/predicted?rows=20")["curves"][0]["values"] == predicted[20].tolist()
    assert read_world.get(f"{path}/predicted?rows=0")["curves"][0]["values"] == [None] * NUM_EPOCHS
    for wrong in ("", "a", "-1", "1,", f"{N + NUM_MADE}", ",".join(["1"] * 1001)):
        assert read_world.get(f"{path}/loss", 422, params={"rows": wrong})["errors"][0]["field"] == "rows"
    assert "recorded: loss, margin, predicted" in read_world.get(f"{path}/other?rows=0", 404)["detail"]
    read_world.get("/runs/999/curves/loss?rows=0", 404)


def test_blocks_are_the_bytes_as_stored(read_world: World) -> None:
    path = f"{read_world.url}/runs/{read_world.runs[0]}/curves"
    loss, predicted = curves_of(0)
    block = read_world.client.get(f"{path}/loss/2/0")
    assert block.headers["x-dtype"] == "float32"
    assert block.headers["x-num-rows"] == str(N + NUM_MADE)
    np.testing.assert_array_equal(np.frombuffer(block.content, "<f4"), loss[:, 2])
    whole = read_world.client.get(f"{path}/predicted/0/0")
    np.testing.assert_array_equal(np.frombuffer(whole.content, whole.headers["x-dtype"]), predicted[:, 0])
    for missing in ("loss/99/0", "loss/0/1", "other/0/0"):
        assert read_world.client.get(f"{path}/{missing}").status_code == 404
    assert read_world.client.get(f"{path}/loss/-1/0").status_code == 422


def test_infinite_values_are_null_in_json(world: World) -> None:
    from store import curves

    with transaction(world.database.engine) as session:
        channel = np.full(N + NUM_MADE, np.inf, np.float32)
        curves.write_epoch(session, run_id=world.runs[0], epoch=0, channels={"loss": channel})
    assert world.get(f"/runs/{world.runs[0]}/curves/loss?rows=20")["curves"][0]["values"][0] is None


def test_aborting_a_queued_run(world: World) -> None:
    made = start(world, seeds=[0, 1])
    run = made["runs"][0]["id"]
    answer = world.post(f"/runs/{run}/abort", 200)
    job = answer["job"]
    assert (job["state"], job["run_id"], job["abort_requested"]) == ("aborted", run, True)
    assert answer["run"] == world.get(f"/runs/{run}")
    assert (answer["run"]["state"], answer["run"]["recorded"]) == ("aborted", False)
    assert world.get(f"/taggings/{made['tagging']['id']}")["state"] == "aborted"
    assert world.post(f"/runs/{run}/abort", 200)["run"]["state"] == "aborted"
    assert world.post(f"/runs/{world.runs[0]}/abort", 409)["code"] == "conflict"
    world.post("/runs/999/abort", 404)


def test_aborting_a_running_one_is_asked_for(world: World) -> None:
    made = start(world, seeds=[0])
    with transaction(world.database.engine) as session:
        jobs.take(session, job_id=made["jobs"][0]["id"], worker="w")
    job = world.post(f"/jobs/{made['jobs'][0]['id']}/abort", 200)
    assert (job["state"], job["abort_requested"]) == ("running", True)


def test_the_last_run_to_finish_wakes_the_tagging(world: World) -> None:
    made = start(world, seeds=[0, 1])
    for job in made["jobs"]:
        with transaction(world.database.engine) as session:
            jobs.take(session, job_id=job["id"], worker="w")
            jobs.finish(session, job_id=job["id"], attempt=1)
    tagging = world.get(f"/taggings/{made['tagging']['id']}")
    assert world.get(f"/jobs/{tagging['job_id']}")["kind"] == "tag"


def test_jobs(world: World) -> None:
    made = start(world, seeds=[0, 1])
    numbers = [job["id"] for job in made["jobs"]]
    assert [job["id"] for job in world.get("/jobs?kind=train&state=queued")["items"]] == numbers[::-1]
    assert world.get("/jobs?kind=tag")["items"] == []
    page = world.get("/jobs?limit=1")
    assert world.get(f"/jobs?limit=1&cursor={page['next_cursor']}")["items"][0]["id"] == numbers[0]
    with transaction(world.database.engine) as session:
        jobs.take(session, job_id=numbers[0], worker="w")
        progress = {"unit": "epochs", "done": 2, "total": 5, "num_epochs": 5}
        jobs.report_progress(session, job_id=numbers[0], attempt=1, progress=progress)
    job = world.get(f"/jobs/{numbers[0]}")
    assert (job["state"], job["attempt"], job["progress"]["num_epochs"]) == ("running", 1, 5)
    with transaction(world.database.engine) as session:
        jobs.fail(session, job_id=numbers[0], attempt=1, error="lower the learning rate")
    assert world.get(f"/jobs/{numbers[0]}")["error"] == "lower the learning rate"
    world.get("/jobs/999", 404)
    world.post("/jobs/999/abort", 404)
    world.get("/jobs?state=odd", 422)


def test_deleting_a_run(world: World) -> None:
    run, other = world.runs
    assert f"tagging {world.tagging}" in world.delete(f"/runs/{run}", 409)["detail"]
    gone = world.delete(f"/runs/{run}?cascade=true")
    named = [(one["kind"], one["id"]) for one in gone["dependants"]]
    assert named[0] == ("tagging", world.tagging)
    assert [kind for kind, _ in named[1:]] == ["score", "score"]
    world.get(f"/runs/{run}", 404)
    world.get(f"/runs/{other}")
    assert not (world.settings.data_dir / "runs" / str(run)).exists()
    assert (world.settings.data_dir / "runs" / str(other)).exists()
    with transaction(world.database.engine) as session:
        assert taggings.listed(session, project_id=1)[0] == []
        assert runs.probes(session, run_id=run) == []
    world.delete(f"/runs/{run}", 404)


def test_a_run_that_only_records_has_no_job(world: World) -> None:
    from store import datasets

    with transaction(world.database.engine) as session:
        dataset = datasets.get(session, project_id=1, dataset_id=world.dataset)
        number = queued_run(session, dataset, None, "bare").id
    assert world.get(f"/runs/{number}")["job_id"] is None
