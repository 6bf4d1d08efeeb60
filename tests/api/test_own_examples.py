"""Suites of examples of the user's own: asked for, planted, looked at, sent, deleted."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from sondage.client.own_examples import own_suite
from sondage.probes.own import TableRow
from sondage.probes.plan import known_roles
from sondage.probes.suite import SuiteDefinition
from store import curves, projects, runs, suites, taggings, tags
from store import tables as t
from store.engine import transaction
from tests.api.worlds import (
    CLASSES,
    NUM_EPOCHS,
    NUM_TRAIN,
    N,
    World,
    add_dataset,
    queued_run,
    write_pixels,
    write_table,
    write_texts,
)

OWN = 6


def ask(world: World, **options: Any) -> dict[str, Any]:
    body = {"name": "mine", "dataset_id": world.dataset, "source": {"kind": "digits"}, "category": "ood"}
    return body | {"generators": [{"name": "flip"}]} | options


@dataclass(frozen=True)
class Mine:
    world: World
    suite: int
    examples: int
    run: int
    tagging: int


def add_own(session: Any, project: t.Project, own: t.Dataset, **options: Any) -> t.Suite:
    keys = [f"own-{place}" for place in range(OWN)]
    categories = ["ood", "noisy"] * (OWN // 2)
    definition = SuiteDefinition(
        "mine",
        examples=tuple(zip(keys, categories, strict=True)),
        examples_fingerprint=own.fingerprint,
        **options,
    )
    roles = known_roles(np.array(categories), definition).tolist()
    return suites.add(
        session,
        project_id=project.id,
        name="mine",
        digest=definition.digest(),
        definition=definition.to_dict(),
        examples_dataset_id=own.id,
        members=list(zip(range(OWN), categories, roles, strict=True)),
        notes=["1 of the examples are in the dataset already."],
    )


def own_pictures(session: Any, project: t.Project, world: World) -> t.Dataset:
    own = add_dataset(
        session, project, "mine-examples", "image", [f"own-{place}" for place in range(OWN)], ["train"] * OWN
    )
    pixels = np.arange(OWN * 64, dtype=np.uint32).reshape(OWN, 8, 8, 1) * 3 % 251
    write_pixels(world.settings.data_dir / own.payload, pixels.astype(np.uint8))
    return own


@pytest.fixture
def mine(world: World) -> Mine:
    """A finished run in which six pictures of the user's own were planted, and its tagging."""
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        dataset = session.get_one(t.Dataset, world.dataset)
        own = own_pictures(session, project, world)
        suite = add_own(session, project, own)
        run = queued_run(session, dataset, suite, "own-s0")
        members = suites.members(session, suite_id=suite.id)
        runs.plant(
            session,
            run=run,
            probes=[
                runs.PlantedProbe(
                    N + one.index, one.category, one.role, "own", None, one.index % 4, one.index
                )
                for one in members
            ],
        )
        loss = np.linspace(0, 1, (N + OWN) * NUM_EPOCHS, dtype=np.float32).reshape(N + OWN, NUM_EPOCHS)
        for epoch in range(NUM_EPOCHS):
            curves.write_epoch(session, run_id=run.id, epoch=epoch, channels={"loss": loss[:, epoch]})
            runs.close_epoch(session, run_id=run.id, epoch=epoch, attempt=1, metrics={})
        runs.set_state(session, run_id=run.id, state="finished")
        session.flush()
        session.refresh(run)
        tagging = taggings.create(
            session, project_id=project.id, runs=[run], suite_id=suite.id, tagger="reference"
        )
        index = np.arange(NUM_TRAIN)
        tags.write(
            session,
            tagging_id=tagging.id,
            columns=tags.TagColumns(
                index=index,
                position=index,
                tag=np.zeros(NUM_TRAIN, np.int16),
                suspicion=np.zeros(NUM_TRAIN, np.float32),
                label=np.zeros(NUM_TRAIN, np.int32),
                suggested_label=np.full(NUM_TRAIN, -1, np.int32),
                displaced=np.zeros(NUM_TRAIN, bool),
                probabilities=np.full((NUM_TRAIN, 2), 0.5, np.float32),
            ),
        )
        taggings.save_probes(
            session,
            tagging_id=tagging.id,
            probes=[(run.id, N + one.index, one.category, one.role, None) for one in members],
        )
        taggings.save_report(
            session, tagging_id=tagging.id, categories=["noisy", "ood"], calibration="none", report={}
        )
        taggings.set_state(session, tagging_id=tagging.id, state="finished")
        return Mine(world, suite.id, own.id, run.id, tagging.id)


