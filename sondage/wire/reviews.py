"""⑥ The sample to review, and the calibration that its decisions earn."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from sondage.wire.bodies import Answer, Request
from sondage.wire.tags import Tag


class SampledTag(Tag):
    """An example of the sample to review."""

    place: int = Field(description="In the order to review in, from 0.")
    round: int = Field(description="Which extension of the sample it came with, from 0.")
    inclusion: float = Field(description="Probability with which it was drawn, 0…1.")


class ReviewSample(Answer):
    """A stratified random sample of the ranking. Decide on it as on any example; then calibrate."""

    tagging_id: int
    size: int
    num_decided: int
    items: list[SampledTag]


class ReviewSampleCreate(Request):
    size: int = Field(default=100, ge=10, le=2_000, description="In all, what was drawn before included.")


class Estimate(Answer):
    """A number of these very examples, with its interval."""

    value: float
    low: float
    high: float


class TopList(Estimate):
    """Share of wrong labels among the first k of the suspicious list."""

    k: int


class ReliabilityBin(Answer):
    """Examples with P(wrong) from low to high: what was expected of the reviewed ones, and what was found."""

    low: float
    high: float
    num_examples: int
    num_reviews: int
    expected_wrong: float
    num_wrong: int


class CalibrationCurve(Answer):
    """P(wrong) along the ranking: places 0…1, 0 worst; straight lines between them."""

    place: list[float]
    probability: list[float]
    low: list[float]
    high: list[float]


class TaggingCalibration(Answer):
    """What the reviews of a tagging's sample say."""

    tagging_id: int
    version: int
    method: Literal["reviews"] = "reviews"
    level: float = Field(description="Of every interval by itself.")
    num_examples: int
    num_reviews: int = Field(description="Decisions that counted.")
    num_wrong: int = Field(description="Of these, relabel or exclude.")
    num_unsure: int
    num_open: int = Field(description="Of the sample, not decided when it was made.")
    share_wrong: Estimate
    top_lists: list[TopList]
    reliability: list[ReliabilityBin]
    curve: CalibrationCurve
    assumption: str
    warnings: list[str]
    num_newer_decisions: int = Field(description="On this dataset, since it was made: calibrate again.")
    created_at: datetime
