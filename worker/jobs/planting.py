"""④ Planting: the probes of a run, made once before its first epoch and read back by every later attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sondage.errors import InvalidInput
from sondage.probes.generators import make_probe_inputs
from sondage.probes.plan import ProbePlan, plan_probes
from sondage.probes.planted import OWN
from sondage.probes.suite import SuiteDefinition
from sondage.probes.tables import TableInputs
from sondage.types import Rows
from store import examples, jobs, runs, suites
from store.examples import ExampleColumns
from store.payloads import Payload, open_payload
from store.runs import PlantedProbe
from store.tables import Dataset, Run, RunProbe, Suite
from worker.context import Work
from worker.data.arrays import Arrays, ProbeInputs, TrainingArrays, probes_beside, read_probes
from worker.data.fitting import fitted

REFERENCE_ROWS = 5_000
"""A sample of the train split this large gives words and column statistics well enough."""


@dataclass(frozen=True)
class OwnExamples:
    """The user's own examples of a suite, as they are stored.

    Parameters
    ----------
    payload : Payload
    class_names : sequence of str
        What `labels` number.
    labels : int array, keys, category, role : sequences of str
        By index.
    """

    payload: Payload
    class_names: Sequence[str]
    labels: Rows
    keys: Sequence[str]
    category: Sequence[str]
    role: Sequence[str]

    @classmethod
    def of(cls, work: Work, suite: Suite) -> OwnExamples | None:
        """None where the suite brings none along."""
        if suite.examples_dataset_id is None:
            return None
        with work.transaction() as session:
            dataset = session.get_one(Dataset, suite.examples_dataset_id)
            columns = examples.columns(session, dataset_id=dataset.id)
            members = suites.members(session, suite_id=suite.id)
            return cls(
                open_payload(work.data_dir / dataset.payload),
                dataset.class_names,
                columns.labels,
                examples.all_keys(session, dataset_id=dataset.id),
                [member.category for member in members],
                [member.role for member in members],
            )

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, arrays: TrainingArrays) -> ProbeInputs:
        """As the training reads its examples. Raises InvalidInput where they do not fit this dataset version."""
        shape = arrays.arrays[0].shape[1:] if arrays.modality == "image" else None
        return fitted(self.payload, arrays.payload, self.keys, shape=shape)

    def planted(self, first_row: int, class_names: Sequence[str]) -> list[PlantedProbe]:
        """From this row on, with labels in the classes of the dataset that is trained on.

        Raises
        ------
        InvalidInput
            It lacks a class that some are labelled with.
        """
        number = self._numbers(class_names)
        return [
            PlantedProbe(
                row=first_row + index,
                category=self.category[index],
                role=self.role[index],
                generator=OWN,
                source_row=None,
                label=number[int(label)],
                example_index=index,
            )
            for index, label in enumerate(self.labels)
        ]

    def _numbers(self, class_names: Sequence[str]) -> dict[int, int]:
        """The class of this dataset for each of ours that occurs, by name."""
        there = {name: number for number, name in enumerate(class_names)}
        used = {int(label): self.class_names[int(label)] for label in np.unique(self.labels)}
        missing = sorted(set(used.values()) - set(there))
        if missing:
            raise InvalidInput(
                f"Examples of the suite are labelled {missing[0]!r}, which is no class of this dataset: upload them "
                "for it, and map the labels by label_names.",
                field="suite",
            )
        return {label: there[name] for label, name in used.items()}


@dataclass(frozen=True)
class Planted:
    """The probes of one run: inputs as training reads them, the labels it is told, the rows they displace.

    Those of the user's own come last and displace none.
    """

    inputs: Arrays
    labels: Rows
    displaced: Rows


def planted_probes(
    work: Work,
    run: Run,
    definition: SuiteDefinition,
    arrays: TrainingArrays,
    columns: ExampleColumns,
    class_names: Sequence[str],
    own: OwnExamples | None = None,
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
            len(class_names),
            seed=definition.seed,
            slot=run.slot,
            num_slots=run.num_slots,
        )
        if not len(plan) and own is None:
            return None
        made = _make(
            plan, arrays, columns, np.random.default_rng([definition.seed, run.slot, run.num_slots]), own
        )
        planted = _planted_rows(plan, len(columns.labels))
        if own is not None:
            planted += own.planted(len(columns.labels) + len(plan), class_names)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with probes_beside(folder, made, columns=arrays.payload.columns) as publish:
            there = _store(work, run, publish, planted)
    return Planted(
        inputs=read_probes(folder),
        labels=np.array([probe.label for probe in there], dtype=np.int64),
        displaced=np.array(
            [probe.source_row for probe in there if probe.source_row is not None], dtype=np.int64
        ),
    )


def probes_folder(data_dir: Path, run_id: int) -> Path:
    return data_dir / "runs" / str(run_id) / "probes"


def _make(
    plan: ProbePlan,
    arrays: TrainingArrays,
    columns: ExampleColumns,
    rng: np.random.Generator,
    own: OwnExamples | None,
) -> ProbeInputs:
    """The inputs of all probes, in the plan's order and then the user's own: probe i becomes row N + i."""
    train = columns.train_rows
    sample = np.sort(rng.permutation(train)[:REFERENCE_ROWS])
    reference = arrays.inputs(sample)
    parts, places = [], []
    for generator, positions in plan.groups():
        source = arrays.inputs(plan.source_row[positions])
        parts.append(make_probe_inputs(arrays.modality, generator, source, reference, rng))
        places.append(positions)
    if own is not None:
        parts.append(own.inputs(arrays))
        places.append(len(plan) + np.arange(len(own)))
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


def _planted_rows(plan: ProbePlan, num_examples: int) -> list[PlantedProbe]:
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
