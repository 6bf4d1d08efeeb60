"""③ ④ The curves of one example and of a tagging's probes in one run, and the probes that are nearest to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from app.api.tag_views import TagView
from sondage.curves import Curves
from sondage.tagging.explain import nearest_probes
from store import curves, taggings
from store.tables import RunProbe

Array = NDArray[Any]


@dataclass(frozen=True)
class CurveReader:
    """Reads the curves of one example and of a tagging's probes in one run. The probes' are kept in memory."""

    view: TagView
    run_id: int
    index: int
    probes: Sequence[taggings.UsedProbe]
    epochs: list[int]

    @classmethod
    def open(cls, view: TagView, run_id: int, index: int) -> CurveReader:
        """Of the epochs that the tagging looked at."""
        first = view.tagging.parameters.get(taggings.EPOCHS)
        return cls(
            view,
            run_id,
            index,
            taggings.probes(view.session, tagging_id=view.tagging.id, run_id=run_id),
            curves.closed_epochs(view.session, run_id=run_id, first=first),
        )

    def read(self, channel: str) -> tuple[Array, Array]:
        """The example's curve [epochs], and the probes' [probes, epochs]."""
        rows = [probe.row for probe in self.probes]
        of_probes = self.view.server.columns.probe_curves(
            self.view.tagging.id, self.run_id, channel, lambda: self._rows(channel, rows)
        )
        return self.own(channel), of_probes

    def own(self, channel: str) -> Array:
        """The example's curve alone, [epochs]."""
        found: Array = self._rows(channel, [self.index])[0]
        return found

    def nearest(self, k: int) -> list[tuple[int, float]]:
        """Places in `probes` of the nearest fit probes, by the distance of the loss curves, nearest first."""
        loss, of_probes = self.read("loss")
        fit = np.flatnonzero([probe.role == "fit" for probe in self.probes])
        if not len(fit) or not np.isfinite(loss).any():
            return []
        filled = Curves({"loss": np.concatenate([loss[None], of_probes[fit]])}).fill()["loss"]
        usable = np.flatnonzero(np.isfinite(filled[1:]).all(axis=1))
        if not len(usable):
            return []
        used = [self.probes[int(place)] for place in fit[usable]]
        nearest = nearest_probes(
            filled[:1],
            filled[1:][usable],
            np.array([probe.row for probe in used], dtype=np.int64),
            np.array([probe.category for probe in used]),
            k=k,
            rows=np.array([self.index]),
        )
        place_of = {probe.row: place for place, probe in enumerate(self.probes)}
        return [
            (place_of[int(row)], float(distance))
            for row, distance in zip(nearest.row[0], nearest.distance[0], strict=True)
        ]

    def _rows(self, channel: str, rows: list[int]) -> Array:
        return curves.read_rows(
            self.view.session, run_id=self.run_id, channel=channel, rows=rows, epochs=self.epochs
        )


def by_training(view: TagView, run_ids: Sequence[int], index: int) -> tuple[list[int], list[int]]:
    """The runs that trained on an example, and those that only scored it. In the order of `run_ids`."""
    displaced = _displaced_in(view, run_ids, index)
    seen = [run_id for run_id in run_ids if _was_seen(view, run_id, index)]
    return [one for one in seen if one not in displaced], [one for one in seen if one in displaced]


def _displaced_in(view: TagView, run_ids: Sequence[int], index: int) -> set[int]:
    """The runs in which a made probe took the example's place: a curve of it there is out of sample."""
    statement = select(RunProbe.run_id).where(
        RunProbe.run_id.in_(run_ids),
        RunProbe.source_row == index,
        RunProbe.row >= view.dataset.num_examples,
    )
    return set(view.session.scalars(statement))


def _was_seen(view: TagView, run_id: int, index: int) -> bool:
    curve = curves.read_rows(view.session, run_id=run_id, channel="loss", rows=[index])
    return bool(np.isfinite(curve).any())
