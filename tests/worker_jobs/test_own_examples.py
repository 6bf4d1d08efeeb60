"""④ Examples of the user's own as probes: registered as a suite, planted by the worker, tagged against."""

from __future__ import annotations

import io
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw
from sqlalchemy import func, select

from store import examples, jobs, projects, runs, suites, taggings
from store.payloads import open_payload
from store.tables import Dataset, Example, Job, Suite
from tests.worker_jobs.worlds import NUM_EPOCHS, World

WORDS = "ABCDEFGHKLMNRSTUVWXYZ"


@pytest.fixture(scope="module")
def sources(world: World) -> Path:
    folder = world.data_dir / "sources"
    folder.mkdir()
    world.settings["SONDAGE_SOURCE_ROOTS"] = str(folder)
    return folder


@pytest.fixture(scope="module")
def busy_world(sources: Path, world: World) -> Any:
    with world.worker():
        yield world


def letters(num: int) -> np.ndarray:
    """Grey letters of 8 × 8 pixels, drawn by hand as it were: inputs that are no digit."""
    out = []
    for place in range(num):
        picture = Image.new("L", (8, 8))
        ImageDraw.Draw(picture).text((place % 3, -2 - place // 3 % 2), WORDS[place % len(WORDS)], fill=255)
        out.append(np.asarray(picture))
    return np.stack(out)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def ask(world: World, dataset: Dataset, source: dict[str, Any], **suite: Any) -> int:
    """The number of a job that makes a suite of own examples."""
    body = {"name": "mine", "dataset_id": dataset.id, "source": source, **suite}
    arguments = {"name": f"{body['name']}-examples", "source": source, "suite": body}
    with world.session() as session:
        project = projects.ensure(session)
        return jobs.create(session, project_id=project.id, kind="register", arguments=arguments).id


def made(world: World, dataset: Dataset, source: dict[str, Any], **suite: Any) -> tuple[Suite, Job]:
    job = world.succeed(ask(world, dataset, source, **suite))
    with world.session() as session:
        return session.get_one(Suite, job.result["suite_id"]), job


def counts(world: World) -> list[int]:
    with world.session() as session:
        return [
            session.scalar(select(func.count()).select_from(table)) for table in (Dataset, Suite, Example)
        ]


FLIP = {"name": "flip", "count": 20}
PROTOTYPICAL = {"name": "prototypical", "count": 20}


@dataclass(frozen=True)
class Mine:
    world: World
    digits: Dataset
    suite: Suite
    pixels: np.ndarray


@pytest.fixture(scope="module")
def mine(busy_world: World, digits: Dataset, sources: Path) -> Mine:
    """Letters as foreign inputs, planted beside flipped labels."""
    pixels = letters(24)
    np.savez(sources / "letters.npz", x_train=pixels, y_train=np.zeros(24, int))
    suite, _ = made(
        busy_world,
        digits,
        {"kind": "npz", "path": "letters.npz"},
        category="ood",
        random_labels=True,
        generators=[FLIP, PROTOTYPICAL],
    )
    return Mine(busy_world, digits, suite, pixels)


def test_they_are_an_ordinary_small_dataset_version(mine: Mine) -> None:
    world, suite = mine.world, mine.suite
    assert suite.kind == "examples"
    assert suite.notes == []
    with world.session() as session:
        own = session.get_one(Dataset, suite.examples_dataset_id)
        assert (own.name, own.modality, own.num_examples) == ("mine-examples", "image", 24)
        assert own.class_names == mine.digits.class_names
        labels = examples.columns(session, dataset_id=own.id).labels
        members = suites.members(session, suite_id=suite.id)
    assert len(set(labels.tolist())) > 3, "drawn at random"
    assert [member.index for member in members] == list(range(24))
    assert {member.category for member in members} == {"ood"}
    roles = [member.role for member in members]
    assert (roles.count("fit"), roles.count("held_out")) == (12, 12)
    payload = open_payload(world.data_dir / own.payload)
    np.testing.assert_array_equal(payload.array[..., 0], mine.pixels)
    assert suite.definition["examples_fingerprint"] == own.fingerprint


def test_the_same_again_is_the_same_version(mine: Mine) -> None:
    before = counts(mine.world)
    suite, job = made(
        mine.world,
        mine.digits,
        {"kind": "npz", "path": "letters.npz"},
        category="ood",
        random_labels=True,
        generators=[FLIP, PROTOTYPICAL],
    )
    assert suite.id == mine.suite.id
    assert job.result["is_new"] is False
    assert counts(mine.world) == before
    other, _ = made(
        mine.world, mine.digits, {"kind": "npz", "path": "letters.npz"}, category="ood", random_labels=True,
        generators=[FLIP], seed=1,
    )  # fmt: skip
    assert (other.name, other.version) == (suite.name, suite.version + 1)


def test_they_are_trained_beside_the_examples_and_tags_come_of_them(mine: Mine) -> None:
    world, num = mine.world, mine.digits.num_examples
    trainings = world.train(mine.digits, suite=mine.suite, seeds=(0, 1), tag=True)
    for job_id in trainings.job_ids:
        world.succeed(job_id)
    assert trainings.tagging_id is not None
    world.succeed(world.scalar("SELECT max(id) FROM jobs WHERE tagging_id = :t", t=trainings.tagging_id))
    for run_id in trainings.run_ids:
        with world.session() as session:
            planted = runs.probes(session, run_id=run_id)
            own_labels = examples.columns(session, dataset_id=mine.suite.examples_dataset_id).labels
        made_ones, own = planted[:20], planted[20:]
        assert {probe.generator for probe in made_ones} == {"flip"}
        assert [probe.row for probe in own] == list(range(num + 20, num + 44))
        assert all(probe.source_row is None and probe.category == "ood" for probe in own)
        assert [probe.example_index for probe in own] == list(range(24))
        assert [probe.label for probe in own] == own_labels.tolist()
        assert world.run(run_id).num_rows == num + 44
        loss = world.recorded(run_id)["loss"]
        assert loss.shape == (num + 44, NUM_EPOCHS)
        assert np.isfinite(loss[num:]).all(), "trained and recorded as the examples are"
        displaced = np.flatnonzero(np.isnan(loss[:num]).all(axis=1))
        with world.session() as session:
            train = examples.columns(session, dataset_id=mine.digits.id).train_rows
        assert set(displaced) & set(train.tolist()) == {probe.source_row for probe in made_ones}
        payload = open_payload(world.data_dir / "runs" / str(run_id) / "probes")
        np.testing.assert_array_equal(payload.array[20:, ..., 0], mine.pixels)
    tagging = world.tagging(trainings.tagging_id)
    assert tagging.state == "finished"
    assert tagging.categories == ["prototypical", "noisy", "ood"]
    assert tagging.report["overall"]["num_held_out"] > 24
    with world.session() as session:
        used = taggings.probes(session, tagging_id=tagging.id, run_id=trainings.run_ids[0])
        assert sum(probe.source_row is None for probe in used) == 24
        # As many chosen ones as planted ones: the user's own are not counted as made.
        assert sum(probe.category == "prototypical" for probe in used) == 20


def test_without_generators_nobody_is_displaced(mine: Mine, sources: Path) -> None:
    world = mine.world
    table = {
        "image": [{"bytes": png(one), "path": f"{place}.png"} for place, one in enumerate(letters(16))],
        "label": [str(place % 10) for place in range(16)],
        "category": ["ood" if place % 2 else "odd" for place in range(16)],
        "id": [f"letter {place}" for place in range(16)],
    }
    pq.write_table(pa.table(table), sources / "letters.parquet")
    suite, _ = made(
        world,
        mine.digits,
        {"kind": "parquet", "path": "letters.parquet", "key_column": "id"},
        name="two-kinds",
        categories=[{"name": "odd", "wrong_label": True}],
    )
    trainings = world.train(mine.digits, suite=suite, num_epochs=1)
    world.succeed(trainings.job_id)
    with world.session() as session:
        planted = runs.probes(session, run_id=trainings.run_id)
        train = examples.columns(session, dataset_id=mine.digits.id).train_rows
    assert [probe.label for probe in planted] == [place % 10 for place in range(16)]
    assert [probe.category for probe in planted] == ["odd", "ood"] * 8
    loss = world.recorded(trainings.run_id)["loss"]
    assert np.isfinite(loss[train]).all()
    assert np.isfinite(loss[mine.digits.num_examples :]).all()
    payload = open_payload(world.data_dir / "runs" / str(trainings.run_id) / "probes")
    np.testing.assert_array_equal(payload.array[..., 0], letters(16))


def test_labels_may_be_mapped_by_name(mine: Mine, sources: Path) -> None:
    folder = sources / "folder"
    for place, one in enumerate(letters(8)):
        file = folder / ("three" if place % 2 else "eight") / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(one))
    suite, _ = made(
        mine.world, mine.digits, {"kind": "imagefolder", "path": "folder"}, name="mapped", category="noisy",
        label_names={"three": "3", "eight": "8"}, generators=[{"name": "scramble", "count": 4}],
    )  # fmt: skip
    with mine.world.session() as session:
        labels = examples.columns(session, dataset_id=suite.examples_dataset_id).labels
        keys = examples.all_keys(session, dataset_id=suite.examples_dataset_id)
    assert [("8" if key.startswith("eight") else "3") for key in keys] == [str(label) for label in labels]
    zipped = sources / "folder.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    said = refused(
        mine.world, mine.digits, {"kind": "imagefolder", "path": "folder.zip"}, category="noisy",
        label_names={"three": "3"}, generators=[FLIP],
    )  # fmt: skip
    assert "'eight'" in said
    shutil.rmtree(folder)


