"""⑤ Two taggings of one dataset version: what changed from one to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query

from app.api.problems import LIST, problems
from app.api.tag_views import TagView
from app.deps import Number, PagingDep, ReadProject, ServerDep, SessionDep
from sondage.errors import InvalidInput
from sondage.tagging.compare import TagList, compare, in_common, moved_most
from sondage.types import AnyArray, Rows
from sondage.wire import Overlap, Page, TagChange, TaggingComparison
from store import tags

router = APIRouter(
    prefix="/taggings/{tagging_id}/compare/{other_id}", tags=["taggings"], responses=problems(409)
)
TagWord = Annotated[str | None, Query(max_length=63)]


@dataclass(frozen=True)
class _Pair:
    first: TagView
    second: TagView

    def lists(self) -> tuple[TagList, TagList]:
        return in_common(_tag_list(self.first), _tag_list(self.second))

    def by_movement(self) -> AnyArray:
        """int64 [3, n]: the common examples, what moved furthest first, and both tags. Kept in memory for all pages."""

        def make() -> AnyArray:
            first, second = self.lists()
            order = moved_most(first, second)
            return np.stack([first.index[order], first.tag[order], second.tag[order]])

        return self.first.server.columns.changes(self.first.tagging.id, self.second.tagging.id, make)


def get_pair(
    project: ReadProject, session: SessionDep, server: ServerDep, tagging_id: Number, other_id: Number
) -> _Pair:
    first = TagView.open(session, server, project, tagging_id).as_made()
    second = TagView.open(session, server, project, other_id).as_made()
    if first.dataset.id != second.dataset.id:
        raise InvalidInput(
            f"Tagging {tagging_id} is of dataset {first.dataset.name} v{first.dataset.version}, tagging {other_id} of "
            f"{second.dataset.name} v{second.dataset.version}: only taggings of one dataset version can be compared.",
            field="other_id",
        )
    return _Pair(first, second)


PairDep = Annotated[_Pair, Depends(get_pair)]


@router.get("")
def compare_taggings(pair: PairDep) -> TaggingComparison:
    """How many tags changed, from which to which, and how alike the two lists are."""
    first, second = pair.lists()
    found = compare(first, second)
    return TaggingComparison(
        tagging_id=pair.first.tagging.id,
        other_id=pair.second.tagging.id,
        num_examples=found.num_examples,
        num_same=found.num_same,
        num_ranked=found.num_ranked,
        rank_correlation=found.rank_correlation,
        tags=list(first.names),
        other_tags=list(second.names),
        counts=found.counts.tolist(),
        overlaps=[Overlap.model_validate(one) for one in found.overlaps],
    )


@router.get("/changes", responses=LIST)
def list_changes(
    pair: PairDep, paging: PagingDep, tag: TagWord = None, other_tag: TagWord = None
) -> Page[TagChange]:
    """The examples that moved furthest in the list, by the ratio of their places; of one pair of tags, if asked for."""
    indices, here, there = pair.by_movement()
    wanted = np.ones(len(indices), dtype=np.bool_)
    if (number := pair.first.tag_number(tag)) is not None:
        wanted &= here == number
    if (number := pair.second.tag_number(other_tag, field="other_tag")) is not None:
        wanted &= there == number
    start = paging.place or 0
    chosen: Rows = indices[wanted][start : start + paging.limit]
    found = [int(index) for index in chosen]
    more = int(wanted.sum()) > start + len(found)
    return paging.page(_changes(pair, found), start + len(found) if more else None)


def _changes(pair: _Pair, indices: list[int]) -> list[TagChange]:
    answers = [
        view.answers(
            tags.of_indices(view.session, tagging_id=view.tagging.id, indices=indices), inputs=inputs
        )
        for view, inputs in ((pair.first, True), (pair.second, False))
    ]
    return [TagChange(first=first, second=second) for first, second in zip(*answers, strict=True)]


def _tag_list(view: TagView) -> TagList:
    found = tags.in_bulk(view.session, tagging_id=view.tagging.id)
    return TagList(view.tagging.categories, found.index, found.tag, found.position, found.ranked)
