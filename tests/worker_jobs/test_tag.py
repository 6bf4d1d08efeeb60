"""⑤ The job `tag`, end to end: two recorded runs and a suite to tags, scores and a report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sqlalchemy import delete, select

from sondage.probes.suite import CATEGORIES, SuiteDefinition
from sondage.scores.registry import SCORES
from store import examples, jobs, projects, runs, scores, suites, taggings
from store.tables import CurveBlock, Dataset, Suite, Tag, Tagging
from tests.worker_jobs.worlds import NUM_EPOCHS, Trainings, World

NAMES = [category.name for category in CATEGORIES]


@dataclass(frozen=True)
class Tagged:
    world: World
    dataset: Dataset
    suite: Suite
    trainings: Trainings
    train_rows: list[int]
    labels: np.ndarray

    @property
    def tagging_id(self) -> int:
        assert self.trainings.tagging_id is not None
        return self.trainings.tagging_id

    def sources(self, run_id: int) -> set[int]:
        """Examples whose place a made probe took."""
        with self.world.session() as session:
            return {probe.source_row for probe in runs.probes(session, run_id=run_id)}


def tags_of(world: World, tagging_id: int) -> dict[int, Tag]:
    with world.session() as session:
        found = session.scalars(select(Tag).where(Tag.tagging_id == tagging_id).order_by(Tag.index)).all()
    assert len({tag.index for tag in found}) == len(found)
    return {tag.index: tag for tag in found}


def tag_job(world: World, tagging_id: int) -> int:
    return world.scalar("SELECT max(id) FROM jobs WHERE tagging_id = :tagging", tagging=tagging_id)


@pytest.fixture(scope="module")
def tagged(busy_world, digits) -> Tagged:
    """Trained with two seeds and the default suite, tagged by itself when the second run had finished."""
    world, suite = busy_world, busy_world.suite()
    trainings = world.train(digits, suite=suite, seeds=(0, 1), tag=True)
    for job_id in trainings.job_ids:
        world.succeed(job_id)
    job = world.succeed(tag_job(world, trainings.tagging_id))
    with world.session() as session:
        columns = examples.columns(session, dataset_id=digits.id)
    train = columns.train_rows.tolist()
    assert job.result == {"num_tags": len(train)}
    return Tagged(world, digits, suite, trainings, train, columns.labels)


def test_the_tagging_waits_for_both_runs_and_then_finishes(tagged):
    tagging = tagged.world.tagging(tagged.tagging_id)
    assert tagging.state == "finished"
    assert tagging.finished_at is not None
    assert tagging.calibration == "none"
    assert set(tagging.categories) == set(NAMES)
    count = "SELECT count(*) FROM jobs WHERE tagging_id = :tagging"
    assert tagged.world.scalar(count, tagging=tagging.id) == 1


def test_every_train_example_has_one_tag_and_one_place(tagged):
    tags = tags_of(tagged.world, tagged.tagging_id)
    assert list(tags) == tagged.train_rows
    assert sorted(tag.position for tag in tags.values()) == list(range(len(tags)))
    by_place = sorted(tags.values(), key=lambda tag: tag.position)
    suspicions = [tag.suspicion for tag in by_place]
    assert suspicions == sorted(suspicions, reverse=True)
    assert 0 <= suspicions[-1] < suspicions[0] <= 1
    categories = tagged.world.tagging(tagged.tagging_id).categories
    for tag in tags.values():
        assert tag.label == tagged.labels[tag.index]
        assert tag.suggested_label is None or tag.suggested_label != tag.label
        assert len(tag.probabilities) == len(categories)
        assert sum(tag.probabilities) == pytest.approx(1, abs=1e-5)
        assert -1 <= tag.tag < len(categories)
    assert len({tag.tag for tag in tags.values()}) > 1


def test_who_is_displaced_in_one_run_is_tagged_from_the_other(tagged):
    first, second = (tagged.sources(run_id) for run_id in tagged.trainings.run_ids)
    assert first
    assert second
    assert not first & second
    tags = tags_of(tagged.world, tagged.tagging_id)
    for run_id, sources in zip(tagged.trainings.run_ids, (first, second), strict=True):
        assert np.isnan(tagged.world.recorded(run_id)["loss"][sorted(sources)]).all()
    assert all(tags[index].suspicion is not None for index in first | second)
    assert not any(tag.displaced for tag in tags.values())


def test_another_seed_gives_other_curves(tagged):
    both = sorted(set(tagged.train_rows).difference(*map(tagged.sources, tagged.trainings.run_ids)))
    first, second = (tagged.world.recorded(run_id)["loss"][both] for run_id in tagged.trainings.run_ids)
    assert (first != second).mean() > 0.99


def test_the_probes_that_were_used_are_kept(tagged):
    with tagged.world.session() as session:
        used = {
            run_id: taggings.probes(session, tagging_id=tagged.tagging_id, run_id=run_id)
            for run_id in tagged.trainings.run_ids
        }
        planted = {run_id: runs.probes(session, run_id=run_id) for run_id in tagged.trainings.run_ids}
    for run_id, probes in used.items():
        assert {probe.category for probe in probes} == set(NAMES)
        assert {probe.role for probe in probes} == {"fit", "held_out"}
        rows = {probe.row for probe in probes}
        assert rows >= {probe.row for probe in planted[run_id]}
        chosen = {probe.row for probe in probes if probe.row < tagged.dataset.num_examples}
        assert chosen <= set(tagged.train_rows)
        assert {probe.category for probe in probes if probe.row in chosen} == {"prototypical", "atypical"}
        assert not chosen & tagged.sources(run_id)


def test_the_report_counts_the_held_out_probes(tagged):
    report = tagged.world.tagging(tagged.tagging_id).report
    with tagged.world.session() as session:
        held_out = sum(
            probe.role == "held_out"
            for run_id in tagged.trainings.run_ids
            for probe in taggings.probes(session, tagging_id=tagged.tagging_id, run_id=run_id)
        )
    counts = np.array(report["overall"]["confusion"]["counts"])
    assert counts.shape == (len(NAMES), len(NAMES))
    assert counts.sum() == report["overall"]["num_held_out"] == held_out
    assert report["overall"]["accuracy"] == pytest.approx(np.trace(counts) / held_out)
    assert "training pass" in report["protocol"]
    assert "augment shift" in report["protocol"]
    assert [run["num_epochs"] for run in report["runs"]] == [NUM_EPOCHS, NUM_EPOCHS]
    for kind in ("precision", "recall"):
        assert set(report["overall"][kind]) == set(NAMES)
    assert set(report["runs"][0]["learned"]) == set(NAMES)
    assert report["warnings"]  # so few probes: rough


def test_the_report_tells_of_seeds_epochs_classes_and_the_suite(tagged):
    report = tagged.world.tagging(tagged.tagging_id).report
    tags = tags_of(tagged.world, tagged.tagging_id)
    assert 0 <= report["stability"]["flip_rate"] <= 1
    both = set(tagged.train_rows).difference(*map(tagged.sources, tagged.trainings.run_ids))
    assert report["stability"]["num_examples"] == len(both)
    assert report["settling"]["epochs"][-1] == NUM_EPOCHS
    classes = report["per_class"]["classes"]
    assert {one["name"] for one in classes} <= set(tagged.dataset.class_names)
    assert sum(one["num_examples"] for one in classes) == len(tags)
    suspects = sum(tag.suspicion > report["per_class"]["suspect_above"] for tag in tags.values())
    assert sum(one["num_suspects"] for one in classes) == suspects
    assert {one["category"] for one in report["suite_fit"]["separability"]} == set(NAMES)
    assert report["held_out_trained_on"] is True
    assert report["not_trained_on"] is None
    assert not any("not made alike" in text for text in report["warnings"])


def test_runs_of_another_recipe_or_of_before_there_were_distances(tagged):
    """Not made alike, which is said; and of those that lack a channel its score is not there."""
    world = tagged.world
    other = world.train(tagged.dataset, suite=tagged.suite, seeds=(7,), **{"pass": "evaluation"})
    world.succeed(other.job_id)
    with world.session() as session:
        of_distances = (CurveBlock.run_id == other.run_id) & (CurveBlock.channel == "distance")
        session.execute(delete(CurveBlock).where(of_distances))
        both = [tagged.trainings.run_ids[0], other.run_id]
        tagging = taggings.create(
            session,
            project_id=tagged.dataset.project_id,
            runs=[runs.get(session, project_id=tagged.dataset.project_id, run_id=run_id) for run_id in both],
            suite_id=tagged.suite.id,
            tagger="reference",
        )
        taggings.defer_if_ready(session, tagging=tagging)
    world.succeed(tag_job(world, tagging.id))
    warnings = world.tagging(tagging.id).report["warnings"]
    (said,) = [text for text in warnings if "not made alike" in text]
    assert "pass is training (" in said
    assert "evaluation (" in said
    with world.session() as session:
        saved = scores.of_runs(session, dataset_id=tagged.dataset.id, run_ids=both)
    assert saved.keys() == SCORES.keys() - {"distance"}


def test_the_plain_scores_are_kept(tagged):
    with tagged.world.session() as session:
        saved = scores.of_runs(session, dataset_id=tagged.dataset.id, run_ids=tagged.trainings.run_ids)
        values = {method: scores.values(session, score_id=score.id) for method, score in saved.items()}
    assert {method: score.bad_end for method, score in saved.items()} == {
        name: score.bad_end for name, score in SCORES.items()
    }
    other = sorted(set(range(tagged.dataset.num_examples)) - set(tagged.train_rows))
    for of_method in values.values():
        assert of_method.shape == (tagged.dataset.num_examples,)
        assert np.isfinite(of_method[tagged.train_rows]).all()
        assert np.isnan(of_method[other]).all()
    recorded = [tagged.world.recorded(run_id)["loss"] for run_id in tagged.trainings.run_ids]
    of_runs = np.stack([loss[: tagged.dataset.num_examples].mean(axis=1) for loss in recorded])
    expected = np.nanmean(of_runs[:, tagged.train_rows], axis=0)
    np.testing.assert_allclose(values["mean_loss"][tagged.train_rows], expected, rtol=1e-5)
    far = []
    for run_id in tagged.trainings.run_ids:
        of_run = tagged.world.recorded(run_id)["distance"]
        np.testing.assert_array_equal(np.isfinite(of_run).any(axis=0), [True, True, False, True])
        of_run[sorted(tagged.sources(run_id))] = np.nan  # looked at, and not trained
        far.append(of_run[tagged.train_rows, -1])
    np.testing.assert_allclose(values["distance"][tagged.train_rows], np.nanmean(far, axis=0), rtol=1e-5)


def test_tagging_again_replaces_and_does_not_double(tagged):
    before = tags_of(tagged.world, tagged.tagging_id)
    count = "SELECT (SELECT count(*) FROM tags), (SELECT count(*) FROM tagging_probes), (SELECT count(*) FROM scores)"
    with tagged.world.session() as session:
        numbers = session.connection().exec_driver_sql(count).one()
        again = jobs.create(
            session, project_id=tagged.dataset.project_id, kind="tag", tagging_id=tagged.tagging_id
        ).id
    tagged.world.succeed(again)
    with tagged.world.session() as session:
        assert session.connection().exec_driver_sql(count).one() == numbers
    after = tags_of(tagged.world, tagged.tagging_id)
    assert {index: (tag.position, tag.suspicion) for index, tag in after.items()} == {
        index: (tag.position, tag.suspicion) for index, tag in before.items()
    }


def test_known_examples_work_on_runs_already_recorded(tagged):
    world = tagged.world
    loss = world.recorded(tagged.trainings.run_id)["loss"][:, -1]
    by_loss = sorted(set(tagged.train_rows) - tagged.sources(tagged.trainings.run_id), key=lambda i: loss[i])
    roles = ["fit", "held_out"] * 10
    members = [(index, "prototypical", role) for index, role in zip(by_loss[:20], roles, strict=True)]
    members += [(index, "noisy", role) for index, role in zip(by_loss[-20:], roles, strict=True)]
    with world.session() as session:
        columns = examples.keys(
            session, dataset_id=tagged.dataset.id, indices=[index for index, _, _ in members]
        )
        definition = SuiteDefinition(
            "mine", members=tuple((columns[index], category) for index, category, _ in members)
        )
        suite = suites.add(
            session,
            project_id=projects.ensure(session).id,
            name="mine",
            digest=definition.digest(),
            definition=definition.to_dict(),
            dataset_id=tagged.dataset.id,
            members=members,
        )
        tagging = taggings.create(
            session,
            project_id=tagged.dataset.project_id,
            runs=[runs.get(session, project_id=suite.project_id, run_id=i) for i in tagged.trainings.run_ids],
            suite_id=suite.id,
            tagger="reference",
            parameters={"k": 3},
        )
        taggings.defer_if_ready(session, tagging=tagging)
    world.succeed(tag_job(world, tagging.id))
    found = world.tagging(tagging.id)
    assert sorted(found.categories) == ["noisy", "prototypical"]
    assert {run["k"] for run in found.report["runs"]} == {3}
    tags = tags_of(world, tagging.id)
    assert list(tags) == tagged.train_rows
    with world.session() as session:
        used = taggings.probes(session, tagging_id=tagging.id, run_id=tagged.trainings.run_id)
    assert {probe.row for probe in used} == {index for index, _, _ in members}
    worst, best = ([tags[i].suspicion for i in part] for part in (by_loss[-20:], by_loss[:20]))
    assert np.mean(worst) > np.mean(best)


def test_with_one_seed_displaced_examples_are_marked(tagged):
    world = tagged.world
    trainings = world.train(tagged.dataset, suite=tagged.suite, seeds=(0,), tag=True)
    world.succeed(trainings.job_id)
    world.succeed(tag_job(world, trainings.tagging_id))
    with world.session() as session:
        sources = {probe.source_row for probe in runs.probes(session, run_id=trainings.run_id)}
    tags = tags_of(world, trainings.tagging_id)
    assert list(tags) == tagged.train_rows
    assert {index for index, tag in tags.items() if tag.displaced} == sources
    assert all(tags[index].suspicion is None and tags[index].tag == -1 for index in sources)
    last = sorted(tags.values(), key=lambda tag: tag.position)[-len(sources) :]
    assert {tag.index for tag in last} == sources


def test_one_seed_can_score_the_displaced_out_of_sample(tagged):
    world = tagged.world
    recipe = {"pass": "evaluation", "score_displaced": True}
    trainings = world.train(tagged.dataset, suite=tagged.suite, seeds=(0,), tag=True, **recipe)
    world.succeed(trainings.job_id)
    world.succeed(tag_job(world, trainings.tagging_id))
    tags = tags_of(world, trainings.tagging_id)
    assert any(tag.displaced for tag in tags.values())
    assert all(tag.suspicion is not None for tag in tags.values())
    assert "evaluation pass" in world.tagging(trainings.tagging_id).report["protocol"]
    seen = [*tagged.train_rows, *range(tagged.dataset.num_examples, world.run(trainings.run_id).num_rows)]
    recorded = world.recorded(trainings.run_id)
    assert np.isfinite(recorded["loss"][seen]).all()
    assert np.isfinite(recorded["margin"][seen]).all()
    assert (recorded["predicted"][seen] >= 0).all()


def test_a_tagging_that_cannot_be_made_says_why(tagged):
    """No probe of this suite was trained on in these runs."""
    world = tagged.world
    training = world.train(tagged.dataset)
    world.succeed(training.job_id)
    with world.session() as session:
        tagging = taggings.create(
            session,
            project_id=tagged.dataset.project_id,
            runs=[runs.get(session, project_id=tagged.dataset.project_id, run_id=training.run_id)],
            suite_id=tagged.suite.id,
            tagger="reference",
        )
        taggings.defer_if_ready(session, tagging=tagging)
    job = world.wait_for(tag_job(world, tagging.id))
    assert job.state == "failed"
    assert "probe" in job.error
    assert "fault of Sondage" not in job.error
    with world.session() as session:
        assert session.get_one(Tagging, tagging.id).state == "failed"
    assert tags_of(world, tagging.id) == {}