def test_a_suite_of_own_examples_is_asked_for_as_a_job(world: World) -> None:
    job = world.post("/suites/examples", 202, json=ask(world))
    assert (job["kind"], job["state"]) == ("register", "queued")
    with transaction(world.database.engine) as session:
        arguments = session.get_one(t.Job, job["id"]).arguments
    assert arguments["name"] == "mine-examples"
    assert arguments["suite"]["dataset_id"] == world.dataset
    assert arguments["suite"]["category"] == "ood"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"category": "imagined"}, "category"),
        ({"category_column": "kind"}, "category"),
        ({"generators": []}, "generators"),
        ({"generators": [{"name": "scramble"}]}, "generators"),
        ({"generators": [{"name": "flip", "category": "imagined"}]}, "category"),
        ({"source": {"kind": "digits", "noise": {"share": 0.1}}}, "source.noise"),
        ({"source": {"kind": "digits", "skip_invalid": True}}, "source.skip_invalid"),
        ({"source": {"kind": "npz"}}, "source.path"),
        ({"source": {"kind": "npz", "path": "upload:0"}}, "source.path"),
        ({"categories": [{"name": "ood", "wrong_label": True}]}, "categories"),
    ],
)
def test_what_needs_no_reading_is_checked_at_once(world: World, options: dict[str, Any], field: str) -> None:
    problem = world.post("/suites/examples", 422, json=ask(world, **options))
    assert problem["errors"][0]["field"] == field, problem
    assert world.get("/jobs")["items"] == []
    world.post("/suites/examples", 404, json=ask(world, dataset_id=999))


def test_the_suite_says_what_it_is(mine: Mine) -> None:
    found = mine.world.get(f"/suites/{mine.suite}")
    assert (found["kind"], found["dataset_id"], found["examples_dataset_id"]) == (
        "examples",
        None,
        mine.examples,
    )
    assert found["num_members"] == OWN
    assert found["warnings"][0] == "1 of the examples are in the dataset already."
    assert "examples" not in found["definition"]
    assert [one["id"] for one in mine.world.get("/suites?kind=examples")["items"]] == [mine.suite]


def test_probes_without_a_source_are_listed(mine: Mine) -> None:
    found = mine.world.get(f"/runs/{mine.run}/probes")["items"]
    assert [one["source_row"] for one in found] == [None] * OWN
    assert [one["example_index"] for one in found] == list(range(OWN))
    assert {one["example_dataset_id"] for one in found} == {mine.examples}
    assert [one["label_name"] for one in found] == [CLASSES[place % 4] for place in range(OWN)]
    of_generators = mine.world.get(f"/runs/{mine.world.runs[0]}/probes")["items"]
    assert all(one["example_index"] is None and one["source_row"] is not None for one in of_generators)


def test_a_nearest_probe_shows_its_own_picture(mine: Mine) -> None:
    found = mine.world.get(f"/taggings/{mine.tagging}/tags/20/explanation?k=3")["neighbours"]
    assert found
    for one in found:
        probe = one["probe"]
        assert probe["source_row"] is None
        assert f"/datasets/{mine.examples}/examples/{probe['example_index']}/" in one["picture_url"]
        assert mine.world.client.get(one["picture_url"]).content.startswith(b"\x89PNG")


def test_the_examples_are_sent_to_be_planted_elsewhere(mine: Mine) -> None:
    answer = mine.world.client.get(f"{mine.world.url}/suites/{mine.suite}/examples")
    assert answer.headers["content-type"] == "application/x-npz"
    suite = own_suite(answer.content, mine.suite)
    assert suite.suite_id == mine.suite
    assert suite.definition.examples_fingerprint
    assert suite.examples.keys == [f"own-{place}" for place in range(OWN)]
    assert suite.examples.categories == ["ood", "noisy"] * 3
    assert suite.examples.class_names == CLASSES
    assert [one.shape for one in suite.examples.inputs] == [(8, 8, 1)] * OWN
    with transaction(mine.world.database.engine) as session:
        roles = [one.role for one in suites.members(session, suite_id=mine.suite)]
    assert suite.roles == roles
    problem = mine.world.get(f"/suites/{mine.world.suite}/examples", 422)
    assert "no examples of its own" in problem["detail"]


