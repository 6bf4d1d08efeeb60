"""The suspicious list: filters, orders, pages, fields, facets; scores; decisions."""

from __future__ import annotations

import shutil
from itertools import product
from typing import Any

import numpy as np
import pytest

from store import curves
from store.engine import transaction
from tests.api.worlds import CLASSES, NUM_EPOCHS, NUM_TRAIN, N, World, curves_of, given_labels, mean_loss


def tags_of(world: World, query: str = "", limit: int = 1000) -> list[dict[str, Any]]:
    """All pages of the list."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = world.get(f"/taggings/{world.tagging}/tags?limit={limit}&{query}{cursor}")
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def indices(found: list[dict[str, Any]]) -> list[int]:
    return [one["index"] for one in found]


def test_the_worst_come_first_and_what_has_no_suspicion_last(read_world: World) -> None:
    found = tags_of(read_world)
    suspicions = [one["suspicion"] for one in found]
    assert suspicions[:-1] == sorted(suspicions[:-1], reverse=True)
    assert (found[-1]["index"], found[-1]["suspicion"], found[-1]["tag"], found[-1]["displaced"]) == (
        3,
        None,
        "unsure",
        True,
    )
    assert found[-1]["probabilities"] is None


def test_a_tag_has_names_scores_and_a_picture(read_world: World) -> None:
    one = next(one for one in tags_of(read_world) if one["index"] == 1)
    assert (one["key"], one["label_name"], one["suggested_label_name"]) == ("k1", "dog", "cat")
    assert one["probabilities"] == {
        "prototypical": pytest.approx(0.03125, abs=1e-3),
        "noisy": pytest.approx(0.96875, abs=1e-3),
    }
    assert one["scores"] == {"mean_loss": 0.0, "aum": 0.0}
    assert one["decision"] is None
    assert read_world.client.get(one["picture_url"]).status_code == 200
    assert tags_of(read_world, "order_by=index")[5]["scores"] == {"mean_loss": None, "aum": None}


@pytest.mark.parametrize(
    ("order", "limit"), list(product(["suspicion", "index", "mean_loss", "aum"], [1, 7, 31, 32]))
)
def test_pages_are_the_list_in_pieces(read_world: World, order: str, limit: int) -> None:
    whole = tags_of(read_world, f"order_by={order}")
    assert indices(tags_of(read_world, f"order_by={order}", limit)) == indices(whole)
    assert sorted(indices(whole)) == list(range(NUM_TRAIN))


def test_by_a_score_its_bad_end_comes_first(read_world: World) -> None:
    values = mean_loss()[:NUM_TRAIN]
    expected = [index for index in np.lexsort((np.arange(NUM_TRAIN), -values)) if index != 5] + [5]
    assert indices(tags_of(read_world, "order_by=mean_loss")) == expected
    assert indices(tags_of(read_world, "order_by=aum")) == expected
    refused = read_world.get(f"/taggings/{read_world.tagging}/tags?order_by=el2n", 422)
    assert "aum, mean_loss" in refused["detail"]


def test_filters_hold_together(read_world: World) -> None:
    everything = tags_of(read_world, "order_by=index")
    labels = given_labels()
    cases: list[tuple[str, Any]] = [
        ("tag=noisy", lambda one: one["tag"] == "noisy"),
        ("tag=unsure", lambda one: one["tag"] == "unsure"),
        ("label=dog", lambda one: labels[one["index"]] == 1),
        ("label=1", lambda one: labels[one["index"]] == 1),
        ("label=%3Dfox()", lambda one: labels[one["index"]] == 3),
        ("suggested_label=cat", lambda one: one["index"] == 1),
        ("min_suspicion=0.5", lambda one: (one["suspicion"] or 0) >= 0.5),
        ("max_suspicion=0.5", lambda one: one["suspicion"] is not None and one["suspicion"] <= 0.5),
        ("decision=none", lambda one: True),
        ("decision=keep", lambda one: False),
        ("tag=noisy&label=dog&min_suspicion=0.7", lambda one: one["index"] in (1, 5, 9)),
    ]  # fmt: skip
    for query, holds in cases:
        expected = sorted(one["index"] for one in everything if holds(one))
        for order in ("suspicion", "index", "mean_loss"):
            assert sorted(indices(tags_of(read_world, f"{query}&order_by={order}", 3))) == expected, (
                query,
                order,
            )
        facets = read_world.get(f"/taggings/{read_world.tagging}/facets?{query}")
        assert (
            facets["count"] == len(expected) == sum(facets["tags"].values()) == sum(facets["labels"].values())
        )


@pytest.mark.parametrize(
    "query",
    ["tag=odd", "label=cow", "label=4", "suggested_label=cow", "min_suspicion=2", "max_suspicion=-1", "decision=maybe",
     "order_by=", "limit=0", "limit=1001", "fields=nothing", "min_suspicion=x"],
)  # fmt: skip
def test_wrong_filters_are_refused(read_world: World, query: str) -> None:
    read_world.get(f"/taggings/{read_world.tagging}/tags?{query}", 422)


def test_facets(read_world: World) -> None:
    facets = read_world.get(f"/taggings/{read_world.tagging}/facets")
    assert facets["count"] == NUM_TRAIN
    assert facets["tags"] == {"unsure": 1, "prototypical": 16, "noisy": 15}
    assert facets["labels"] == dict.fromkeys(CLASSES, 8)


def test_only_some_fields(read_world: World) -> None:
    page = read_world.get(f"/taggings/{read_world.tagging}/tags?fields=suspicion,%20tag&limit=2")
    assert [set(one) for one in page["items"]] == [{"index", "suspicion", "tag"}] * 2
    rest = read_world.get(
        f"/taggings/{read_world.tagging}/tags?fields=key&limit=1000&cursor={page['next_cursor']}"
    )
    assert len(rest["items"]) == NUM_TRAIN - 2


def test_one_tag(read_world: World) -> None:
    path = f"/taggings/{read_world.tagging}/tags"
    assert read_world.get(f"{path}/1") == next(one for one in tags_of(read_world) if one["index"] == 1)
    assert "train split" in read_world.get(f"{path}/{NUM_TRAIN}", 404)["detail"]
    read_world.get("/taggings/999/tags/0", 404)


# ---- explanations


def test_an_explanation(read_world: World) -> None:
    found = read_world.get(f"/taggings/{read_world.tagging}/tags/20/explanation")
    assert (found["run_id"], found["channel"]) == (read_world.runs[0], "loss")
    own = read_world.get(f"/runs/{read_world.runs[0]}/curves/loss?rows=20")["curves"][0]["values"]
    assert found["curve"] == own
    assert {band["category"] for band in found["bands"]} == {"prototypical", "noisy"}
    for band in found["bands"]:
        assert np.all(np.array(band["low"]) <= band["median"])
        assert np.all(np.array(band["median"]) <= band["high"])
    assert found["predicted"] == [CLASSES[given_labels()[20]]] * 5


def test_its_neighbours_are_the_nearest_fit_probes(read_world: World) -> None:
    path = f"/taggings/{read_world.tagging}/tags/20/explanation"
    found = read_world.get(path + "?k=6")["neighbours"]
    own = read_world.get(f"/runs/{read_world.runs[0]}/curves/loss?rows=20")["curves"][0]["values"]
    probes = read_world.get(f"/runs/{read_world.runs[0]}/probes")["items"]
    fit = [probe["row"] for probe in probes if probe["role"] == "fit"]
    assert sorted(one["probe"]["row"] for one in found) == fit
    distances = [one["distance"] for one in found]
    assert distances == sorted(distances)
    for one in found:
        assert one["distance"] == pytest.approx(
            float(np.linalg.norm(np.subtract(one["curve"], own))), abs=1e-5
        )
        planted = next(probe for probe in probes if probe["row"] == one["probe"]["row"])
        assert one["probe"] == planted
        assert read_world.client.get(one["picture_url"]).status_code == 200
    assert len(read_world.get(path + "?k=2")["neighbours"]) == 2


def test_a_probe_whose_input_is_not_here_has_no_picture(world: World) -> None:
    """A page that asked for it would have an error in its console for each."""
    for run in world.runs:
        shutil.rmtree(world.settings.data_dir / "runs" / str(run))
    found = world.get(f"/taggings/{world.tagging}/tags/20/explanation")["neighbours"]
    made = [
        one for one in found if one["probe"]["row"] >= world.get(f"/datasets/{world.dataset}")["num_examples"]
    ]
    assert made
    assert {one["picture_url"] for one in made} == {None}


def test_the_channel_shown_does_not_change_the_neighbours(read_world: World) -> None:
    path = f"/taggings/{read_world.tagging}/tags/20/explanation"
    loss, margin = read_world.get(path), read_world.get(path + "?channel=margin")
    assert [one["probe"]["row"] for one in margin["neighbours"]] == [
        one["probe"]["row"] for one in loss["neighbours"]
    ]
    assert margin["curve"] == pytest.approx([1 - value for value in loss["curve"]])
    predicted = read_world.get(path + "?channel=predicted")
    assert predicted["bands"] == []
    assert "recorded" in read_world.get(path + "?channel=other", 404)["detail"]


def test_the_run_shown_is_one_that_trained_on_the_example(read_world: World) -> None:
    path = f"/taggings/{read_world.tagging}/tags/2/explanation"
    assert read_world.get(path)["run_id"] == read_world.runs[1]
    displaced = read_world.get(f"{path}?run_id={read_world.runs[0]}")
    assert displaced["curve"] == [None] * 5
    assert displaced["neighbours"] == []
    assert displaced["predicted"] == [None] * 5
    assert read_world.get(f"{path}?run_id=999", 422)["errors"][0]["field"] == "run_id"
    read_world.get(f"/taggings/{read_world.tagging}/tags/{N}/explanation", 404)
    read_world.get(path + "?k=0", 422)


def test_a_run_that_only_scored_the_example_is_not_the_one_shown(world: World) -> None:
    """In run 0 a probe took the place of example 2, which was scored out of sample all the same."""
    with transaction(world.database.engine) as session:
        loss, _ = curves_of(0)
        loss[2] = 3.0
        for epoch in range(NUM_EPOCHS):
            channels = {"loss": loss[:, epoch]}
            curves.write_epoch(session, run_id=world.runs[0], epoch=epoch, channels=channels)
    path = f"/taggings/{world.tagging}/tags/2/explanation"
    assert world.get(f"{path}?run_id={world.runs[0]}")["curve"] == [3.0] * NUM_EPOCHS
    assert world.get(path)["run_id"] == world.runs[1]


# ---- scores


def test_scores(read_world: World) -> None:
    found = read_world.get(f"/scores?dataset_id={read_world.dataset}")["items"]
    assert [(one["method"], one["bad_end"], one["run_ids"]) for one in found] == [
        ("aum", "low", list(read_world.runs)),
        ("mean_loss", "high", list(read_world.runs)),
    ]
    assert read_world.get("/scores?method=aum")["items"] == found[:1]
    assert read_world.get("/scores?dataset_id=999")["items"] == []
    assert read_world.get(f"/scores/{found[1]['id']}") == found[1]
    values = read_world.client.get(f"{read_world.url}/scores/{found[1]['id']}/values")
    np.testing.assert_array_equal(np.frombuffer(values.content, "<f4"), mean_loss())
    assert values.headers["x-dtype"] == "float32"
    read_world.get("/scores/999", 404)
    assert read_world.client.get(read_world.url + "/scores/999/values").status_code == 404


# ---- decisions


def decide(world: World, body: Any, status: int = 201, **headers: str) -> Any:
    return world.post(f"/datasets/{world.dataset}/decisions", status, json=body, headers=headers)


def test_the_newest_decision_counts(world: World) -> None:
    made = decide(world, {"index": 0, "decision": "exclude", "note": "blurred"})["items"][0]
    assert (made["decision"], made["note"], made["reviewer"]) == ("exclude", "blurred", "")
    decide(world, [{"index": 0, "decision": "relabel", "label": 2}, {"index": 4, "decision": "keep"}])
    by_index = {one["index"]: one["decision"] for one in tags_of(world)}
    assert (by_index[0], by_index[4], by_index[1]) == ("relabel", "keep", None)
    assert indices(tags_of(world, "decision=relabel")) == [0]
    assert indices(tags_of(world, "decision=exclude")) == []
    assert len(tags_of(world, "decision=none")) == NUM_TRAIN - 2
    history = world.get(f"/datasets/{world.dataset}/decisions?limit=2")
    assert [one["index"] for one in history["items"]] == [4, 0]
    rest = world.get(f"/datasets/{world.dataset}/decisions?limit=2&cursor={history['next_cursor']}")
    assert [one["decision"] for one in rest["items"]] == ["exclude"]


def test_one_wrong_decision_and_none_is_kept(world: World) -> None:
    refused = decide(
        world,
        [
            {"index": 0, "decision": "keep"},
            {"index": N, "decision": "keep"},
            {"index": 1, "decision": "relabel"},
            {"index": 1, "decision": "keep", "label": 1},
            {"index": 1, "decision": "relabel", "label": 9},
            {"index": -1, "decision": "keep"},
            {"index": 1, "decision": "maybe"},
        ],
        422,
    )
    assert [(fault["index"], fault["code"]) for fault in refused["errors"]] == [
        (1, "unknown_index"),
        (2, "missing_label"),
        (3, "needless_label"),
        (4, "unknown_label"),
        (5, "invalid_input"),
        (6, "invalid_input"),
    ]
    assert world.get(f"/datasets/{world.dataset}/decisions")["items"] == []
    decide(world, [], 422)
    world.post("/datasets/999/decisions", 404, json={"index": 0, "decision": "keep"})
    world.get("/datasets/999/decisions", 404)


def test_decisions_as_a_file(world: World) -> None:
    content = b"index,decision,label,note\n0,relabel,2,\n1,keep,,looks right\n"
    made = world.post(
        f"/datasets/{world.dataset}/decisions", 201, content=content, headers={"Content-Type": "text/csv"}
    )
    assert [(one["index"], one["label"], one["note"]) for one in made["items"]] == [
        (0, 2, ""),
        (1, None, "looks right"),
    ]
    world.post(
        f"/datasets/{world.dataset}/decisions", 415, content=b"x", headers={"Content-Type": "text/plain"}
    )


def test_a_decision_takes_effect_once(world: World) -> None:
    body = {"index": 0, "decision": "keep"}
    first = decide(world, body, **{"Idempotency-Key": "k"})
    assert decide(world, body, **{"Idempotency-Key": "k"}) == first
    assert len(world.get(f"/datasets/{world.dataset}/decisions")["items"]) == 1


def test_a_list_can_be_gone_through_while_it_is_decided_on(world: World) -> None:
    """Going on after an example that has left the list by then."""
    for order in ("suspicion", "mean_loss"):
        seen: list[int] = []
        cursor = ""
        query = f"/taggings/{world.tagging}/tags?limit=4&label=cat&decision=none&order_by={order}"
        expected = indices(tags_of(world, f"label=cat&decision=none&order_by={order}"))
        while True:
            page = world.get(query + cursor)
            seen += indices(page["items"])
            decide(world, [{"index": one["index"], "decision": "keep"} for one in page["items"]])
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == expected
        decide(world, [{"index": index, "decision": "unsure"} for index in seen])
        if order == "suspicion":
            from sqlalchemy import text

            from store.engine import transaction

            with transaction(world.database.engine) as session:
                session.execute(text("DELETE FROM decisions"))
