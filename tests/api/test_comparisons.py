"""Two taggings compared; agreement of seeds as a filter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from store import datasets, projects, runs, suites, taggings, tags
from store.engine import transaction
from tests.api.worlds import CATEGORIES, CLASSES, NUM_TRAIN, World, add_dataset, queued_run
from tests.rows import tag_columns


def add_other(world: World) -> int:
    """The list turned round, all of it prototypical; two runs trained all but the first four, and agree on the even."""
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        found = [runs.get(session, project_id=project.id, run_id=run) for run in world.runs]
        tagging = taggings.create(
            session, project_id=project.id, runs=found, suite_id=world.suite, tagger="reference"
        )
        rows = [
            (at, NUM_TRAIN - 1 - at, 0, at / NUM_TRAIN, at % len(CLASSES), None, False, [1.0, 0.0])
            for at in range(NUM_TRAIN)
        ]
        at = np.arange(NUM_TRAIN)
        trained = np.where(at < 4, 1, 2).astype(np.int16)
        agreeing = (trained - at % 2).astype(np.int16)
        columns = replace(tag_columns(rows), runs_trained=trained, runs_agreeing=agreeing)
        tags.write(session, tagging_id=tagging.id, columns=columns)
        taggings.save_report(
            session, tagging_id=tagging.id, categories=CATEGORIES, calibration="none", report={}
        )
        taggings.set_state(session, tagging_id=tagging.id, state="finished")
        return tagging.id


@pytest.fixture(scope="module")
def other(read_world: World) -> int:
    return add_other(read_world)


def test_what_changed(read_world: World, other: int) -> None:
    found = read_world.get(f"/taggings/{read_world.tagging}/compare/{other}")
    assert (found["num_examples"], found["num_ranked"]) == (NUM_TRAIN, NUM_TRAIN - 1)
    assert found["tags"] == found["other_tags"] == ["prototypical", "noisy", "unsure"]
    assert found["counts"] == [[16, 0, 0], [15, 0, 0], [1, 0, 0]]
    assert found["num_same"] == 16
    assert found["rank_correlation"] == pytest.approx(-1)
    assert found["overlaps"] == [{"n": 10, "num_common": 0, "expected": pytest.approx(100 / 31)}]


def changes(world: World, other: int, query: str = "", limit: int = 1000) -> list[dict[str, Any]]:
    found, cursor = [], ""
    while True:
        page = world.get(f"/taggings/{world.tagging}/compare/{other}/changes?limit={limit}{query}{cursor}")
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def test_what_moved_furthest_comes_first_page_by_page(read_world: World, other: int) -> None:
    whole = changes(read_world, other)
    assert [one["first"]["index"] for one in whole[:2]] == [0, 31]  # from one end to the other
    assert whole[-1]["first"]["tag"] == "unsure"
    assert changes(read_world, other, limit=5) == whole
    one = whole[0]
    assert (one["first"]["tag"], one["second"]["tag"]) == ("noisy", "prototypical")
    assert (one["first"]["position"], one["second"]["position"]) == (0, 31)
    assert one["first"]["picture_url"]


def test_changes_from_one_tag_to_another(read_world: World, other: int) -> None:
    found = changes(read_world, other, "&tag=noisy&other_tag=prototypical", limit=4)
    assert {one["first"]["tag"] for one in found} == {"noisy"}
    assert len(found) == 15
    assert changes(read_world, other, "&tag=noisy&other_tag=noisy") == []
    path = f"/taggings/{read_world.tagging}/compare/{other}/changes"
    assert read_world.get(f"{path}?other_tag=odd", 422)["errors"][0]["field"] == "other_tag"


def test_only_finished_taggings_of_one_dataset_version(world: World) -> None:
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        elsewhere = add_dataset(session, project, "other", "image", ["a", "b"], ["train", "train"])
        suite = suites.get(session, project_id=project.id, suite_id=world.suite)
        run = queued_run(session, elsewhere, suite, "f")
        foreign = taggings.create(
            session, project_id=project.id, runs=[run], suite_id=suite.id, tagger="reference"
        )
        assert datasets.get(session, project_id=project.id, dataset_id=world.dataset).id != elsewhere.id
        number = foreign.id
    path = f"/taggings/{world.tagging}/compare"
    assert "queued" in world.get(f"{path}/{number}", 409)["detail"]
    with transaction(world.database.engine) as session:
        taggings.set_state(session, tagging_id=number, state="finished")
    refused = world.get(f"{path}/{number}", 422)
    assert refused["errors"][0]["field"] == "other_id"
    assert "other v1" in refused["detail"]
    world.get(f"{path}/999", 404)


def test_the_same_tag_in_all_seeds(read_world: World, other: int) -> None:
    path = f"/taggings/{other}/tags?limit=1000&in_all_seeds"
    there = [one["index"] for one in read_world.get(f"{path}=true")["items"]]
    not_there = [one["index"] for one in read_world.get(f"{path}=false")["items"]]
    assert sorted(there) == list(range(4, NUM_TRAIN, 2))
    assert sorted(not_there) == list(range(5, NUM_TRAIN, 2))
    one = read_world.get(f"/taggings/{other}/tags/7")
    assert (one["runs_trained"], one["runs_agreeing"]) == (2, 1)
    facets = read_world.get(f"/taggings/{other}/facets?in_all_seeds=true&order_by=mean_loss")
    assert facets["count"] == len(there)
    # Tags from before it was counted have no numbers, and are in neither list.
    old = read_world.get(f"/taggings/{read_world.tagging}/tags/7")
    assert (old["runs_trained"], old["runs_agreeing"]) == (None, None)
    assert read_world.get(f"/taggings/{read_world.tagging}/tags?in_all_seeds=false")["items"] == []


def test_one_run_is_no_consensus(world: World) -> None:
    with transaction(world.database.engine) as session:
        run = runs.get(session, project_id=1, run_id=world.runs[0])
        tagging = taggings.create(session, project_id=1, runs=[run], suite_id=world.suite, tagger="reference")
        taggings.set_state(session, tagging_id=tagging.id, state="finished")
        number = tagging.id
    refused = world.get(f"/taggings/{number}/tags?in_all_seeds=true", 422)
    assert refused["errors"][0]["field"] == "in_all_seeds"
