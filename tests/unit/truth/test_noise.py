"""Noise: exact counts, the stated formulas, equal seeds equal labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.truth_parts import noise
from benchmarks.truth_parts.labellers import WEAK, judge
from benchmarks.truth_parts.noise import NOISES, systematic_sample, wrong_chances
from benchmarks.truth_parts.rows import DataRow


@pytest.mark.parametrize("name", list(NOISES))
def test_exactly_as_many_are_wrong_as_the_rate_says(digits: DataRow, name: str) -> None:
    given = NOISES[name](digits, 3)
    wrong = int((given != digits.labels).sum())
    expected = round(NOISES[name].rate * len(digits))
    assert wrong == expected
    assert given.dtype == np.int64
    assert given.min() >= 0
    assert given.max() < 10


@pytest.mark.parametrize("name", list(NOISES))
def test_a_seed_gives_the_same_labels_and_another_one_others(digits: DataRow, name: str) -> None:
    first = NOISES[name](digits, 1)
    assert np.array_equal(first, NOISES[name](digits, 1))
    if name != "clean":
        assert not np.array_equal(first, NOISES[name](digits, 2))


@pytest.mark.parametrize("name", list(NOISES))
def test_two_classes_without_outsiders(texts: DataRow, name: str) -> None:
    wrong = int((NOISES[name](texts, 0) != texts.labels).sum())
    expected = round(NOISES[name].rate * len(texts))
    # The labellers of these easy texts make too few mistakes for the annotators' rate.
    assert wrong <= expected if name == "annotators" else wrong == expected


def test_uniform_flips_to_every_other_class_alike(digits: DataRow) -> None:
    many = np.concatenate([NOISES["uniform40"](digits, seed) - digits.labels for seed in range(30)]) % 10
    counts = np.bincount(many[many > 0], minlength=10)[1:]
    assert counts.sum() == 30 * 360
    assert abs(counts - counts.mean()).max() < 5 * np.sqrt(counts.mean())


def test_pairs_move_to_the_next_class(digits: DataRow) -> None:
    given = NOISES["pairs20"](digits, 0)
    wrong = given != digits.labels
    assert np.array_equal(given[wrong], (digits.labels[wrong] + 1) % 10)


@pytest.mark.parametrize("name", ["instance20", "instance40"])
def test_instance_labels_follow_the_softmax(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Two kinds of rows, of which the labeller is sure and unsure: how often each is wrong, and towards what."""
    kinds = np.repeat([0, 1], 5_000)
    said = np.array([[0.9, 0.07, 0.03], [0.3, 0.2, 0.5]])[kinds]
    row = DataRow("made", "image", np.zeros((10_000, 1)), np.zeros(10_000, np.int64), 3, None, np.zeros(0))
    monkeypatch.setattr(noise, "judge", lambda *_: said.copy())
    given = NOISES[name](row, 0)
    assert (given != 0).sum() == round(NOISES[name].rate * 10_000)
    shares = [np.bincount(given[kinds == kind], minlength=3) / 5_000 for kind in range(2)]
    # Off the true class the softmax is as it was.
    assert shares[0][1] / shares[0][2] == pytest.approx(7 / 3, rel=0.25)
    assert shares[1][1] / shares[1][2] == pytest.approx(2 / 5, rel=0.15)
    # One factor on the odds of the true class, for both kinds.
    factors = [share[0] / (1 - share[0]) / odds for share, odds in zip(shares, (9, 3 / 7), strict=True)]
    assert factors[0] == pytest.approx(factors[1], rel=0.3)


def test_chances_sum_to_any_number_of_wrong_labels() -> None:
    of_own = np.array([1e-6, 0.2, 0.9, 1 - 1e-6])
    for num in (1, 2, 3):
        chances = wrong_chances(of_own, num)
        assert chances.sum() == pytest.approx(num)
        assert (np.diff(chances) < 0).all()


