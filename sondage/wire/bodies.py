"""⑥ What all bodies share: a request, an answer, a page of a list, and the words that fields choose from."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")
Slug = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="Lower case, digits, - and _.")
]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f/\\]+$")]
Modality = Literal["image", "text", "table", "vector"]
DatasetModality = Literal["image", "text", "table", "vector", "none"]
"""`none`: keys and labels alone, for runs that are recorded elsewhere. Its inputs never reach the server."""
Split = Literal["train", "validation", "test"]
JobState = Literal["queued", "running", "succeeded", "failed", "aborted"]
RunState = Literal["queued", "running", "finished", "failed", "aborted"]
Calibration = Literal["none", "probes", "reviews"]
Role = Literal["fit", "held_out"]
DecisionWord = Literal["keep", "relabel", "exclude", "unsure"]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", from_attributes=True)


class Page(Answer, Generic[Item]):
    """One page of a list. `next_cursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None = None
