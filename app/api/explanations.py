"""⑤ Why an example has its tag: its curve in one run, the bands of the probes, and the nearest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from app.api.classes import label_name
from app.api.curves import as_json
from app.api.tag_views import TagView
from app.api.urls import picture_url, row_picture_url
from sondage.curves import Curves
from sondage.errors import InvalidInput, NotFound
from sondage.tagging.explain import bands, nearest_probes
from sondage.wire import Band, Explanation, Neighbour, Probe
from store import curves, examples, runs, suites, taggings, tags
from store.tables import Dataset, Run, RunProbe, TaggingProbe

Array = NDArray[Any]


def explain(view: TagView, index: int, *, run_id: int | None, channel: str, k: int) -> Explanation:
    """An explanation from the curves of one run.

    The nearest probes are those of the tagger: the fit probes, by the distance of the loss curves, whatever
    channel is shown.

    Raises
    ------
    NotFound
        The example has no tag, or the run no such channel.
    InvalidInput
        The run is none of the tagging's.
    """
    tags.get(view.session, tagging_id=view.tagging.id, index=index)
    run = _run(view, index, run_id)
    probes = taggings.probes(view.session, tagging_id=view.tagging.id, run_id=run.id)
    first = view.tagging.parameters.get(taggings.EPOCHS)
    epochs = curves.closed_epochs(view.session, run_id=run.id, first=first)
    reader = _Reader(view, run, index, [probe.row for probe in probes], epochs)
    curve, of_probes = reader.read(channel)
    return Explanation(
        tagging_id=view.tagging.id,
        index=index,
        run_id=run.id,
        channel=channel,
        curve=as_json(curve),
        bands=_bands(of_probes, probes),
        neighbours=_neighbours(reader, probes, of_probes, k),
        predicted=_predicted(view, run, index, epochs),
    )


@dataclass(frozen=True)
class _Reader:
    """Reads the curves of one example and of a tagging's probes in one run. The probes' are kept in memory."""

    view: TagView
    run: Run
    index: int
    probe_rows: list[int]
    epochs: list[int]

    def read(self, channel: str) -> tuple[Array, Array]:
        """The example's curve [epochs], and the probes' [probes, epochs]."""
        of_probes = self.view.server.columns.probe_curves(
            self.view.tagging.id, self.run.id, channel, lambda: self._rows(channel, self.probe_rows)
        )
        return self._rows(channel, [self.index])[0], of_probes

    def _rows(self, channel: str, rows: list[int]) -> Array:
        return curves.read_rows(
            self.view.session, run_id=self.run.id, channel=channel, rows=rows, epochs=self.epochs
        )


def _run(view: TagView, index: int, run_id: int | None) -> Run:
    """The run asked for; or the first one that trained on the example; or the first that scored it, or any."""
    run_ids = taggings.run_ids(view.session, tagging_ids=[view.tagging.id])[view.tagging.id]
    if run_id is not None and run_id not in run_ids:
        there = ", ".join(map(str, run_ids))
        raise InvalidInput(f"Run {run_id} is not part of this tagging; its runs: {there}.", field="run_id")
    chosen = run_id or _first_that_trained(view, run_ids, index)
    return runs.get(view.session, project_id=view.project.id, run_id=chosen)


def _first_that_trained(view: TagView, run_ids: Sequence[int], index: int) -> int:
    displaced = _displaced_in(view, run_ids, index)
    by_training = sorted(run_ids, key=lambda run_id: run_id in displaced)
    return next((one for one in by_training if _was_seen(view, one, index)), run_ids[0])


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


def _bands(shown: Array, probes: Sequence[TaggingProbe]) -> list[Band]:
    """Over all probes, fit and held out."""
    if not probes or shown.dtype.kind != "f":
        return []
    found = bands(shown.astype(np.float64), np.array([probe.category for probe in probes]))
    return [
        Band(category=name, low=as_json(band.low), median=as_json(band.median), high=as_json(band.high))
        for name, band in found.items()
    ]


def _neighbours(reader: _Reader, probes: Sequence[TaggingProbe], shown: Array, k: int) -> list[Neighbour]:
    loss, of_probes = reader.read("loss")
    fit = np.flatnonzero([probe.role == "fit" for probe in probes])
    if not len(fit) or not np.isfinite(loss).any():
        return []
    filled = Curves({"loss": np.concatenate([loss[None], of_probes[fit]])}).fill()["loss"]
    usable = np.flatnonzero(np.isfinite(filled[1:]).all(axis=1))
    if not len(usable):
        return []
    used = [probes[int(place)] for place in fit[usable]]
    nearest = nearest_probes(
        filled[:1],
        filled[1:][usable],
        np.array([probe.row for probe in used], dtype=np.int64),
        np.array([probe.category for probe in used]),
        k=k,
        rows=np.array([reader.index]),
    )
    place_of = {probe.row: place for place, probe in enumerate(probes)}
    found = [
        (place_of[int(row)], float(d)) for row, d in zip(nearest.row[0], nearest.distance[0], strict=True)
    ]
    told = _told(reader.view, reader.run, [probes[place].row for place, _ in found])
    return [
        _neighbour(reader.view, reader.run, probes[place], told, distance, shown[place])
        for place, distance in found
    ]


@dataclass(frozen=True)
class _Told:
    """What is known of some rows: as probes, their given labels, and where the suite's own examples are."""

    planted: dict[int, RunProbe]
    given: dict[int, int]
    own: Dataset | None

    def label(self, row: int) -> int | None:
        """What the training was told: the planted label of a made probe, else the given one."""
        return self.planted[row].label if row in self.planted else self.given.get(row)

    def own_index(self, row: int) -> int | None:
        return self.planted[row].example_index if row in self.planted and self.own is not None else None