def refused(world: World, dataset: Dataset, source: dict[str, Any], **suite: Any) -> str:
    """What the failed job says. Nothing is stored: no dataset, no suite, no payload."""
    before, folders = counts(world), sorted((world.data_dir / "datasets").iterdir())
    job = world.wait_for(ask(world, dataset, source, name="refused", **suite))
    assert job.state == "failed"
    assert counts(world) == before
    assert sorted((world.data_dir / "datasets").iterdir()) == folders
    assert job.error
    return job.error


def test_wrong_rows_are_refused_with_the_reason_and_nothing_is_stored(mine: Mine, sources: Path) -> None:
    y = np.array(["3", "5", "cat", "7"])
    categories = np.array(["ood", "noisy", "ood", "imagined"])
    np.savez(sources / "bad.npz", x_train=letters(4), y_train=y, categories_train=categories)
    said = refused(mine.world, mine.digits, {"kind": "npz", "path": "bad.npz"})
    assert said.startswith("2 of the examples cannot be probes, and nothing was stored")
    assert "Row 3: There is no category 'imagined'" in said
    assert "'cat' is none of the classes" in said

    categories[3], y[2] = "ood", "2"
    np.savez(
        sources / "large.npz", x_train=np.zeros((4, 9, 8), np.uint8), y_train=y, categories_train=categories
    )
    said = refused(mine.world, mine.digits, {"kind": "npz", "path": "large.npz"})
    assert "4 of the examples" in said
    assert "8 × 9 pixels" in said


