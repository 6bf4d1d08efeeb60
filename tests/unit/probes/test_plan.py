"""④ Planning: disjoint sources, balance, determinism, scaling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sondage.errors import InvalidInput
from sondage.probes.plan import (
    DISPLACED_SHARE,
    Probes,
    assign_roles,
    fit_count,
    plan_probes,
    scaled_counts,
)
from sondage.probes.suite import Generator, SuiteDefinition, default_suite

SUITE = default_suite()
LABELS = np.random.default_rng(0).integers(10, size=1500)
TRAIN = np.sort(np.random.default_rng(1).permutation(1500)[:1400])


def plan(slot=0, num_slots=2, seed=3, suite=SUITE, labels=LABELS, train=TRAIN, num_classes=10):
    return plan_probes(suite, labels, train, num_classes, seed=seed, slot=slot, num_slots=num_slots)


@settings(max_examples=25)
@given(st.integers(1, 8), st.integers(0, 2**31))
def test_no_example_is_displaced_in_two_slots(num_slots, seed):
    sources = np.concatenate([plan(slot, num_slots, seed).source_row for slot in range(num_slots)])
    assert len(np.unique(sources)) == len(sources)
    assert np.isin(sources, TRAIN).all()


def test_one_slot_is_fine():
    assert len(plan(0, 1)) == 3 * int(500 * 1400 * DISPLACED_SHARE / 1500)


def test_equal_arguments_give_equal_plans_and_other_seeds_others():
    first, again = plan(), plan()
    for name in ("generator", "source_row", "category", "role", "label"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert set(plan(seed=4).source_row.tolist()) != set(first.source_row.tolist())
    other = plan(suite=default_suite(seed=9))
    assert set(other.source_row.tolist()) != set(first.source_row.tolist())


def test_the_order_of_train_rows_does_not_matter():
    np.testing.assert_array_equal(plan(train=TRAIN[::-1].copy()).source_row, plan().source_row)


def test_labels_are_as_each_generator_says():
    made = plan()
    given = LABELS[made.source_row]
    assert (made.label[made.category == "noisy"] != given[made.category == "noisy"]).all()
    np.testing.assert_array_equal(
        made.label[made.category == "corrupted"], given[made.category == "corrupted"]
    )
    assert len(np.unique(made.label[made.category == "ood"])) == 10


def test_categories_are_balanced_and_halved():
    made = plan()
    for category in ("noisy", "corrupted", "ood"):
        roles = made.role[made.category == category]
        assert len(roles) == len(made) // 3
        assert (roles == "fit").sum() == round(len(roles) / 2)


def test_every_generator_draws_the_classes_in_their_shares():
    labels = np.repeat([0, 1, 2], [900, 450, 150])
    made = plan(labels=labels, train=np.arange(1500), num_classes=3)
    for _, positions in made.groups():
        counts = np.bincount(labels[made.source_row[positions]], minlength=3)
        np.testing.assert_allclose(counts / counts.sum(), [0.6, 0.3, 0.1], atol=0.03)


def test_groups_name_the_generator_of_each_probe():
    strong = Generator("corrupt", parameters={"strength": 1.0}, count=20)
    suite = SuiteDefinition("two", (Generator("flip", count=20), strong, Generator("corrupt", count=10)))
    groups = list(plan(suite=suite).groups())
    assert [generator for generator, _ in groups] == list(suite.generators)
    assert [len(positions) for _, positions in groups] == [20, 20, 10]


def test_probes_get_the_rows_behind_the_examples():
    made = plan()
    probes = made.probes(1500)
    assert probes.row.tolist() == list(range(1500, 1500 + len(made)))
    np.testing.assert_array_equal(probes.source_row, made.source_row)


@given(st.integers(60, 100_000), st.integers(1, 8))
def test_counts_shrink_together_and_keep_to_the_share(num_train, num_slots):
    counts = scaled_counts(SUITE, num_train, num_slots=num_slots)
    assert len(set(counts)) == 1
    assert sum(counts[:3]) <= max(num_train * DISPLACED_SHARE, 6)
    assert sum(counts[:3]) * num_slots <= num_train
    assert counts[0] <= 500


def test_large_sets_get_what_was_wished():
    assert scaled_counts(SUITE, 60_000) == [500] * 5


def test_too_few_examples_are_an_error_that_says_so():
    with pytest.raises(InvalidInput, match="20 train examples are too few"):
        scaled_counts(SUITE, 20)


def test_a_suite_that_plants_nothing_has_an_empty_plan():
    suite = SuiteDefinition("chosen", (Generator("prototypical"), Generator("atypical")))
    assert len(plan(suite=suite)) == 0
    assert list(plan(suite=suite).groups()) == []


def test_a_slot_beyond_the_last_is_refused():
    with pytest.raises(InvalidInput, match="from 0 to 1"):
        plan(slot=2)


@given(st.integers(1, 400), st.floats(0.01, 0.99))
def test_there_is_always_a_fit_probe_and_from_two_on_a_held_out_one(num, fit_share):
    fit = fit_count(num, fit_share)
    assert 1 <= fit <= num
    assert num == 1 or fit < num


def test_roles_are_split_within_each_category():
    categories = np.array(["a"] * 10 + ["b"] * 4 + ["c"])
    roles = assign_roles(categories, 0.5, np.random.default_rng(0))
    fit = {name: int((roles[categories == name] == "fit").sum()) for name in "abc"}
    assert fit == {"a": 5, "b": 2, "c": 1}


def test_probes_can_be_joined_and_cut():
    made = plan().probes(1500)
    both = Probes.of(made.take(made.role == "fit"), made.take(made.role == "held_out"))
    assert sorted(both.row.tolist()) == made.row.tolist()
    assert len(Probes.of()) == 0
