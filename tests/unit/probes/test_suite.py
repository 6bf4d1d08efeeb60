"""④ Definitions of suites: validation, digest, round trip."""

import json

import pytest

from sondage.errors import InvalidInput, InvalidRows
from sondage.probes.suite import (
    CATEGORIES,
    Category,
    Generator,
    SuiteDefinition,
    check_members,
    default_suite,
)

KNOWN = {category.name: category for category in CATEGORIES}


def test_the_default_suite_is_the_papers():
    suite = default_suite()
    assert [category.name for category in suite.used_categories()] == [c.name for c in CATEGORIES]
    assert {generator.count for generator in suite.generators} == {500}
    assert suite.fit_share == 0.5
    wrong = {category.name: category.wrong_label for category in suite.used_categories()}
    assert wrong == {"prototypical": False, "atypical": False, "noisy": True, "ood": None, "corrupted": False}


@pytest.mark.parametrize(
    "suite",
    [
        default_suite(),
        SuiteDefinition(
            "own",
            generators=(
                Generator("flip", category="swapped"),
                Generator("corrupt", parameters={"strength": 0.2}),
            ),
            categories=(Category("swapped", True),),
            fit_share=0.7,
            seed=5,
        ),
        SuiteDefinition(
            "keys", members=(("b", "noisy"), ("a", "twin")), categories=(Category("twin", None),)
        ),
    ],
)
def test_round_trip_through_json(suite):
    again = SuiteDefinition.from_dict(json.loads(json.dumps(suite.to_dict())))
    assert again == suite
    assert again.digest() == suite.digest()


def test_the_digest_covers_all_but_the_name():
    base = default_suite()
    assert default_suite("other").digest() == base.digest()
    others = [
        default_suite(seed=1),
        default_suite(count=100),
        SuiteDefinition("x", generators=base.generators[:-1]),
        SuiteDefinition("x", generators=base.generators, fit_share=0.4),
        SuiteDefinition(
            "x", generators=(*base.generators[1:], Generator("corrupt", parameters={"strength": 0.1}))
        ),
    ]
    assert len({suite.digest() for suite in [base, *others]}) == len(others) + 1


def test_usual_parameters_and_stated_ones_digest_alike():
    stated = Generator("corrupt", parameters={"kinds": ["blur", "noise", "occlusion"], "strength": 0.75})
    assert stated == Generator("corrupt")


def test_members_in_another_order_are_the_same_suite():
    members = [("a", "noisy"), ("b", "ood")]
    assert (
        SuiteDefinition("x", members=tuple(members)).digest()
        == SuiteDefinition("x", members=tuple(reversed(members))).digest()
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Generator("rotate"), "no generator 'rotate'"),
        (lambda: Generator("flip", count=1), "at least 2"),
        (lambda: Generator("flip", parameters={"strength": 1}), "no parameter 'strength'"),
        (lambda: Generator("corrupt", parameters={"strength": 0}), r"\(0, 1\]"),
        (lambda: Generator("corrupt", parameters={"kinds": ["fog"]}), "noise, blur, occlusion"),
        (lambda: Category("Noisy!", True), "no name for a category"),
        (lambda: Category("unsure", None), "no name for a category"),
        (lambda: SuiteDefinition("x"), "generators or members"),
        (lambda: SuiteDefinition("x", generators=(Generator("flip"),)), "at least two categories"),
        (lambda: SuiteDefinition("x", default_suite().generators, fit_share=1.0), "between 0 and 1"),
        (
            lambda: SuiteDefinition("x", (Generator("flip", "mine"), Generator("corrupt"))),
            "no category 'mine'",
        ),
        (
            lambda: SuiteDefinition("x", (Generator("atypical"), Generator("atypical", "noisy"))),
            "once each",
        ),
        (
            lambda: SuiteDefinition("x", default_suite().generators, categories=(Category("noisy", False),)),
            "built in",
        ),
        (lambda: SuiteDefinition.from_dict({"name": "x", "colour": 1}), "no field 'colour'"),
        (lambda: SuiteDefinition.from_dict({"generators": [{"name": "flip"}]}), "needs a name"),
        (lambda: SuiteDefinition.from_dict({"name": "x", "generators": [{"nom": "flip"}]}), "unknown fields"),
        (lambda: SuiteDefinition.from_dict({"name": "x", "categories": [{"name": "own"}]}), "missing"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_remedy(make, said):
    with pytest.raises(InvalidInput, match=said):
        make()


def test_bad_members_are_listed_row_by_row():
    members = [("a", "noisy"), ("a", "ood"), ("b", "weird"), ("z", "ood"), ("c", "ood"), ("c", "ood")]
    with pytest.raises(InvalidRows) as caught:
        check_members(members, KNOWN, known_keys=["a", "b", "c"])
    assert [(row.index, row.code) for row in caught.value.rows] == [
        (1, "two_categories"),
        (2, "unknown_category"),
        (3, "unknown_key"),
        (5, "duplicate_key"),
    ]
    assert caught.value.num_rejected == 4


def test_at_most_a_hundred_rejected_members_are_listed_and_all_are_counted():
    with pytest.raises(InvalidRows) as caught:
        check_members([(str(key), "weird") for key in range(250)], KNOWN)
    assert (len(caught.value.rows), caught.value.num_rejected) == (100, 250)


OWN = {"examples": (("k", "ood"),), "examples_fingerprint": "f"}


def test_suites_without_own_examples_keep_their_digest():
    """It is stored: a suite that is there must be found again."""
    assert default_suite().digest() == "63bd1ab25162a89d8933aa834711bd3ec5229f807927d388e8dedafb1cb6af7f"
    assert "examples" not in default_suite().to_dict()


def test_own_examples_come_with_generators_and_round_trip():
    suite = SuiteDefinition("own", generators=(Generator("flip"),), **OWN)
    assert SuiteDefinition.from_dict(json.loads(json.dumps(suite.to_dict()))) == suite
    assert [category.name for category in suite.used_categories()] == ["noisy", "ood"]
    bare = SuiteDefinition("own", generators=(Generator("flip"), Generator("scramble")))
    digests = {
        suite.digest(),
        bare.digest(),
        SuiteDefinition("own", generators=(Generator("flip"),), **(OWN | {"examples_fingerprint": "g"})).digest(),
        SuiteDefinition("own", generators=(Generator("flip"),), examples=(("k", "noisy"), ("l", "ood")),
                        examples_fingerprint="f").digest(),
    }  # fmt: skip
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (OWN, "two categories"),
        (OWN | {"examples": (("k", "imagined"), ("l", "ood"))}, "no category"),
        (OWN | {"members": (("m", "noisy"),)}, "not both"),
        ({"examples": OWN["examples"], "generators": (Generator("flip"),)}, "fingerprint"),
        (OWN | {"examples": (("k", "ood"), ("k", "noisy"))}, "'k'"),
    ],
)
def test_wrong_own_examples(options, message):
    with pytest.raises(InvalidInput, match=message):
        SuiteDefinition("own", **options)
