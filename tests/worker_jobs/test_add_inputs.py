"""① Inputs added to a dataset of labels alone, end to end: all or nothing, once, and then trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest

from store import datasets, examples, jobs, projects
from store.payloads import open_payload
from store.tables import Dataset, Job
from tests.worker_jobs.worlds import World, kill, wait_until

NUM = 60
KEYS = [f"k{at}" for at in range(NUM)]
LABELS = np.arange(NUM) % 2
RNG = np.random.default_rng(0)
VALUES = (RNG.normal(size=(NUM, 3)) + 3 * LABELS[:, None]).astype(np.float32)


@pytest.fixture(scope="module")
def sources(world: World) -> Path:
    folder = world.data_dir / "sources"
    folder.mkdir()
    world.settings["SONDAGE_SOURCE_ROOTS"] = str(folder)
    return folder


@pytest.fixture(scope="module")
def listening(sources: Path, busy_world: World) -> World:
    return busy_world


def labels_alone(world: World, name: str) -> Dataset:
    with world.session() as session:
        new = datasets.NewDataset(
            name=name, fingerprint="f" * 64, modality="none", class_names=["cat", "dog"], keys=KEYS,
            labels=LABELS, splits=["train"] * 40 + ["validation"] * 20, source={"kind": "recorded"},
        )  # fmt: skip
        return datasets.add(session, project_id=projects.ensure(session).id, new=new)[0]


def vectors(folder: Path, name: str, *, shift: float = 0.0, backwards: bool = False) -> dict[str, Any]:
    step = -1 if backwards else 1
    x, y, keys = VALUES[::step] + np.float32(shift), LABELS[::step], np.array(KEYS)[::step]
    np.savez(folder / f"{name}.npz", x_train=x, y_train=y, keys_train=keys)
    return {"kind": "npz", "path": f"{name}.npz"}


def add_inputs(world: World, dataset: Dataset, source: dict[str, Any], **how: Any) -> int:
    with world.session() as session:
        return jobs.create(
            session, project_id=dataset.project_id, kind="register", dataset_id=dataset.id,
            arguments={"source": source, "inputs": how},
        ).id  # fmt: skip


def now(world: World, dataset: Dataset) -> Dataset:
    with world.session() as session:
        return session.get_one(Dataset, dataset.id)


def folders(world: World) -> set[str]:
    place = world.data_dir / "datasets"
    return {path.name for path in place.iterdir()} if place.exists() else set()


def test_the_version_stays_and_has_inputs(listening: World, sources: Path) -> None:
    before = labels_alone(listening, "vectors")
    job = listening.succeed(
        add_inputs(listening, before, vectors(sources, "backwards", backwards=True), match="key")
    )
    assert job.result == {"dataset_id": before.id, "is_new": True, "num_unknown": 0}
    after = now(listening, before)
    assert (after.modality, after.version, after.fingerprint) == ("vector", 1, before.fingerprint)
    assert after.payload.startswith(f"datasets/{before.id}-")
    np.testing.assert_array_equal(open_payload(listening.data_dir / after.payload).array, VALUES)
    assert after.source["kind"] == "recorded"
    assert after.source["inputs"]["file"] == "backwards.npz"
    assert len(datasets.inputs_fingerprint(after)) == 64
    with listening.session() as session:
        assert examples.all_keys(session, dataset_id=before.id) == KEYS
        assert (examples.columns(session, dataset_id=before.id).labels == LABELS).all()
    assert labels_alone(listening, "vectors").id == before.id, "recorded again, it is the same version"


def test_the_same_inputs_are_nothing_new_and_others_are_refused(listening: World, sources: Path) -> None:
    dataset = labels_alone(listening, "twice")
    listening.succeed(add_inputs(listening, dataset, vectors(sources, "straight")))
    first, there = now(listening, dataset), folders(listening)
    again = listening.succeed(add_inputs(listening, dataset, vectors(sources, "other-way", backwards=True)))
    assert again.result is not None
    assert again.result["is_new"] is False
    refused = listening.wait_for(add_inputs(listening, dataset, vectors(sources, "shifted", shift=1)))
    assert refused.state == "failed"
    assert "these are others" in str(refused.error)
    assert (now(listening, dataset).payload, now(listening, dataset).source) == (first.payload, first.source)
    assert folders(listening) == there


def test_what_does_not_fit_leaves_nothing(listening: World, sources: Path) -> None:
    dataset, there = labels_alone(listening, "unfit"), folders(listening)
    frame = pd.DataFrame({"id": [*KEYS[:-1], "strange"], "text": KEYS, "label": LABELS})
    frame.to_csv(sources / "unfit.csv", index=False)
    source = {"kind": "csv", "path": "unfit.csv", "key_column": "id"}
    job = listening.wait_for(add_inputs(listening, dataset, source))
    assert job.state == "failed"
    for words in ("'strange'", f"Example {NUM - 1} ('k{NUM - 1}')", "nothing was added"):
        assert words in str(job.error)
    assert now(listening, dataset).modality == "none"
    assert folders(listening) == there


def test_two_of_the_same_labels_get_different_inputs(listening: World, sources: Path) -> None:
    """The fingerprint of their labels is one: what is cached of their inputs must not be."""
    table = pd.DataFrame({"id": KEYS, "text": [f"a word {label}" for label in LABELS], "label": LABELS})
    trained = {}
    for name, words in (("here", "a word"), ("there", "quite another thing")):
        table["text"] = [f"{words} {label}" for label in LABELS]
        table.sample(frac=1, random_state=1).to_csv(sources / f"{name}.csv", index=False)
        dataset = labels_alone(listening, f"texts-{name}")
        source = {"kind": "csv", "path": f"{name}.csv", "key_column": "id"}
        listening.succeed(add_inputs(listening, dataset, source))
        run = listening.train(now(listening, dataset), model="ngrams", num_epochs=3, augment="none")
        listening.succeed(run.job_id)
        trained[name] = datasets.inputs_fingerprint(now(listening, dataset))
        loss = listening.recorded(run.run_id)["loss"]
        assert loss.shape == (NUM, 3)
        assert np.isfinite(loss[:40]).all(), "of the train split"
    caches = {path.name for path in (listening.data_dir / "cache").iterdir()}
    assert set(trained.values()) <= caches
    assert len(set(trained.values())) == 2
    assert "f" * 64 not in caches


def test_killed_with_its_payload_beside_its_place(listening: World, sources: Path) -> None:
    dataset, there = labels_alone(listening, "killed-before"), folders(listening)
    with psycopg.connect(listening.database.conninfo) as held:
        held.execute("SELECT FROM datasets WHERE id = %s FOR NO KEY UPDATE", [dataset.id])
        number = add_inputs(listening, dataset, vectors(sources, "killed", backwards=True))
        wait_until(lambda: _is_storing(listening, number), "the job has written its payload")
        half = folders(listening) - there
        assert {name[0] for name in half} == {"."}
        kill(_child(listening))
    _done_at_the_second_attempt(listening, dataset, number, there | half)


def test_killed_with_its_payload_in_its_place(listening: World, sources: Path) -> None:
    """Its transaction waits between the rename and the commit: for the row of its dataset, by a trigger."""
    dataset, there = labels_alone(listening, "killed-after"), folders(listening)
    address = listening.database.conninfo
    with psycopg.connect(address, autocommit=True) as made, psycopg.connect(address) as held:
        made.execute(SLOW_UPDATE)
        held.execute("SELECT pg_advisory_xact_lock(4711)")
        number = add_inputs(listening, dataset, vectors(sources, "killed", backwards=True))
        wait_until(
            lambda: [name for name in folders(listening) - there if name[0] != "."],
            "the payload has its name",
        )
        half = folders(listening) - there
        assert now(listening, dataset).modality == "none"
        kill(_child(listening))
        held.rollback()
        made.execute("DROP TRIGGER waits ON datasets")
    _done_at_the_second_attempt(listening, dataset, number, there | half)


SLOW_UPDATE = """
CREATE OR REPLACE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$;
CREATE TRIGGER waits BEFORE UPDATE ON datasets FOR EACH ROW EXECUTE FUNCTION waits();
"""


def _done_at_the_second_attempt(world: World, dataset: Dataset, number: int, before: set[str]) -> None:
    assert world.succeed(number).attempt == 2
    after = now(world, dataset)
    assert folders(world) - before == {Path(after.payload).name}
    assert not {name for name in folders(world) if name.startswith(f"{dataset.id}-")} & before
    np.testing.assert_array_equal(open_payload(world.data_dir / after.payload).array, VALUES)


def _child(world: World) -> Any:
    return wait_until(world.child, "a child at work")


def _is_storing(world: World, number: int) -> bool:
    with world.session() as session:
        return session.get_one(Job, number).progress.get("phase") == "storing"
