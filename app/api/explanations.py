"""⑤ Why an example has its tag: its curve in one run, the bands of the probes, and the nearest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.api.classes import label_name
from app.api.curve_reader import CurveReader, by_training
from app.api.curves import as_json
from app.api.reasons import facts_of
from app.api.tag_views import TagView
from app.api.urls import picture_url, row_picture_url
from sondage.errors import InvalidInput, NotFound
from sondage.tagging.explain import bands
from sondage.tagging.sentence import sentence
from sondage.wire import Band, Explanation, Neighbour, Probe
from store import curves, examples, runs, suites, taggings, tags
from store.tables import Dataset, Run, RunProbe

Array = NDArray[Any]


def explain(view: TagView, index: int, *, run_id: int | None, channel: str, k: int) -> Explanation:
    """An explanation from the curves of one run, and a sentence from those of all.

    The nearest probes are those of the tagger: the fit probes, by the distance of the loss curves, whatever
    channel is shown.

    Raises
    ------
    NotFound
        The example has no tag, or the run no such channel.
    InvalidInput
        The run is none of the tagging's.
    """
    tag = tags.get(view.session, tagging_id=view.tagging.id, index=index)
    run = _run(view, index, run_id)
    reader = CurveReader.open(view, run.id, index)
    curve, of_probes = reader.read(channel)
    facts = facts_of(view, tag, reader)
    return Explanation(
        tagging_id=view.tagging.id,
        index=index,
        sentence=sentence(facts),
        votes=dict(facts.votes),
        run_id=run.id,
        channel=channel,
        curve=as_json(curve),
        bands=_bands(of_probes, reader.probes),
        neighbours=_neighbours(reader, run, of_probes, k),
        predicted=_predicted(view, run, index, reader.epochs),
    )


def _run(view: TagView, index: int, run_id: int | None) -> Run:
    """The run asked for; or the first one that trained on the example; or the first that scored it, or any."""
    run_ids = taggings.run_ids(view.session, tagging_ids=[view.tagging.id])[view.tagging.id]
    if run_id is not None and run_id not in run_ids:
        there = ", ".join(map(str, run_ids))
        raise InvalidInput(f"Run {run_id} is not part of this tagging; its runs: {there}.", field="run_id")
    chosen = run_id or next(chain(*by_training(view, run_ids, index)), run_ids[0])
    return runs.get(view.session, project_id=view.project.id, run_id=chosen)


def _bands(shown: Array, probes: Sequence[taggings.UsedProbe]) -> list[Band]:
    """Over all probes, fit and held out."""
    if not probes or shown.dtype.kind != "f":
        return []
    found = bands(shown.astype(np.float64), np.array([probe.category for probe in probes]))
    return [
        Band(category=name, low=as_json(band.low), median=as_json(band.median), high=as_json(band.high))
        for name, band in found.items()
    ]


def _neighbours(reader: CurveReader, run: Run, shown: Array, k: int) -> list[Neighbour]:
    found = reader.nearest(k)
    told = _told(reader.view, run, [reader.probes[place].row for place, _ in found])
    return [
        _neighbour(reader.view, run, reader.probes[place], told, distance, shown[place])
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
    view: TagView, run: Run, probe: taggings.UsedProbe, told: _Told, distance: float, curve: Array
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