def test_texts_and_rows_of_tables_are_sent(world: World) -> None:
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        keys = [f"own-{place}" for place in range(OWN)]
        texts = add_dataset(session, project, "t", "text", keys, ["train"] * OWN)
        write_texts(world.settings.data_dir / texts.payload, [f"wörd {place}" for place in range(OWN)])
        table = add_dataset(session, project, "u", "table", keys, ["train"] * OWN)
        write_table(world.settings.data_dir / table.payload, [0.1] * OWN, ["côok", None] * (OWN // 2))
        numbers = add_own(session, project, texts).id, add_own(session, project, table, seed=1).id
    content = world.client.get(f"{world.url}/suites/{numbers[0]}/examples").content
    assert own_suite(content, 1).examples.inputs == [f"wörd {place}" for place in range(OWN)]
    rows = own_suite(world.client.get(f"{world.url}/suites/{numbers[1]}/examples").content, 2).examples.inputs
    assert rows == [TableRow(age=0.1, job="côok"), TableRow(age=0.1, job=None)] * (OWN // 2)
    assert all(type(row) is TableRow for row in rows)
    with np.load(io.BytesIO(content)) as arrays:
        assert json.loads(str(arrays["definition"]))["name"] == "mine"


def test_they_are_planted_in_trainings_of_their_kind_and_classes_alone(mine: Mine) -> None:
    world = mine.world
    body = {"name": "next", "dataset_id": world.dataset, "suite": "mine", "seeds": [0]}
    started = world.post("/runs", 202, json=body)
    assert started["runs"][0]["suite_id"] == mine.suite
    assert started["tagging"]["suite_id"] == mine.suite
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        texts = add_dataset(
            session, project, "texts", "text", [f"k{place}" for place in range(40)], ["train"] * 40
        )
        others = add_dataset(
            session, project, "two", "image", [f"k{place}" for place in range(40)], ["train"] * 40
        )
        others.class_names = ["cat", "dog"]
        numbers = texts.id, others.id
    refused = world.post("/runs", 422, json=body | {"name": "a", "dataset_id": numbers[0]})
    assert "modality image" in refused["detail"]
    refused = world.post("/runs", 422, json=body | {"name": "a", "dataset_id": numbers[1]})
    assert "no class of dataset two" in refused["detail"]


def test_runs_are_tagged_by_them_only_where_they_were_planted(mine: Mine) -> None:
    world = mine.world
    assert world.post("/taggings", 202, json={"run_ids": [mine.run]})["suite_id"] == mine.suite
    body = {"run_ids": [world.runs[0]], "suite_id": mine.suite}
    assert "was not planted" in world.post("/taggings", 422, json=body)["detail"]


def test_deletion_names_what_depends(mine: Mine) -> None:
    world = mine.world
    named = world.delete(f"/datasets/{mine.examples}?dry_run=true")["dependants"]
    assert [(one["kind"], one["id"]) for one in named] == [
        ("tagging", mine.tagging), ("run", mine.run), ("suite", mine.suite)
    ]  # fmt: skip
    assert f"suite {mine.suite}" in world.delete(f"/datasets/{mine.examples}", 409)["detail"]
    world.delete(f"/suites/{mine.suite}?cascade=true")
    world.get(f"/datasets/{mine.examples}")
    assert world.delete(f"/datasets/{mine.examples}")["dependants"] == []


# ---- in a loop of the user's own


def begun(mine: Mine, **options: Any) -> str:
    body = {
        "name": "loop",
        "dataset_id": mine.world.dataset,
        "num_rows": N + OWN,
        "channels": {"loss": "float32"},
        "suite_id": mine.suite,
    }
    run = mine.world.post("/runs/recorded", 201, json=body | options)["run"]["id"]
    return f"{mine.world.url}/runs/{run}"


def told(place: int, **other: Any) -> dict[str, Any]:
    category = "noisy" if place % 2 else "ood"
    usual = {"row": N + place, "category": category, "role": "fit", "label": 1, "generator": "own"}
    return usual | {"source_row": None, "example_index": place} | other


def test_a_recorded_run_is_told_of_them(mine: Mine) -> None:
    url = begun(mine)
    answer = mine.world.client.put(f"{url}/probes", json=[told(place) for place in range(OWN)])
    assert answer.json()["categories"] == {"ood": 3, "noisy": 3}
    found = mine.world.client.get(f"{url}/probes").json()["items"]
    assert [one["example_index"] for one in found] == list(range(OWN))
    losses = np.ones(N + OWN, np.float32)
    put = mine.world.client.put(
        f"{url}/curves/loss/0/0",
        content=losses.tobytes(),
        headers={"content-type": "application/octet-stream"},
    )
    assert put.status_code == 200
    closed = mine.world.client.post(f"{url}/epochs/0", json={"counts": {"loss": NUM_TRAIN + OWN}})
    assert closed.status_code == 200
    metrics = mine.world.client.get(f"{url}/epochs").json()["items"][0]["metrics"]
    assert metrics["coverage"] == 1.0, "nobody is displaced"


def test_those_that_stayed_on_the_users_machine_have_no_number(mine: Mine) -> None:
    url = begun(mine, suite_id=None)
    given = [told(place) for place in range(OWN)]
    for probe in given:
        del probe["example_index"], probe["source_row"]
    assert mine.world.client.put(f"{url}/probes", json=given).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (told(1, example_index=OWN), "unknown_example"),
        (told(1, category="ood"), "category_differs"),
        (told(1, source_row=3), "made_or_own"),
        (told(1, row=3), "source_differs"),
        (told(1, label=9), "unknown_label"),
    ],
)
def test_one_wrong_one_and_nothing_is_stored(mine: Mine, wrong: dict[str, Any], code: str) -> None:
    url = begun(mine)
    given = [told(place) for place in range(OWN) if place != 1]
    answer = mine.world.client.put(f"{url}/probes", json=[*given, wrong])
    assert answer.status_code == 422
    assert code in [one["code"] for one in answer.json()["errors"]]
    assert mine.world.client.get(f"{url}/probes").json()["items"] == []
