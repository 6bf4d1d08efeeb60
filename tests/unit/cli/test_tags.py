"""What `sondage tags --threshold` says below its table."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sondage.cli.tags import effect_in_words
from sondage.client import Tags
from sondage.wire import Facets, ThresholdEffect


class _Counted:
    """A list of which only the counts are asked."""

    def __init__(self, effect: ThresholdEffect | None) -> None:
        self.effect = effect

    def facets(self) -> Facets:
        return Facets(count=0, tags={}, labels={}, threshold=self.effect)


def _said(**changes: Any) -> str:
    whole: dict[str, Any] = {"threshold": 0.9, "num_wrong": 12, "recall": 0.5}
    whole |= {"precision": 0.951, "precision_low": 0.9, "precision_high": 1.0}
    return effect_in_words(cast(Tags, _Counted(ThresholdEffect(**whole | changes))))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Above 0.9: 12 tagged as wrong, about 95% of them are, 50% of all wrong labels are among them."),
        ({"precision": None, "recall": None}, "Above 0.9: 12 tagged as wrong, 90% to 100% of them are."),
        (
            {"precision": None, "precision_low": None, "precision_high": None, "recall": None},
            "Above 0.9: 12 tagged as wrong.",
        ),
    ],
)
def test_what_is_known_of_a_threshold_is_said(changes: dict[str, Any], expected: str) -> None:
    assert _said(**changes) == expected


def test_tags_by_votes_have_no_threshold() -> None:
    assert effect_in_words(cast(Tags, _Counted(None))) == "Tags go by votes alone."
