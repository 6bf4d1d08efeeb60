"""⑥ Two taggings of one dataset version, held against each other."""

from __future__ import annotations

from pydantic import Field

from sondage.wire.bodies import Answer
from sondage.wire.tags import Tag


class Overlap(Answer):
    """Of the first `n` of both lists so many are the same."""

    n: int
    num_common: int
    expected: float = Field(description="How many would be the same by chance.")


class TaggingComparison(Answer):
    tagging_id: int
    other_id: int
    num_examples: int = Field(description="Tagged by both.")
    num_same: int = Field(description="With one tag in both.")
    num_ranked: int = Field(description="With a suspicion in both.")
    rank_correlation: float | None = Field(
        description="Spearman's, −1…1, of the places in the two lists; null of fewer than two examples."
    )
    tags: list[str] = Field(description="Of the rows of `counts`: the first tagging's.")
    other_tags: list[str] = Field(description="Of the columns: the second one's.")
    counts: list[list[int]] = Field(description="Numbers of examples with this tag here and that one there.")
    overlaps: list[Overlap]


class TagChange(Answer):
    """One example in two taggings."""

    first: Tag
    second: Tag
