"""⑤ Tags of a training under way, by the epochs that it has completed: at once, though one job trains at a time."""

from __future__ import annotations

import numpy as np
from sqlalchemy import select

from store import curves, jobs, scores, taggings
from store.tables import Run, Tag, Tagging
from tests.worker_jobs.worlds import NUM_EPOCHS, PASSES_PER_EPOCH, Trainings, World


def ask(world: World, trainings: Trainings, suite_id: int, epochs: int | None) -> tuple[int, int | None]:
    """The number of a tagging, and of its job when it has one."""
    first = {} if epochs is None else {"epochs": epochs, "of_epochs": NUM_EPOCHS}
    with world.session() as session:
        found = [session.get_one(Run, run_id) for run_id in trainings.run_ids]
        tagging = taggings.create(
            session,
            project_id=found[0].project_id,
            runs=found,
            suite_id=suite_id,
            tagger="evidence",
            parameters=first,
        )
        taggings.defer_if_ready(session, tagging=tagging)
        return tagging.id, jobs.of_taggings(session, tagging_ids=[tagging.id]).get(tagging.id)


def tags_of(world: World, tagging_id: int) -> dict[int, tuple[object, ...]]:
    with world.session() as session:
        found = session.scalars(select(Tag).where(Tag.tagging_id == tagging_id)).all()
        return {one.index: (one.tag, one.position, one.suspicion, one.runs_trained) for one in found}


def test_a_training_is_tagged_in_its_middle_and_nothing_of_it_changes_later(busy_world, digits):
    world, suite = busy_world, busy_world.suite()
    world.close_gate(2 * PASSES_PER_EPOCH + 1)
    trainings = world.train(digits, suite=suite)
    world.wait_at_gate()
    assert len(world.epochs(trainings.run_id)) == 2
    before, job = ask(world, trainings, suite.id, 1)
    early, second_job = ask(world, trainings, suite.id, 2)
    for number in (job, second_job):
        world.succeed(number)
    assert world.job(trainings.job_id).state == "running"  # it is still in its third epoch
    whole, _ = ask(world, trainings, suite.id, None)
    seen = {number: tags_of(world, number) for number in (before, early)}
    told = reports(world, before, early)
    world.open_gate()
    world.succeed(trainings.job_id)
    world.succeed(world.scalar("SELECT max(id) FROM jobs WHERE tagging_id = :tagging", tagging=whole))

    assert {number: tags_of(world, number) for number in (before, early)} == seen
    assert reports(world, before, early) == told
    assert tags_of(world, whole).keys() == seen[early].keys()
    assert tags_of(world, whole) != seen[early]
    for number, epochs in ((before, 1), (early, 2)):
        report = told[number]
        assert report["early"] == {"epochs": epochs, "of_epochs": NUM_EPOCHS}
        assert 0 <= report["overall"]["accuracy"] <= 1
        assert [run["num_epochs"] for run in report["runs"]] == [epochs]
    assert reports(world, whole)[whole]["early"] is None
    scores_are_of_those_epochs_alone(world, trainings)


def reports(world: World, *numbers: int) -> dict[int, dict]:
    with world.session() as session:
        return {number: session.get_one(Tagging, number).report for number in numbers}


def scores_are_of_those_epochs_alone(world: World, trainings: Trainings) -> None:
    of_run = world.recorded(trainings.run_id)
    recorded, looked = of_run["loss"], of_run["distance"]
    with world.session() as session:
        run = session.get_one(Run, trainings.run_id)
        assert len(curves.closed_epochs(session, run_id=run.id)) == NUM_EPOCHS
        for epochs in (1, 2, None):
            found = scores.of_runs(
                session, dataset_id=run.dataset_id, run_ids=trainings.run_ids, epochs=epochs
            )
            values = scores.values(session, score_id=found["mean_loss"].id)
            trained = np.isfinite(values)
            np.testing.assert_allclose(
                values[trained], recorded[: len(values)][trained, :epochs].mean(axis=1), rtol=1e-5
            )
            last_look = {1: 0, 2: 1, None: 3}[epochs]
            np.testing.assert_allclose(
                scores.values(session, score_id=found["distance"].id)[trained],
                looked[: len(values)][trained, last_look],
                rtol=1e-5,
            )


def test_looks_at_the_features_count_only_once_they_were_taken(world):
    """They are taken after a sixth, a third and all of the training: of four epochs after the first, second, last."""
    with world.session() as session:
        run = session.scalars(select(Run).order_by(Run.id.desc())).first()
        for channel in ("label_odds", "distance"):
            assert curves.epochs_of_channel(session, run_id=run.id, channel=channel) == [0, 1, 3]
            assert channel not in curves.channels(session, run_id=run.id, epochs=[2])
            assert channel in curves.channels(session, run_id=run.id, epochs=[1, 2])