def test_an_example_that_is_in_the_dataset_already_is_worth_a_warning(mine: Mine, sources: Path) -> None:
    payload = open_payload(mine.world.data_dir / mine.digits.payload)
    pixels = np.concatenate([letters(3), payload.array[5:6, ..., 0]])
    np.savez(
        sources / "again.npz",
        x_train=pixels,
        y_train=np.zeros(4, int),
        keys_train=np.array(["a", "b", "c", "d"]),
    )
    suite, _ = made(
        mine.world,
        mine.digits,
        {"kind": "npz", "path": "again.npz"},
        name="again",
        category="ood",
        generators=[FLIP],
    )
    assert len(suite.notes) == 1
    assert suite.notes[0].startswith("1 of the examples are in the dataset already ('d' is '5')")


def test_texts(busy_world: World, sources: Path) -> None:
    words = [["good", "fine", "nice", "great"], ["bad", "poor", "awful", "sad"]]
    rng = np.random.default_rng(0)
    table = {
        "text": [" ".join(rng.choice(words[row % 2], 5)) + f" {row}" for row in range(120)],
        "label": [["up", "down"][row % 2] for row in range(120)],
    }
    pq.write_table(pa.table(table), sources / "texts.parquet")
    dataset = busy_world.add({"kind": "parquet", "path": "texts.parquet"}, name="texts")
    (sources / "own.csv").write_text(
        "text,label,category\n"
        + "".join(f"lorem ipsum {place},{'up' if place % 2 else 'down'},ood\n" for place in range(6))
        + f"{table['text'][7]},up,noisy\n"
        + "".join(f"bad poor awful nr{place},up,noisy\n" for place in range(5))
    )
    suite, _ = made(busy_world, dataset, {"kind": "csv", "path": "own.csv"}, name="own-texts")
    assert "in the dataset already ('6' is '7')" in suite.notes[0]
    trainings = busy_world.train(dataset, suite=suite, tag=True, model="ngrams", augment="none", num_epochs=3)
    busy_world.succeed(trainings.job_id)
    busy_world.succeed(
        busy_world.scalar("SELECT max(id) FROM jobs WHERE tagging_id = :t", t=trainings.tagging_id)
    )
    payload = open_payload(busy_world.data_dir / "runs" / str(trainings.run_id) / "probes")
    assert payload.text(0) == "lorem ipsum 0"
    assert busy_world.tagging(trainings.tagging_id).categories == ["noisy", "ood"]


def test_rows_of_tables(busy_world: World, sources: Path) -> None:
    rows = [f"{row},{['cook', 'smith'][row % 3 == 0]},{['x', 'y'][row % 2]}\n" for row in range(80)]
    (sources / "people.csv").write_text("age,job,label\n" + "".join(rows))
    people = busy_world.add({"kind": "csv", "path": "people.csv"}, name="people")
    (sources / "own-t.csv").write_text("job,age,label,category\n" + "smith,999,x,ood\ncook,7,y,ood\n" * 3)
    suite, _ = made(busy_world, people, {"kind": "csv", "path": "own-t.csv"}, name="t", generators=[FLIP])
    trainings = busy_world.train(people, suite=suite, model="table_mlp", augment="none", num_epochs=1)
    busy_world.succeed(trainings.job_id)
    payload = open_payload(busy_world.data_dir / "runs" / str(trainings.run_id) / "probes")
    assert payload.values(payload.num_rows - 2) == {"age": 999.0, "job": "smith"}
    assert payload.values(payload.num_rows - 1) == {"age": 7.0, "job": "cook"}


def test_a_dataset_version_without_a_class_that_they_have_cannot_be_trained_with_them(
    mine: Mine, sources: Path
) -> None:
    np.savez(sources / "two.npz", x_train=letters(40), y_train=np.arange(40) % 2)
    two = mine.world.add({"kind": "npz", "path": "two.npz"}, name="two")
    trainings = mine.world.train(two, suite=mine.suite, num_epochs=1)
    failed = mine.world.wait_for(trainings.job_id)
    assert failed.state == "failed"
    assert "no class of this dataset" in failed.error
