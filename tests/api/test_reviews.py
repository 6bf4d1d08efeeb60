"""Calibration by reviews: the sample, which decisions count, the estimate, and where it shows."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest

from store import datasets, projects, taggings, tags
from store.engine import transaction
from tests.api.worlds import CLASSES, World, add_default_suite, queued_run
from tests.rows import tag_columns

NUM_RANKED, NUM_WRONG = 400, 80


@pytest.fixture
def ranked(empty: World) -> World:
    """A tagging over 400 examples, example i in place 399 − i; the last 80 examples are wrong. One more is unranked."""
    num = NUM_RANKED + 1
    with transaction(empty.database.engine) as session:
        project = projects.by_name(session, name="default")
        new = datasets.NewDataset(
            name="ranked",
            fingerprint="f" * 64,
            modality="none",
            class_names=CLASSES,
            keys=[f"k{index}" for index in range(num)],
            labels=np.zeros(num, dtype=np.int64),
            splits=["train"] * num,
            source={"kind": "recorded"},
        )
        dataset, _ = datasets.add(session, project_id=project.id, new=new)
        suite = add_default_suite(session, project)
        run = queued_run(session, dataset, suite, "run")
        tagging = taggings.create(
            session, project_id=project.id, runs=[run], suite_id=suite.id, tagger="reference"
        )
        rows: list[tuple[Any, ...]] = [
            (index, NUM_RANKED - 1 - index, 1, index / 1000, 0, None, False, [0.5, 0.5])
            for index in range(NUM_RANKED)
        ]
        rows.append((NUM_RANKED, NUM_RANKED, tags.UNSURE, None, 0, None, True, None))
        tags.write(session, tagging_id=tagging.id, columns=tag_columns(rows))
        taggings.save_report(
            session,
            tagging_id=tagging.id,
            categories=["prototypical", "noisy"],
            calibration="none",
            report={},
        )
        taggings.set_state(session, tagging_id=tagging.id, state="finished")
        numbers = dataset.id, (run.id,), suite.id, tagging.id
    return World(empty.client, empty.database, empty.settings, *numbers)


def decide(world: World, indices: list[int], word: str | None = None) -> None:
    """As somebody would who knows the truth."""
    found = [{"index": i, "decision": word or ("exclude" if _is_wrong(i) else "keep")} for i in indices]
    world.post(f"/datasets/{world.dataset}/decisions", 201, json=found)


def draw(world: World, size: int = 100, status: int = 200) -> Any:
    return world.post(f"/taggings/{world.tagging}/review-sample", status, json={"size": size})


def calibrate(world: World, status: int = 200) -> Any:
    return world.post(f"/taggings/{world.tagging}/calibrate", status)


def _is_wrong(index: int) -> bool:
    return index >= NUM_RANKED - NUM_WRONG


def _indices(sample: Any) -> list[int]:
    return [one["index"] for one in sample["items"]]


def test_a_sample_is_drawn_once_and_says_what_is_decided(ranked: World) -> None:
    path = f"/taggings/{ranked.tagging}/review-sample"
    assert ranked.get(path)["items"] == []
    sample = draw(ranked)
    assert (sample["size"], sample["num_decided"]) == (100, 0)
    assert sample["items"][0]["key"] == f"k{sample['items'][0]['index']}"
    assert [one["place"] for one in sample["items"]] == list(range(100))
    decide(ranked, _indices(sample)[:10])
    again = draw(ranked)
    assert _indices(again) == _indices(sample) == _indices(ranked.get(path))
    assert again["num_decided"] == 10
    assert NUM_RANKED not in _indices(sample)
    expected = sum(1 / one["inclusion"] for one in sample["items"])
    assert expected == pytest.approx(NUM_RANKED)


def test_reviews_tell_the_share_and_the_top_and_show_in_lists_and_files(ranked: World) -> None:
    ranked.get(f"/taggings/{ranked.tagging}/calibration", 404)
    decide(ranked, _indices(draw(ranked)))
    made = calibrate(ranked)
    assert made == ranked.get(f"/taggings/{ranked.tagging}/calibration")
    assert (made["version"], made["num_reviews"], made["num_open"]) == (1, 100, 0)
    share = made["share_wrong"]
    assert share["low"] <= NUM_WRONG / NUM_RANKED <= share["high"]
    assert share["high"] - share["low"] < 0.1
    top = next(one for one in made["top_lists"] if one["k"] == 50)
    assert top["high"] == 1
    assert top["value"] > 0.9
    assert sum(one["num_examples"] for one in made["reliability"]) == NUM_RANKED
    assert sum(one["num_reviews"] for one in made["reliability"]) == 100
    assert ranked.get(f"/taggings/{ranked.tagging}")["calibration"] == "reviews"
    listed = ranked.get(f"/taggings/{ranked.tagging}/tags?limit=1000")["items"]
    chances = [one["probability_wrong"] for one in listed]
    assert chances[-1] is None
    assert np.mean(chances[:-1]) == pytest.approx(share["value"], abs=0.02)
    assert chances[0] > 0.9 > 0.1 > chances[300]
    exported = ranked.client.get(f"{ranked.url}/taggings/{ranked.tagging}/tags/export?format=csv").text
    row = next(iter(csv.DictReader(io.StringIO(exported))))
    assert float(row["probability_wrong"]) == pytest.approx(chances[0])
    assert row["calibration"] == "reviews"


def test_before_a_calibration_no_tag_has_a_probability(ranked: World) -> None:
    one = ranked.get(f"/taggings/{ranked.tagging}/tags?limit=1")["items"][0]
    assert (one["probability_wrong"], one["calibration"]) == (None, "none")


def test_too_few_decisions_are_refused(ranked: World) -> None:
    assert "29 decisions" in _after(ranked, 29)["detail"]


def _after(world: World, num: int) -> Any:
    decide(world, _indices(draw(world))[:num])
    return calibrate(world, 409)


def test_an_extension_waits_for_the_decisions_and_goes_where_doubt_is(ranked: World) -> None:
    first = _indices(draw(ranked))
    decide(ranked, first[:99])
    assert "1 of the 100" in draw(ranked, 200, 409)["detail"]
    decide(ranked, first[99:], "unsure")
    both = draw(ranked, 200)
    assert _indices(both)[:100] == first
    assert len(set(_indices(both))) == 200
    added = [one["position"] for one in both["items"] if one["round"] == 1]
    near = sum(50 <= position < 120 for position in added)
    assert near > 100 * 70 / NUM_RANKED * 1.3
    decide(ranked, _indices(both)[100:])
    made = calibrate(ranked)
    assert (made["num_unsure"], made["num_reviews"]) == (1, 199)


def test_all_is_asked_for_when_there_is_no_more(ranked: World) -> None:
    decide(ranked, _indices(draw(ranked, 2_000)))
    share = calibrate(ranked)["share_wrong"]
    assert [share[name] for name in ("value", "low", "high")] == pytest.approx([0.2] * 3)


def test_decisions_on_the_worst_do_not_bias_the_estimate(ranked: World) -> None:
    """Of the wrong ones somebody marked those on top: they count neither before the sample is decided, nor outside."""
    worst = list(range(NUM_RANKED - 40, NUM_RANKED, 2))
    decide(ranked, worst)
    sample = _indices(draw(ranked))
    decided_before = set(worst) & set(sample)
    assert decided_before
    rest = [index for index in sample if index not in decided_before]
    decide(ranked, rest[:-1])
    made = calibrate(ranked)
    assert made["num_reviews"] == 99 - len(decided_before)
    assert made["num_open"] == len(decided_before) + 1
    assert "not decided" in made["warnings"][0]
    decide(ranked, rest[-1:])
    made = calibrate(ranked)
    assert (made["version"], made["num_reviews"], made["num_open"]) == (2, 100, 0)


def test_a_slice_that_is_decided_throughout_counts_whole(ranked: World) -> None:
    sample = _indices(draw(ranked))
    decide(ranked, sample)
    before = calibrate(ranked)
    top = list(range(NUM_RANKED - 60, NUM_RANKED))
    decide(ranked, top)
    after = calibrate(ranked)
    assert after["num_reviews"] == len(set(sample) | set(top)) > before["num_reviews"]
    first = next(one for one in after["top_lists"] if one["k"] == 50)
    assert [first[name] for name in ("value", "low", "high")] == [1, 1, 1]


def test_newer_decisions_are_named(ranked: World) -> None:
    decide(ranked, _indices(draw(ranked)))
    assert calibrate(ranked)["num_newer_decisions"] == 0
    decide(ranked, [0, 1])
    assert ranked.get(f"/taggings/{ranked.tagging}/calibration")["num_newer_decisions"] == 2


def test_sample_and_calibration_go_with_their_tagging(ranked: World) -> None:
    decide(ranked, _indices(draw(ranked)))
    calibrate(ranked)
    ranked.delete(f"/taggings/{ranked.tagging}")
    ranked.get(f"/taggings/{ranked.tagging}/review-sample", 404)


@pytest.mark.parametrize("size", [0, 9, 2_001])
def test_a_sample_has_a_bearable_size(ranked: World, size: int) -> None:
    draw(ranked, size, 422)