def _neighbour(
    view: TagView, run: Run, probe: TaggingProbe, told: _Told, distance: float, curve: Array
) -> Neighbour:
    label, own_index = told.label(probe.row), told.own_index(probe.row)
    return Neighbour(
        probe=Probe(
            run_id=run.id,
            row=probe.row,
            category=probe.category,
            role=probe.role,  # type: ignore[arg-type]  # the table's constraint has the words
            source_row=probe.source_row,
            example_index=own_index,
            example_dataset_id=None if own_index is None or told.own is None else told.own.id,
            label=label,
            label_name=None if label is None else label_name(view.dataset, label),
        ),
        distance=distance,
        curve=as_json(curve),
        **_seen(view, run, probe.row, told.own, own_index),
    )


def _seen(view: TagView, run: Run, row: int, own: Dataset | None, own_index: int | None) -> dict[str, Any]:
    """Picture, text or values of a probe. One of the user's own shows itself, also where the run was recorded elsewhere
    and its dataset has no inputs."""
    if own is not None and own_index is not None:
        url = picture_url(view.project, own, own_index)
        return {"picture_url": url, **view.server.payloads.preview(own, own_index)}
    if not view.server.payloads.has_row(view.dataset, run.id, row):
        return {}
    url = row_picture_url(view.project, view.dataset, run.id, row)
    return {"picture_url": url, **view.server.payloads.preview_of_row(view.dataset, run.id, row)}


def _told(view: TagView, run: Run, rows: Sequence[int]) -> _Told:
    return _Told(
        runs.probes_at(view.session, run_id=run.id, rows=rows),
        examples.labels(view.session, dataset_id=view.dataset.id, indices=rows),
        suites.examples_of_run(view.session, run=run),
    )


def _predicted(view: TagView, run: Run, index: int, epochs: Sequence[int]) -> list[str | None]:
    """The predicted class per epoch; nothing where the run did not record it."""
    try:
        values = curves.read_rows(
            view.session, run_id=run.id, channel="predicted", rows=[index], epochs=epochs
        )
    except NotFound:
        return []
    return [label_name(view.dataset, int(value)) if value >= 0 else None for value in values[0]]
