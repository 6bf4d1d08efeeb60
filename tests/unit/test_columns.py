"""Numbers kept in memory, within bounds."""

from __future__ import annotations

import numpy as np
import pytest

from app.columns import Columns
from store import scores
from store.tags import Filter


def test_places_of_a_slider_drive_out_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def values(session: object, *, score_id: int) -> np.ndarray:
        read.append(score_id)
        return np.zeros(1000, np.float32)

    monkeypatch.setattr(scores, "values", values)
    columns = Columns(max_bytes=40_000)
    columns.score(None, score_id=1)  # type: ignore[arg-type]  # nothing is asked of it
    made = []

    def indices(place: int) -> np.ndarray:
        made.append(place)
        return np.arange(200)

    for place in range(100):
        columns.indices(1, Filter(min_suspicion=place / 100), lambda place=place: indices(place))
    columns.score(None, score_id=1)  # type: ignore[arg-type]
    assert read == [1]
    assert made == list(range(100))
    columns.indices(1, Filter(min_suspicion=0.99), lambda: indices(99))
    assert len(made) == 100
    columns.indices(1, Filter(min_suspicion=0.0), lambda: indices(0))
    assert len(made) == 101
