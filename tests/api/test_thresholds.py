"""A threshold of P(wrong) moves the tags of lists, counts, files and single examples alike, without a new tagging."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from sqlalchemy import update

from store import tables as t
from store.engine import transaction
from tests.api.test_reviews import NUM_RANKED, calibrate, decide, draw, ranked  # noqa: F401
from tests.api.worlds import World, queued_run

ESTIMATE = {
    "method": "probes",
    "is_uniform": True,
    "num_examples": NUM_RANKED,
    "threshold": 0.5,
    "curve": {
        "place": [0.0, 0.1, 0.3, 1.0],
        "probability": [1.0, 0.9, 0.1, 0.0],
        "low": [0.9, 0.8, 0.0, 0.0],
        "high": [1.0, 1.0, 0.2, 0.0],
    },
}
CATEGORIES = [{"name": "prototypical", "wrong_label": False}, {"name": "noisy", "wrong_label": True}]


@pytest.fixture
def probed(ranked: World) -> World:  # noqa: F811
    """P(wrong) falls from 1 to .9 over the first 40 places, to .1 at place 120. Tags were written at .5: 80 of them."""
    with transaction(ranked.database.engine) as session:
        report = {"wrong_labels": ESTIMATE, "categories": CATEGORIES}
        session.execute(update(t.Tagging).values(tagger="evidence", calibration="probes", report=report))
        session.execute(update(t.Tag).where(t.Tag.position >= 80).values(tag=0))
        session.execute(update(t.Tag).where(t.Tag.suspicion.is_(None)).values(tag=-1))
    return ranked


def _facets(world: World, query: str = "") -> Any:
    return world.get(f"/taggings/{world.tagging}/facets?{query}")


def test_tags_are_those_that_were_made_until_another_threshold_is_asked_for(probed: World) -> None:
    as_made = _facets(probed)
    assert as_made["tags"] == {"unsure": 1, "prototypical": 320, "noisy": 80}
    assert as_made["threshold"]["num_wrong"] == 80
    assert _facets(probed, "threshold=0.5") == as_made
    sure = _facets(probed, "threshold=0.9")
    assert sure["tags"] == {"unsure": 1, "prototypical": 360, "noisy": 40}
    complete = _facets(probed, "threshold=0.1")
    assert complete["tags"] == {"unsure": 1, "prototypical": 280, "noisy": 120}
    effects = [one["threshold"] for one in (sure, as_made, complete)]
    assert [one["threshold"] for one in effects] == [0.9, 0.5, 0.1]
    precisions, recalls = ([one[name] for one in effects] for name in ("precision", "recall"))
    assert precisions == sorted(precisions, reverse=True)
    assert recalls == sorted(recalls)
    assert effects[0]["precision"] == pytest.approx(0.95, abs=0.01)
    assert effects[0]["precision_low"] < effects[0]["precision"] < effects[0]["precision_high"]


@pytest.mark.parametrize("order", ["suspicion", "index"])
def test_lists_single_tags_and_files_go_by_the_same_threshold(probed: World, order: str) -> None:
    path = f"/taggings/{probed.tagging}/tags"
    query = f"threshold=0.9&tag=noisy&order_by={order}"
    page = probed.get(f"{path}?{query}&limit=1000")["items"]
    assert len(page) == 40
    assert {one["tag"] for one in page} == {"noisy"}
    assert all(one["position"] < 40 and one["probability_wrong"] > 0.9 for one in page)
    just_below = NUM_RANKED - 1 - 60
    assert probed.get(f"{path}/{just_below}")["tag"] == "noisy"
    assert probed.get(f"{path}/{just_below}?threshold=0.9")["tag"] == "prototypical"
    answer = probed.client.get(f"{probed.url}{path}/export?{query}")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["index"]) for row in rows] == [one["index"] for one in page]
    assert {row["tag"] for row in rows} == {"noisy"}


@pytest.fixture
def agreed(probed: World) -> World:
    """A second run; in every second tag both agree."""
    with transaction(probed.database.engine) as session:
        dataset = session.get_one(t.Dataset, probed.dataset)
        run = queued_run(session, dataset, session.get_one(t.Suite, probed.suite), "second", 1)
        session.add(t.TaggingRun(tagging_id=probed.tagging, run_id=run.id, position=1))
        session.execute(update(t.Tag).values(runs_trained=2, runs_agreeing=1 + t.Tag.position % 2))
    return probed


@pytest.mark.parametrize("path", ["tags", "tags/export", "facets"])
def test_the_agreement_of_seeds_is_refused_for_tags_that_a_threshold_moves(agreed: World, path: str) -> None:
    """It was counted for the tags as they were written; at the tagging's own threshold they are those."""
    refused = agreed.get(f"/taggings/{agreed.tagging}/{path}?in_all_seeds=true&threshold=0.9", 422)
    assert refused["errors"][0]["field"] == "in_all_seeds"
    assert "0.9" in refused["detail"]
    assert "Leave out either" in refused["detail"]
    address = f"{agreed.url}/taggings/{agreed.tagging}/{path}"
    for query in ("in_all_seeds=true", "in_all_seeds=false&threshold=0.5", "threshold=0.9"):
        assert agreed.client.get(f"{address}?{query}").status_code == 200


