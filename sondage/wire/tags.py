"""⑥ Tags: what a tagging says of examples, how often, and why."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from sondage.wire.bodies import Answer, Calibration, DecisionWord
from sondage.wire.curves import Band
from sondage.wire.suites import Probe


class Tag(Answer):
    """What one tagging says of one example."""

    index: int
    key: str
    tag: str
    suspicion: float | None = Field(description="0…1, 1 is bad; null where the example was not trained on.")
    calibration: Calibration
    probability_wrong: float | None = Field(
        default=None,
        description="Chance that the given label is wrong, by the newest reviews or else by the "
        "planted flips; null where "
        "neither can tell.",
    )
    position: int = Field(description="Place in the suspicious list, 0 worst.")
    label: int
    label_name: str
    suggested_label: int | None
    suggested_label_name: str | None
    displaced: bool
    runs_trained: int | None = Field(
        default=None, description="Runs of the tagging that trained the example; null in old taggings."
    )
    runs_agreeing: int | None = Field(
        default=None,
        description="Those of them whose votes alone give this tag; null where a threshold or reviews have moved it.",
    )
    probabilities: dict[str, float] | None
    scores: dict[str, float | None] = Field(default={})
    decision: DecisionWord | None = None
    text: str | None = None
    values: dict[str, Any] | None = None
    picture_url: str | None = None


class ThresholdEffect(Answer):
    """What is tagged as wrong in the whole list, whatever the filter, at a threshold of P(wrong)."""

    threshold: float
    num_wrong: int = Field(description="Examples above it: these get a tag for wrong labels.")
    precision: float | None = Field(
        description="Expected share of wrong labels among them; null where nothing tells, or only a range."
    )
    precision_low: float | None = Field(
        description="Its low end: of an interval, or of the range over kinds of errors."
    )
    precision_high: float | None
    recall: float | None = Field(description="Expected share of all wrong labels that are among them.")


class Facets(Answer):
    """How many tags there are under a filter, in all, per tag and per class."""

    count: int
    tags: dict[str, int]
    labels: dict[str, int]
    threshold: ThresholdEffect | None = Field(
        default=None, description="Null where tags go by votes alone, as those of the reference tagger do."
    )


class Neighbour(Answer):
    """One of the nearest fit probes of an example in one run."""

    probe: Probe
    distance: float
    curve: list[float | None]
    picture_url: str | None = None
    text: str | None = None
    values: dict[str, Any] | None = None


class Explanation(Answer):
    """Why one example has its tag: its curve in one run, over the bands, with its nearest probes."""

    tagging_id: int
    index: int
    sentence: str = Field(
        default="", description="Why it stands where it stands, over all runs that trained the example."
    )
    votes: dict[str, int] = Field(
        default={}, description="Categories of the nearest fit probes that voted, over the same runs."
    )
    run_id: int
    channel: str
    curve: list[float | None]
    bands: list[Band]
    neighbours: list[Neighbour]
    predicted: list[str | None] = Field(description="The class the model predicted, per epoch.")
