"""Tags at another threshold: the statement, a tag in hand and the arrays say the same."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sondage.probes.suite import Category
from sondage.tagging.cut import Cut, tags_at
from store import taggings, tags
from store.moved_tags import Moved
from store.tables import Tag
from store.tags import Filter, TagColumns
from tests.rows import a_dataset, a_run, a_suite

NUM = 60
CATEGORIES = (
    Category("easy", wrong_label=False),
    Category("slip", wrong_label=True),
    Category("foreign", wrong_label=None),
    Category("habit", wrong_label=True),
)


@pytest.mark.parametrize("wrong", [(1,), (1, 3)])
@pytest.mark.parametrize("ranges", [(), ((0, 7),), ((0, 2), (10, 40))])
def test_a_moved_threshold_gives_the_tags_of_a_tagging_with_it(
    session: Session, wrong: tuple[int, ...], ranges: tuple[tuple[int, int], ...]
) -> None:
    categories = CATEGORIES if len(wrong) == 2 else CATEGORIES[:3]
    rng = np.random.default_rng(len(ranges))
    votes = rng.dirichlet(np.ones(len(categories)), NUM).astype(np.float32).round(1)
    position, ranked = rng.permutation(NUM), np.arange(NUM) < 50
    position[ranked], position[~ranked] = rng.permutation(50), np.arange(50, NUM)
    votes[~ranked] = np.nan
    as_made = tags_at(Cut(0.5, ((0, 20),), 20), position, ranked, votes, categories)
    dataset = a_dataset(session, num=NUM)
    tagging = taggings.create(
        session,
        project_id=dataset.project_id,
        runs=[a_run(session, dataset)],
        suite_id=a_suite(session).id,
        tagger="evidence",
    )
    tags.write(
        session,
        tagging_id=tagging.id,
        columns=TagColumns(
            index=np.arange(NUM),
            position=position,
            tag=as_made,
            suspicion=np.where(ranked, 0.5, np.nan).astype(np.float32),
            label=np.zeros(NUM, dtype=np.int32),
            suggested_label=np.full(NUM, -1, dtype=np.int32),
            displaced=~ranked,
            probabilities=votes,
        ),
    )
    moved = Moved(ranges, wrong, tuple(sorted(set(range(len(categories))) - set(wrong))))
    expected = tags_at(Cut(0.3, ranges, 0), position, ranked, votes, categories)
    statement = select(moved.number()).where(Tag.tagging_id == tagging.id).order_by(Tag.index)
    np.testing.assert_array_equal(list(session.scalars(statement)), expected)
    found = session.scalars(select(Tag).where(Tag.tagging_id == tagging.id).order_by(Tag.index))
    np.testing.assert_array_equal([moved.of(tag) for tag in found], expected)
    of = {"tagging_id": tagging.id, "dataset_id": tagging.dataset_id}
    counted = tags.facet(session, **of, where=Filter(moved=moved), column="tag")
    assert counted == dict(zip(*map(np.ndarray.tolist, np.unique(expected, return_counts=True)), strict=True))
    for number, amount in counted.items():
        assert tags.count(session, **of, where=Filter(tag=number, moved=moved)) == amount
