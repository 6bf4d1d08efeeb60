"""Taggings by the first epochs: of running trainings too; refused where there is nothing to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from store import runs, scores, taggings, tags
from store.engine import transaction
from store.tables import Dataset, Run
from tests.api.recorders import Recorder, recorder
from tests.api.worlds import CATEGORIES, NUM_EPOCHS, NUM_TRAIN, N, World
from tests.rows import tag_columns


@pytest.fixture
def running(world: World) -> World:
    """Its second run is still going: two of five epochs are complete."""
    with transaction(world.database.engine) as session:
        run = session.get_one(Run, world.runs[1])
        run.state = "running"
        session.execute(text("DELETE FROM epochs WHERE run_id = :run AND epoch > 1"), {"run": run.id})
    return world


def ask(world: World, status: int = 202, **body: Any) -> Any:
    return world.post("/taggings", status, json={"run_ids": list(world.runs), **body})


def test_by_the_first_epochs_it_begins_at_once_though_a_run_still_trains(running: World) -> None:
    for body in ({"epochs": 2}, {"now": True}):
        made = ask(running, **body)
        assert (made["epochs"], made["of_epochs"], made["held_out_accuracy"]) == (2, NUM_EPOCHS, None)
        assert made["job_id"] is not None
    waiting = ask(running)
    assert (waiting["job_id"], waiting["epochs"]) == (None, None)


def test_fewer_epochs_than_there_are(running: World) -> None:
    assert ask(running, epochs=1, k=3)["parameters"] == {"k": 3, "epochs": 1, "of_epochs": NUM_EPOCHS}


def test_more_epochs_than_a_run_has_completed(running: World) -> None:
    refused = ask(running, 422, epochs=3)
    assert refused["errors"][0]["field"] == "epochs"
    assert "completed 2 of 5 epochs" in refused["detail"]
    assert ask(running, 422, epochs=2, now=True)["errors"][0]["field"] == "now"


def test_before_the_first_epoch_there_is_nothing_to_tag_by(world: World) -> None:
    started = world.post(
        "/runs", 202, json={"name": "new", "dataset_id": world.dataset, "seeds": [0], "tag": False}
    )["runs"][0]
    for body in ({"now": True}, {"epochs": 1}):
        refused = world.post("/taggings", 409, json={"run_ids": [started["id"]], **body})
        assert "no epoch yet" in refused["detail"]
        both = [world.runs[0], started["id"]]
        assert "leave it out" in world.post("/taggings", 409, json={"run_ids": both, **body})["detail"]


def test_all_epochs_of_finished_runs_are_a_tagging_like_any_other(world: World) -> None:
    for body in ({"now": True}, {"epochs": NUM_EPOCHS}):
        assert ask(world, **body)["parameters"] == {}


def test_a_broken_off_run_can_be_tagged_by_what_it_has_completed(running: World) -> None:
    with transaction(running.database.engine) as session:
        runs.set_state(session, run_id=running.runs[1], state="failed")
    ask(running, 409)
    assert ask(running, now=True)["epochs"] == 2


def test_the_end_of_the_run_is_nothing_to_an_early_tagging(running: World) -> None:
    early, whole = ask(running, now=True), ask(running)
    with transaction(running.database.engine) as session:
        runs.set_state(session, run_id=running.runs[1], state="finished")
        taggings.run_has_ended(session, run_id=running.runs[1], state="finished")
    assert running.get(f"/taggings/{early['id']}")["job_id"] == early["job_id"]
    assert running.get(f"/taggings/{whole['id']}")["job_id"] is not None
    queued = [job for job in running.get("/jobs")["items"] if job["kind"] == "tag"]
    assert len(queued) == 2


def test_a_run_that_is_aborted_takes_only_those_with_it_that_wait(running: World) -> None:
    early, whole = ask(running, now=True), ask(running)
    with transaction(running.database.engine) as session:
        taggings.run_has_ended(session, run_id=running.runs[1], state="aborted")
    assert running.get(f"/taggings/{early['id']}")["state"] == "queued"
    assert running.get(f"/taggings/{whole['id']}")["state"] == "aborted"


def test_an_early_tagging_has_scores_and_curves_of_its_own(running: World) -> None:
    made = ask(running, now=True)
    early = np.arange(N, dtype=np.float32)
    with transaction(running.database.engine) as session:
        finish(session, made["id"])
        scores.save(
            session,
            dataset=session.get_one(Dataset, running.dataset),
            method="mean_loss",
            bad_end="high",
            run_ids=list(running.runs),
            values=early,
            epochs=2,
        )
    path = f"/taggings/{made['id']}"
    assert running.get(f"{path}/tags/7")["scores"] == {"mean_loss": 7.0}
    assert running.get(f"/taggings/{running.tagging}/tags/7")["scores"]["mean_loss"] == 1.0
    why = running.get(f"{path}/tags/20/explanation?run_id={running.runs[0]}")
    assert len(why["curve"]) == len(why["predicted"]) == 2
    whole = running.get(f"/taggings/{running.tagging}/tags/20/explanation?run_id={running.runs[0]}")
    assert len(whole["curve"]) == NUM_EPOCHS
    epochs = [one["epochs"] for one in running.get("/scores")["items"]]
    assert sorted(epochs, key=str) == [2, None, None]
    told = running.get(path)
    assert (told["held_out_accuracy"], told["epochs"], told["of_epochs"]) == (0.5, 2, NUM_EPOCHS)


def finish(session: Session, tagging_id: int) -> None:
    rows = [(at, at, 1, 0.5, 0, None, False, [0.5, 0.5]) for at in range(NUM_TRAIN)]
    tags.write(session, tagging_id=tagging_id, columns=tag_columns(rows))
    report = {"overall": {"accuracy": 0.5}}
    taggings.save_report(
        session, tagging_id=tagging_id, categories=CATEGORIES, calibration="none", report=report
    )
    taggings.set_state(session, tagging_id=tagging_id, state="finished")


def known_examples(world: World, run: Recorder) -> int:
    members = [{"key": f"k{at}", "category": "noisy" if at % 2 else "prototypical"} for at in range(10)]
    body = {"name": "known", "dataset_id": run.body["dataset_id"], "members": members}
    found: int = world.post("/suites/upload", 201, json=body)["id"]
    return found


def test_a_recorded_run_that_broke_off_goes_on_though_its_first_epochs_were_tagged(empty: World) -> None:
    run = recorder(empty)
    for epoch in range(2):
        run.put_all(epoch)
        run.close(epoch)
    made = empty.post(
        "/taggings", 202, json={"run_ids": [run.id], "suite_id": known_examples(empty, run), "now": True}
    )
    assert (made["epochs"], made["of_epochs"]) == (2, None)  # nobody has said how long it is to train
    run.post("finish", state="failed")
    assert run.post("reopen")["run"]["state"] == "running"
    run.put_all(2)
    run.close(2)
    run.post("finish")
    assert empty.get(f"/taggings/{made['id']}")["job_id"] == made["job_id"]
