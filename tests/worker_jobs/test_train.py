"""② The job `train`, end to end: what it tells, what it records, and how it fails."""

from __future__ import annotations

import numpy as np
import pytest

from store import examples, runs
from tests.worker_jobs.worlds import (
    CHANNELS,
    NUM_EPOCHS,
    PASSES_PER_EPOCH,
    SLOW_MODEL,
    World,
    wait_until,
)


@pytest.fixture(autouse=True)
def opened_gate(world: World):
    yield
    world.open_gate()


def test_states_and_progress(busy_world, digits):
    world = busy_world
    world.close_gate(PASSES_PER_EPOCH + 2)
    training = world.train(digits)
    world.wait_at_gate()
    job = world.wait_for(training.job_id, "running")
    assert (job.attempt, job.result, job.error, job.finished_at) == (1, None, None, None)
    assert job.worker is not None
    assert job.started_at is not None
    assert world.run(training.run_id).state == "running"
    wait_until(lambda: world.job(training.job_id).progress.get("epoch") is not None, "progress is told")
    progress = world.job(training.job_id).progress
    assert progress["unit"] == "epoch"
    assert progress["total"] == progress["num_epochs"] == NUM_EPOCHS
    assert progress["epoch"] <= progress["done"] <= progress["epoch"] + 1
    assert progress["examples_per_second"] > 0
    assert progress["seconds_left"] >= 0
    world.open_gate()
    job = world.succeed(training.job_id)
    assert job.result == {"run_id": training.run_id}
    assert job.error is None
    assert job.progress["done"] == NUM_EPOCHS
    run = world.run(training.run_id)
    assert run.state == "finished"
    assert run.finished_at is not None
    checkpoints = world.data_dir / "runs" / str(run.id) / "checkpoints"
    wait_until(lambda: not checkpoints.exists(), "the checkpoints go, once the end is committed")


def test_the_training_pass_records_every_row_that_trains(busy_world, digits):
    """The evaluation pass: see `test_tag.py`."""
    world = busy_world
    training = world.train(digits, suite=world.suite())
    world.succeed(training.job_id)
    with world.session() as session:
        columns = examples.columns(session, dataset_id=digits.id)
        sources = _sources(session, training.run_id)
    recorded = world.recorded(training.run_id)
    run = world.run(training.run_id)
    assert run.protocol["pass"] == "training"
    assert run.num_rows == digits.num_examples + len(sources)
    trained = np.zeros(run.num_rows, dtype=bool)
    trained[columns.train_rows] = True
    trained[digits.num_examples :] = True
    trained[sources] = False
    assert trained.sum() == len(columns.train_rows)
    for channel in CHANNELS:
        missing = -1 if channel == "predicted" else np.nan
        expected = np.full((int((~trained).sum()), NUM_EPOCHS), missing)
        np.testing.assert_array_equal(recorded[channel][~trained], expected)
    assert np.isfinite(recorded["loss"][trained]).all()
    assert (recorded["predicted"][trained] >= 0).all()
    # It learns.
    assert recorded["loss"][trained][:, -1].mean() < 0.95 * recorded["loss"][trained][:, 0].mean()
    metrics = [epoch.metrics for epoch in world.epochs(training.run_id)]
    mean_losses = recorded["loss"][trained].mean(axis=0)
    np.testing.assert_allclose([of_epoch["train_loss"] for of_epoch in metrics], mean_losses, rtol=1e-4)
    assert all(0 < of_epoch["validation_accuracy"] < 1 for of_epoch in metrics)


def _sources(session, run_id):
    return [probe.source_row for probe in runs.probes(session, run_id=run_id)]


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (
            {"lr": 100.0, "weight_decay": 10.0, "num_epochs": 40},
            ("diverged", "lr"),
        ),
        ({"model": "os:system"}, ("'os'", SLOW_MODEL)),
        ({"model": f"{SLOW_MODEL}:break_down"}, ("ZeroDivisionError", "your own model")),
        ({"model": f"{SLOW_MODEL}:leave"}, ("before its work was done", "your own")),
    ],
    ids=["diverges", "forbidden", "raises", "leaves"],
)
def test_it_fails_in_words_to_act_on(busy_world, digits, recipe, words):
    world = busy_world
    suite = world.suite()
    training = world.train(digits, suite=suite, tag=True, **recipe)
    job = world.wait_for(training.job_id)
    assert (job.state, job.attempt) == ("failed", 1)
    for word in words:
        assert word in job.error
    assert world.run(training.run_id).state == "failed"
    assert world.tagging(training.tagging_id).state == "failed"
