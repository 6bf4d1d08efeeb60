"""④ Planting: the probes of a run, made once before its first epoch and read back by every later attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sondage.probes.generators import make_probe_inputs
from sondage.probes.plan import ProbePlan, plan_probes
from sondage.probes.suite import SuiteDefinition
from sondage.probes.tables import TableInputs
from sondage.types import Rows
from store import jobs, runs
from store.examples import ExampleColumns
from store.runs import PlantedProbe
from store.tables import Run, RunProbe
from worker.context import Work
from worker.data.arrays import Arrays, ProbeInputs, TrainingArrays, probes_beside, read_probes

REFERENCE_ROWS = 5_000
"""A sample of the train split this large gives words and column statistics well enough."""


@dataclass(frozen=True)
class Planted:
    """The probes of one run: inputs as training reads them, the labels it is told, the rows they displace."""

    inputs: Arrays
    labels: Rows
    displaced: Rows


def planted_probes(
    work: Work,
    run: Run,
    definition: SuiteDefinition,
    arrays: TrainingArrays,
    columns: ExampleColumns,
    num_classes: int,
) -> Planted | None:
    """Those that are there, or new ones. None when the suite plants nothing.

    The payload gets its place before the rows are committed: rows that are there have their inputs, and probes made
    again after a crash between the two are the same, since the plan and the generators are seeded. Where another
    attempt was faster, what it wrote stays.
    """
    folder = probes_folder(work.data_dir, run.id)
    with work.transaction() as session:
        jobs.hold(session, job_id=work.job_id, attempt=work.attempt)
        there = runs.probes(session, run_id=run.id)
    if not there:
        plan = plan_probes(
            definition,
            columns.labels,
            columns.train_rows,
            num_classes,
            seed=definition.seed,
            slot=run.slot,
            num_slots=run.num_slots,
        )
        if not len(plan):
            return None
        made = _make(plan, arrays, columns, np.random.default_rng([definition.seed, run.slot, run.num_slots]))
        folder.parent.mkdir(parents=True, exist_ok=True)
        with probes_beside(folder, made, columns=arrays.payload.columns) as publish:
            there = _store(work, run, publish, _planted_rows(plan, len(columns.labels)))
    return Planted(
        inputs=read_probes(folder),
        labels=np.array([probe.label for probe in there], dtype=np.int64),
        displaced=np.array([probe.source_row for probe in there], dtype=np.int64),
    )


def probes_folder(data_dir: Path, run_id: int) -> Path:
    return data_dir / "runs" / str(run_id) / "probes"


def _make(
    plan: ProbePlan, arrays: TrainingArrays, columns: ExampleColumns, rng: np.random.Generator
) -> ProbeInputs:
    """The inputs of all probes, in the plan's order: probe i becomes row N + i."""
    train = columns.train_rows
    sample = np.sort(rng.permutation(train)[:REFERENCE_ROWS])
    reference = arrays.inputs(sample)
    parts, places = [], []
    for generator, positions in plan.groups():
        source = arrays.inputs(plan.source_row[positions])
        parts.append(make_probe_inputs(arrays.modality, generator, source, reference, rng))
        places.append(positions)
    return _in_order(parts, np.concatenate(places))


def _in_order(parts: Sequence[Any], places: Rows) -> ProbeInputs:
    """Put the groups' inputs together and at their places."""
    back = np.argsort(places, kind="stable")
    if isinstance(parts[0], list):
        together = [text for part in parts for text in part]
        return [together[place] for place in back]
    if isinstance(parts[0], TableInputs):
        numeric = np.concatenate([part.numeric for part in parts])
        codes = np.concatenate([part.codes for part in parts])
        return TableInputs(numeric[back], codes[back])
    stacked: ProbeInputs = np.concatenate(parts)[back]
    return stacked


def _store(
    work: Work, run: Run, publish: Callable[[], None], planted: Sequence[PlantedProbe]
) -> Sequence[RunProbe]:
    """Inputs and rows at once, held against any other attempt."""
    with work.transaction() as session:
        jobs.hold(session, job_id=work.job_id, attempt=work.attempt)
        there = runs.probes(session, run_id=run.id)
        if there:
            return there
        publish()
        runs.plant(session, run=session.get_one(Run, run.id), probes=planted)
        return runs.probes(session, run_id=run.id)


def _planted_rows(plan: ProbePlan, num_examples: int) -> Sequence[PlantedProbe]:
    names = [generator.name for generator in plan.generators]
    return [
        PlantedProbe(
            row=num_examples + position,
            category=str(plan.category[position]),
            role=str(plan.role[position]),
            generator=names[int(plan.generator[position])],
            source_row=int(plan.source_row[position]),
            label=int(plan.label[position]),
        )
        for position in range(len(plan))
    ]