def test_systematic_samples_are_exact_in_number_and_true_in_chance() -> None:
    rng = np.random.default_rng(0)
    chances = np.array([0.05, 0.15, 0.3, 0.5, 1.0, 0.0])
    drawn = [systematic_sample(chances, 2, rng) for _ in range(20_000)]
    assert {len(set(rows.tolist())) for rows in drawn} == {2}
    assert np.bincount(np.concatenate(drawn), minlength=6) / 20_000 == pytest.approx(chances, abs=0.015)


def test_the_hardest_are_flipped_to_their_second_choice(digits: DataRow) -> None:
    given = NOISES["hardest20"](digits, 0)
    said = judge(digits, WEAK["image"], 0)
    margins = []
    for row in range(len(digits)):
        others = np.delete(np.arange(10), digits.labels[row])
        second = others[said[row, others].argmax()]
        margins.append(np.log(said[row, digits.labels[row]]) - np.log(said[row, second]))
        assert given[row] in (digits.labels[row], second)
    flipped = given != digits.labels
    assert np.array(margins)[flipped].max() <= np.array(margins)[~flipped].min()


def test_the_worst_vote_of_three_counts(digits: DataRow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labeller 0 is always right, 1 calls every row 1, 2 calls every row 2."""
    answers = {0: np.eye(10)[digits.labels], 1: np.eye(10)[np.ones(900, int)], 2: np.eye(10)[np.full(900, 2)]}
    monkeypatch.setattr(noise, "judge", lambda row, build, seed, number: answers[number])
    everything = noise.annotators(digits, 0, rate=1.0)
    assert set(everything) == {1, 2}
    assert not (everything == digits.labels).any()
    both = ~np.isin(digits.labels, (1, 2))
    # Whose mistake is taken is drawn per row; where only one is wrong, it is his.
    assert 0.4 < (everything[both] == 1).mean() < 0.6
    assert (everything[digits.labels == 1] == 2).all()
    some = noise.annotators(digits, 0, rate=0.2)
    assert (some != digits.labels).sum() == 180
    # A wrong label that care left in place comes with that of a labeller.
    assert set(some[some != digits.labels]) <= {1, 2}


def test_good_annotators_make_the_mistakes_they_make(
    digits: DataRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = np.eye(10)[digits.labels]
    right[:7] = np.eye(10)[(digits.labels[:7] + 3) % 10]
    monkeypatch.setattr(noise, "judge", lambda *_: right)
    assert (noise.annotators(digits, 0, rate=0.2) != digits.labels).sum() == 7
    monkeypatch.setattr(noise, "judge", lambda *_: np.eye(10)[digits.labels])
    assert np.array_equal(noise.annotators(digits, 0, rate=0.2), digits.labels)


class _Memory:
    """Knows what it was shown by heart, and has no idea of anything else."""

    def fit(self, texts: list[str], labels: np.ndarray) -> _Memory:
        self.seen = dict(zip(texts, labels.tolist(), strict=True))
        self.classes_ = np.arange(2)
        return self

    def predict_proba(self, texts: list[str]) -> np.ndarray:
        return np.array([np.eye(2)[self.seen[text]] if text in self.seen else [0.5, 0.5] for text in texts])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_no_labeller_judges_what_it_saw(texts: DataRow, number: int) -> None:
    different = replace(texts, inputs=[f"text {row}" for row in range(len(texts))])
    assert judge(different, lambda seed: _Memory(), 0, number) == pytest.approx(0.5)


def test_labellers_learn_from_different_rows(digits: DataRow) -> None:
    shown = []

    class Spy(_Memory):
        def fit(self, inputs: np.ndarray, labels: np.ndarray) -> Spy:
            shown.append({row.tobytes() for row in inputs})
            self.classes_ = np.arange(10)
            return self

        def predict_proba(self, inputs: np.ndarray) -> np.ndarray:
            return np.full((len(inputs), 10), 0.1)

    for number in range(3):
        judge(digits, lambda seed: Spy(), 0, number)
    assert [len(rows) for rows in shown] == [133, 133, 133]
    assert not shown[0] & shown[1]
    assert not shown[0] & shown[2]
    assert not shown[1] & shown[2]