def test_of_a_moved_tag_it_is_not_known_in_how_many_seeds_it_is_the_same(agreed: World) -> None:
    path = f"/taggings/{agreed.tagging}/tags"
    written = agreed.get(f"{path}?limit=1000")["items"]
    moved = agreed.get(f"{path}?limit=1000&threshold=0.9")["items"]
    changed = [one["tag"] != was["tag"] for one, was in zip(moved, written, strict=True)]
    assert sum(changed) == 40
    for one, was, differs in zip(moved, written, changed, strict=True):
        assert one["runs_trained"] == 2
        assert one["runs_agreeing"] == (None if differs else was["runs_agreeing"])
    answer = agreed.client.get(f"{agreed.url}{path}/export?threshold=0.9")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["runs_agreeing"] for row in rows] == [str(one["runs_agreeing"] or "") for one in moved]


def test_once_reviews_have_moved_the_tags_it_is_refused_too(agreed: World) -> None:
    decide(agreed, [one["index"] for one in draw(agreed)["items"]])
    calibrate(agreed)
    for query in ("in_all_seeds=false", "in_all_seeds=true&threshold=0.5"):
        refused = agreed.get(f"/taggings/{agreed.tagging}/tags?{query}", 422)
        assert refused["errors"][0]["field"] == "in_all_seeds"
        assert "reviews have moved them" in refused["detail"]


def test_the_calibration_by_probes_fills_probability_wrong(probed: World) -> None:
    found = probed.get(f"/taggings/{probed.tagging}/tags?limit=1000")["items"]
    assert {one["calibration"] for one in found} == {"probes"}
    assert found[0]["probability_wrong"] == pytest.approx(1, abs=0.01)
    assert found[40]["probability_wrong"] == pytest.approx(0.9, abs=0.01)
    assert found[-1]["probability_wrong"] is None


def test_probes_that_do_not_fit_say_no_probability_but_bound_what_is_tagged(probed: World) -> None:
    with transaction(probed.database.engine) as session:
        report = {"wrong_labels": ESTIMATE | {"is_uniform": False}, "categories": CATEGORIES}
        session.execute(update(t.Tagging).values(calibration="none", report=report))
    found = probed.get(f"/taggings/{probed.tagging}/tags?limit=1")["items"][0]
    assert found["probability_wrong"] is None
    effect = _facets(probed, "threshold=0.9")["threshold"]
    assert (effect["precision"], effect["recall"]) == (None, None)
    assert effect["precision_low"] < effect["precision_high"]


def test_reviews_take_the_place_of_the_probes(probed: World) -> None:
    decide(probed, [one["index"] for one in draw(probed)["items"]])
    calibrate(probed)
    found = probed.get(f"/taggings/{probed.tagging}/tags?limit=1000")["items"]
    assert {one["calibration"] for one in found} == {"reviews"}
    noisy = [one["position"] for one in found if one["tag"] == "noisy"]
    assert noisy == list(range(len(noisy)))
    assert abs(len(noisy) - 80) < 15
    assert all(one["probability_wrong"] > 0.5 for one in found[: len(noisy)])
    facets = _facets(probed)
    assert facets["tags"]["noisy"] == len(noisy) == facets["threshold"]["num_wrong"]


def test_tags_by_votes_have_no_threshold_before_a_review(ranked: World) -> None:  # noqa: F811
    assert _facets(ranked)["threshold"] is None
    refused = ranked.get(f"/taggings/{ranked.tagging}/tags?threshold=0.9", 422)
    assert "review a sample of 100" in refused["detail"]
    ranked.get(f"/taggings/{ranked.tagging}/tags?threshold=1.5", 422)
