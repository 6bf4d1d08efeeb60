"""Filters of tags by what reviewers decided."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from sondage.errors import NotFound
from store import decisions, taggings, tags
from store.tables import Tag
from store.tags import Filter
from tests.rows import a_dataset, a_run, a_suite, save_tags, tag_columns

NUM = 3000
WORDS = ["keep", "exclude", "unsure"]


@pytest.mark.parametrize("word", [*WORDS, "none"])
def test_decisions_are_looked_up_once_and_not_per_tag(session: Session, word: str) -> None:
    dataset = a_dataset(session, num=NUM)
    run = a_run(session, dataset)
    suite = a_suite(session)
    tagging = taggings.create(
        session, project_id=dataset.project_id, runs=[run], suite_id=suite.id, tagger="reference"
    )
    rows = [(index, index, 0, 0.5, 0, None, False, [1.0]) for index in range(NUM)]
    tags.write(session, tagging_id=tagging.id, columns=tag_columns(rows))
    rng = np.random.default_rng(0)
    made = [(int(index), WORDS[index % 7 % 3], None, "") for index in rng.integers(0, NUM, 2000)]
    made += [(int(index), "keep", None, "") for index in rng.integers(0, NUM, 500)]
    decisions.append_all(session, dataset=dataset, rows=made)
    session.execute(text("ANALYZE"))
    newest = {index: decision for index, decision, _, _ in made}
    expected = [index for index in range(NUM) if newest.get(index, "none") == word]
    where = Filter(decision=word)
    named = {"tagging_id": tagging.id, "dataset_id": dataset.id, "where": where}
    assert tags.matching_indices(session, **named).tolist() == expected
    assert tags.count(session, **named) == len(expected)
    statement = (
        select(func.count())
        .select_from(Tag)
        .where(Tag.tagging_id == tagging.id, *where.conditions(dataset_id=dataset.id))
    )
    words = statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
    plan = "\n".join(session.scalars(text(f"EXPLAIN {words}")))
    assert "SubPlan" not in plan, plan


def test_the_tags_of_a_class_come_in_the_order_of_the_list(session: Session) -> None:
    dataset = a_dataset(session, num=NUM)
    run, suite = a_run(session, dataset), a_suite(session)
    rng = np.random.default_rng(0)
    position, label = rng.permutation(NUM), rng.integers(0, 30, NUM)
    rows = [
        (index, int(position[index]), index % 3 - 1, 0.5, int(label[index]), None, False, [1.0])
        for index in range(NUM)
    ]
    made = [
        taggings.create(session, project_id=dataset.project_id, runs=[run], suite_id=suite.id, tagger=name)
        for name in ("reference", "other")
    ]
    tags.write(session, tagging_id=made[0].id, columns=tag_columns(rows))
    tags.write(session, tagging_id=made[1].id, columns=tag_columns(rows[:50]))
    session.execute(text("ANALYZE tags"))
    named = {"tagging_id": made[0].id, "dataset_id": dataset.id, "where": Filter(label=7)}
    pages, after = [], None
    while not pages or after is not None:
        page, after = tags.listed(session, **named, after=after, limit=10)
        pages.append([tag.index for tag in page])
    expected = sorted(np.flatnonzero(label == 7).tolist(), key=lambda index: position[index])
    assert len(pages) > 1
    assert [index for page in pages for index in page] == expected
    assert tags.facet(session, **named, column="tag") == {
        tag: sum(index % 3 - 1 == tag for index in expected) for tag in (-1, 0, 1)
    }


def test_tags_go_with_their_tagging_and_no_others(session: Session) -> None:
    dataset, suite = a_dataset(session), a_suite(session)
    run = a_run(session, dataset)
    made = [
        taggings.create(session, project_id=dataset.project_id, runs=[run], suite_id=suite.id, tagger=name)
        for name in ("reference", "other")
    ]
    for tagging in made:
        save_tags(session, tagging, dataset)
    session.delete(made[0])
    session.flush()
    left = session.scalars(select(Tag.tagging_id).distinct()).all()
    assert left == [made[1].id]


def test_no_tags_for_a_tagging_that_is_gone(session: Session) -> None:
    columns = tag_columns([(0, 0, 0, 0.5, 0, None, False, [1.0])])
    with pytest.raises(NotFound, match="77"):
        tags.write(session, tagging_id=77, columns=columns)
