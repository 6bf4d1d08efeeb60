from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.columns import Kept, worst_first
from app.cursors import decode, encode, list_digest
from app.errors import InvalidCursor

DIGEST = list_digest("/datasets", [("name", "a")])


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_place_comes_back(place: int) -> None:
    assert decode(encode(place, DIGEST), DIGEST) == place


@given(st.text(max_size=60))
def test_no_other_word_is_a_cursor(word: str) -> None:
    with pytest.raises(InvalidCursor):
        decode(word, DIGEST)


def test_a_cursor_belongs_to_its_list() -> None:
    cursor = encode(7, DIGEST)
    for other in (list_digest("/datasets", [("name", "b")]), list_digest("/runs", [("name", "a")])):
        with pytest.raises(InvalidCursor, match="another list"):
            decode(cursor, other)


def test_the_order_of_filters_does_not_matter() -> None:
    assert list_digest("/x", [("a", "1"), ("b", "2")]) == list_digest("/x", [("b", "2"), ("a", "1")])


def slow_order(column: np.ndarray, indices: np.ndarray, bad_end: str) -> list[int]:
    scored = [int(index) for index in indices if not np.isnan(column[index])]
    sign = -1 if bad_end == "high" else 1
    scored.sort(key=lambda index: (sign * column[index], index))
    return scored + [int(index) for index in indices if np.isnan(column[index])]


@given(
    values=st.lists(
        st.sampled_from([0.0, 1.0, 2.0, float("nan"), float("inf"), -float("inf")]), min_size=1, max_size=30
    ),
    data=st.data(),
    bad_end=st.sampled_from(["high", "low"]),
    limit=st.integers(1, 7),
)
def test_pages_by_score_give_the_whole_list_in_order(
    values: list[float], data: st.DataObject, bad_end: str, limit: int
) -> None:
    column = np.array(values, dtype=np.float32)
    chosen = data.draw(st.sets(st.integers(0, len(values) - 1)))
    indices = np.array(sorted(chosen), dtype=np.int64)
    found: list[int] = []
    after: int | None = None
    while True:
        page, after = worst_first(column, indices, bad_end=bad_end, after=after, limit=limit)
        assert len(page) <= limit
        found += page
        if after is None:
            break
    assert found == slow_order(column, indices, bad_end)


def test_going_on_after_an_example_that_left_the_list() -> None:
    column = np.array([5, 4, 3, 2], dtype=np.float32)
    page, after = worst_first(column, np.arange(4), bad_end="high", after=None, limit=2)
    assert (page, after) == ([0, 1], 1)
    page, after = worst_first(column, np.array([0, 2, 3]), bad_end="high", after=1, limit=2)
    assert (page, after) == ([2, 3], None)


def test_kept_arrays_stay_within_their_bytes() -> None:
    made: list[str] = []

    def make(name: str, size: int) -> np.ndarray:
        made.append(name)
        return np.zeros(size, np.uint8)

    kept = Kept(max_bytes=100)
    for name in ("a", "b", "a", "c", "a", "b"):
        kept.get(name, lambda name=name: make(name, 50))  # type: ignore[misc]
    assert made == ["a", "b", "c", "b"]
    kept.get("huge", lambda: make("huge", 101))
    kept.get("huge", lambda: make("huge", 101))
    assert made[-2:] == ["huge", "huge"]
    assert not kept.get("b", lambda: make("b", 50)).flags.writeable
