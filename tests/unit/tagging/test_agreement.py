"""Labels around a row, against a slow independent count."""

from __future__ import annotations

import numpy as np
import pytest

from sondage.errors import InvalidInput
from sondage.tagging import agreement as module
from sondage.tagging.agreement import agreement, look_epoch


def slow(features: np.ndarray, labels: np.ndarray, eligible: np.ndarray, k: int) -> np.ndarray:
    voters = np.flatnonzero(eligible)
    centred = features - features[voters].mean(axis=0)
    out = []
    for row in range(len(features)):
        cosines = {
            int(voter): centred[row] @ centred[voter] / np.linalg.norm(centred[row]) / np.linalg.norm(centred[voter])
            for voter in voters
            if voter != row
        }  # fmt: skip
        votes = dict.fromkeys(range(int(labels.max()) + 1), 0.0)
        for voter in sorted(cosines, key=lambda voter: -cosines[voter])[:k]:
            votes[int(labels[voter])] += float(np.exp(5 * (cosines[voter] - 1)))
        own = votes.pop(int(labels[row]))
        out.append((own - max(votes.values())) / (own + sum(votes.values())))
    return np.array(out)


@pytest.fixture
def world() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    features = (rng.normal(size=(120, 5)) + 2 * np.eye(3, 5)[labels]).astype(np.float32)
    eligible = np.arange(120) < 100
    return features, labels, eligible


def test_equals_a_slow_count(world):
    features, labels, eligible = world
    assert agreement(features, labels, eligible, k=7) == pytest.approx(slow(*world, 7), abs=1e-4)


def test_a_wrong_label_stands_alone(world):
    features, labels, eligible = world
    before = agreement(features, labels, eligible)
    labels = labels.copy()
    labels[3] = (labels[3] + 1) % 3
    after = agreement(features, labels, eligible)
    assert after[3] < before[3]
    assert after[3] < np.quantile(after, 0.1)


def test_blocks_change_nothing_and_may_be_left(world, monkeypatch):
    whole = agreement(*world)
    monkeypatch.setattr(module, "_CHUNK_ROWS", 13)
    calls: list[int] = []
    assert agreement(*world, after_block=lambda: calls.append(1)) == pytest.approx(whole, abs=1e-5)
    assert len(calls) == 10

    def leave() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        agreement(*world, after_block=leave)


def test_neighbours_are_drawn_where_there_are_many(world, monkeypatch):
    features, labels, eligible = world
    monkeypatch.setattr(module, "MOST_NEIGHBOURS", 40)
    found = agreement(features, labels, eligible, seed=1)
    assert (found == agreement(features, labels, eligible, seed=1)).all()
    assert not (found == agreement(features, labels, eligible, seed=2)).all()
    assert np.corrcoef(found, agreement(features, labels, eligible & (np.arange(120) < 90)))[0, 1] > 0.7


def test_rows_that_diverged_are_not_looked_at(world):
    features, labels, eligible = world
    features[5] = np.nan
    found = agreement(features, labels, eligible)
    assert np.isnan(found[5])
    assert np.isfinite(np.delete(found, 5)).all()
    assert np.isnan(agreement(features, labels, np.zeros(120, bool))).all()


@pytest.mark.parametrize(("rows", "k", "words"), [(119, 20, "one row each"), (120, 0, "at least one")])
def test_bad_arguments_are_refused(world, rows, k, words):
    features, labels, eligible = world
    with pytest.raises(InvalidInput, match=words):
        agreement(features[:rows], labels, eligible, k=k)


@pytest.mark.parametrize(
    ("num_epochs", "epoch"), [(1, 0), (2, 0), (3, 0), (4, 1), (12, 3), (24, 7), (90, 29)]
)
def test_the_look_is_a_third_into_the_training(num_epochs, epoch):
    assert look_epoch(num_epochs) == epoch
