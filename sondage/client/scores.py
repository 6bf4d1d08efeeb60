"""⑤ Scores: a number per example by a named method."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sondage.client.datasets import DatasetRef, Datasets
from sondage.client.http import Http
from sondage.types import PerRow
from sondage.wire import Score


class Scores:
    """`client.scores`."""

    def __init__(self, http: Http, datasets: Datasets) -> None:
        self._http = http
        self._datasets = datasets

    def list(
        self, *, dataset: DatasetRef | None = None, method: str | None = None, limit: int | None = None
    ) -> Iterator[Score]:
        """Newest first."""
        number = None if dataset is None else self._datasets.number(dataset)
        return self._http.pages(Score, self._path(), limit=limit, dataset_id=number, method=method)

    def get(self, score_id: int) -> Score:
        return self._http.get(Score, self._path(score_id))

    def values(self, score: Score | int) -> PerRow:
        """One float32 per example of the dataset, shape (N,); NaN where there is none.

        Which end is bad is `Score.bad_end`.
        """
        number = score if isinstance(score, int) else score.id
        response = self._http.fetch(self._path(number, "values"))
        return np.frombuffer(response.content, "<f4").astype(np.float32)

    def _path(self, *parts: object) -> str:
        return self._http.of_project("scores", *parts)
