"""The sentence of an explanation: facts read from the store, over all runs that trained the example."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from sqlalchemy import update

from store import curves
from store import tables as t
from store.engine import transaction
from tests.api.worlds import CLASSES, NUM_EPOCHS, NUM_MADE, NUM_TRAIN, N, World, curves_of, given_labels


def explained(world: World, index: int, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = world.get(f"/taggings/{world.tagging}/tags/{index}/explanation?{query}")
    return found


def test_the_sentence_counts_every_run_that_trained_the_example(read_world: World) -> None:
    found = explained(read_world, 20)
    # Three fit probes a category: k is 1 in each run.
    assert sum(found["votes"].values()) == 2
    nearest = Counter(
        explained(read_world, 20, f"run_id={run}&k=1")["neighbours"][0]["probe"]["category"]
        for run in read_world.runs
    )
    assert found["votes"] == nearest
    assert found["votes"] == {"prototypical": 1, "noisy": 1}
    start, _, rest = found["sentence"].partition(";")
    assert start == "1 of 2 nearest probes in 2 runs is a typical example and 1 a flipped label"
    assert rest == (
        f" learned from epoch 1 on; predicted '{CLASSES[given_labels()[20]]}', its label, in all 10 epochs. "
        f"Place 21 of {NUM_TRAIN} by the votes, then by mean loss."
    )


def test_it_is_the_same_whatever_is_shown(read_world: World) -> None:
    run = read_world.runs[1]
    shown = [
        explained(read_world, 20, query) for query in ("", f"run_id={run}", "channel=margin&k=1", "k=20")
    ]
    assert len({one["sentence"] for one in shown}) == 1
    assert len({str(one["votes"]) for one in shown}) == 1


def test_a_run_that_displaced_the_example_has_no_vote(read_world: World) -> None:
    found = explained(read_world, 2, f"run_id={read_world.runs[0]}")
    assert found["neighbours"] == []
    assert sum(found["votes"].values()) == 1
    assert found["sentence"].startswith("The nearest probe is a")


def test_without_a_suspicion_there_is_no_place(read_world: World) -> None:
    assert "lace " not in explained(read_world, 3)["sentence"]


PAIR = {"given": 0, "given_name": "cat", "suggested": 1, "suggested_name": "dog", "num": 41, "num_reverse": 2}


def by_evidence(world: World, index: int, left_out: float) -> None:
    """As by the tagger `evidence` with k = 4: a report, a look at the features, and dogs predicted for one cat."""
    report = {
        "runs": [{"k": 4}, {"k": 4}],
        "evidence": [{"look_epoch": 1}, {"look_epoch": None}],
        "per_class": {"pairs": [{**PAIR, "one_way": True}, {**PAIR, "given": 2, "one_way": False}]},
    }
    with transaction(world.database.engine) as session:
        change = update(t.Tagging).where(t.Tagging.id == world.tagging)
        session.execute(change.values(tagger="evidence", report=report))
        for slot, run in enumerate(world.runs):
            looks = np.full(N + NUM_MADE, left_out, np.float32)
            _, predicted = curves_of(slot)
            predicted[index] = 1
            curves.write_epoch(
                session, run_id=run, epoch=1, channels={"label_odds": looks, "predicted": predicted[:, 1]}
            )


def test_by_evidence_it_says_what_the_order_rests_on(world: World) -> None:
    by_evidence(world, 16, left_out=-0.4)
    found = explained(world, 16)
    assert sum(found["votes"].values()) == 8
    said = found["sentence"]
    assert f"predicted 'dog' in 2 of {2 * NUM_EPOCHS} epochs. " in said
    margins = world.get(f"/taggings/{world.tagging}/tags?limit=1000")["items"]
    aum = {one["index"]: one["scores"]["aum"] for one in margins if one["scores"]["aum"] is not None}
    higher = sum(value > aum[16] for index, value in aum.items() if index != 16) / (len(aum) - 1)
    direction = (
        f"lower than that of {higher:.0%}" if higher >= 0.5 else f"higher than that of {1 - higher:.0%}"
    )
    assert f"margin {direction[:-1]} %" in said
    assert "fitted without it on the model's features gives its label a probability of 40 %" in said
    assert "among the suspects 'cat' is taken for 'dog' 41 times and the reverse 2 times" in said
    assert "by evidence" in said


def test_the_reverse_of_a_pair_speaks_for_the_label(world: World) -> None:
    """A dog for which cats are predicted; index 17 has the label dog and stands in the lower half."""
    by_evidence(world, 16, left_out=2.0)
    with transaction(world.database.engine) as session:
        for slot, run in enumerate(world.runs):
            _, predicted = curves_of(slot)
            predicted[17] = 0
            curves.write_epoch(session, run_id=run, epoch=2, channels={"predicted": predicted[:, 2]})
    led = explained(world, 17)["sentence"].partition("by evidence: ")[2].partition("; though")[0]
    assert "'cat' is taken for 'dog' 41 times" in led
    assert "gives its label a probability of 88 %" in led


def keep_grounds(world: World, epoch: int, *, look_weight: float = 1.5) -> None:
    """As a tagging keeps them whose runs count one epoch alone; cats are taken for dogs."""
    values = np.sort(margins_of(world, epoch))
    kept = {
        "levels": [0.0, 0.5, 1.0],
        "margin": np.quantile(-values, [0, 0.5, 1]).tolist(),
        "left_out": [-2.0, 0.0, 2.0],
        "runs": [{"channel": "margin", "center": 0.0, "scale": 1.0, "look": {"center": 0.1, "scale": 1.0}}]
        * 2,
        "pairs": {"listed": [{"given": 0, "other": 1, "value": 2.0, "num": 30.4, "num_reverse": 0.2}]},
    }
    weights = [float(at == epoch) for at in range(NUM_EPOCHS)]
    with transaction(world.database.engine) as session:
        tagging = session.get_one(t.Tagging, world.tagging)
        of_runs = [
            {"look_epoch": look, "weights": weights, "look_weight": None if look is None else look_weight}
            for look in (1, None)
        ]
        tagging.report = (tagging.report or {}) | {"grounds": kept, "evidence": of_runs}


def margins_of(world: World, epoch: int) -> np.ndarray:
    """Of the examples that both runs trained."""
    return np.mean([1 - curves_of(slot)[0][16:NUM_TRAIN, epoch] for slot in range(2)], axis=0)


def test_what_a_tagging_kept_of_its_evidence_decides_what_is_said(world: World) -> None:
    by_evidence(world, 16, left_out=-0.4)
    plain = explained(world, 16)["sentence"]
    keep_grounds(world, epoch=3)
    said = explained(world, 16)["sentence"]
    quantiles = np.quantile(-np.sort(margins_of(world, 3)), [0, 0.5, 1])
    share = np.interp(-margins_of(world, 3)[0], quantiles, [0, 0.5, 1])
    direction = f"lower than that of {share:.0%}" if share >= 0.5 else f"higher than that of {1 - share:.0%}"
    assert f"margin {direction[:-1]} % of the examples in the epochs that count" in said
    assert "a probability of 40 %" in said
    assert said.index("a probability of 40 %") < said.index("margin"), "the look weighs more"
    assert "'cat' is taken for 'dog' about 30 times and the reverse hardly ever" in said
    assert plain != said
    keep_grounds(world, epoch=3, look_weight=0.1)
    assert "a classifier" not in explained(world, 16)["sentence"]


def test_a_pair_counts_only_where_a_run_trained_the_example(world: World) -> None:
    """Index 1 is displaced in the first run, and trained in the second; with one run alone nobody trained it."""
    by_evidence(world, 16, left_out=-0.4)
    keep_grounds(world, epoch=3)
    assert "is taken for" in explained(world, 16)["sentence"]
    with transaction(world.database.engine) as session:
        session.execute(update(t.RunProbe).where(t.RunProbe.row >= N).values(source_row=16))
    said = explained(world, 16)["sentence"]
    assert said.startswith("A probe took its place")
    assert "is taken for" not in said


def test_old_reports_say_no_k_and_are_explained_all_the_same(world: World) -> None:
    with transaction(world.database.engine) as session:
        session.execute(update(t.Tagging).values(report={"runs": []}, parameters={"k": 3}))
    assert sum(explained(world, 20)["votes"].values()) == 6


def test_the_sentence_explains_the_tag_at_the_threshold_that_is_asked_for(world: World) -> None:
    """Chances of 0.9 to 0.1 along the list, of which nothing is above 0.95 and all is above 0."""
    by_evidence(world, 16, -0.4)
    place = ((np.arange(NUM_TRAIN) + 0.5) / NUM_TRAIN).tolist()
    chances = np.linspace(0.9, 0.1, NUM_TRAIN).tolist()
    wrong_labels = {
        "method": "probes", "is_uniform": True, "threshold": 0.5, "warning": None, "num_examples": NUM_TRAIN,
        "curve": {"place": place, "probability": chances, "low": chances, "high": chances},
    }  # fmt: skip
    categories = [{"name": "prototypical", "wrong_label": False}, {"name": "noisy", "wrong_label": True}]
    with transaction(world.database.engine) as session:
        tagging = session.get_one(t.Tagging, world.tagging)
        tagging.report = (tagging.report or {}) | {"wrong_labels": wrong_labels, "categories": categories}
    last = "Its place, and not the votes, is why it is tagged noisy."
    by_votes = [index for index in range(8, 30) if _mostly_right(explained(world, index)["votes"])]
    assert by_votes
    for index in by_votes[:4]:
        assert explained(world, index, "threshold=0")["sentence"].endswith(last)
        assert not explained(world, index, "threshold=0.95")["sentence"].endswith(last)
    # The first of the list: wrong by its place, and with half of the votes of no other category unsure.
    assert "Unsure" not in explained(world, 0)["sentence"]
    assert "Unsure: its place is not among" in explained(world, 0, "threshold=0.95")["sentence"]


def _mostly_right(votes: dict[str, int]) -> bool:
    return 2 * votes.get("noisy", 0) < sum(votes.values())
