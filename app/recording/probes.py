"""④ The known rows of a recorded run: each checked, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.api.classes import label_name
from sondage.errors import InvalidRows, RowError
from sondage.probes.suite import CATEGORIES, SuiteDefinition
from sondage.wire import RecordedProbe
from store import examples, suites
from store.runs import PlantedProbe
from store.tables import Dataset, Run

LISTED_ROWS = 100
MAX_PROBES = 1_000_000
Fault = tuple[str, str]
"""Code and words."""


def checked(
    session: Session, run: Run, dataset: Dataset, given: Sequence[RecordedProbe]
) -> list[PlantedProbe]:
    """The probes to plant: known examples, made ones, and ones of the user's own.

    Raises
    ------
    InvalidRows
        Some are wrong, or a row beyond the dataset has none.
    """
    sources = sorted({probe.source_row for probe in given if probe.source_row is not None})
    labels = examples.labels(session, dataset_id=dataset.id, indices=sources)
    known = _Known(run, dataset, categories_of(session, run), labels, _own_examples(session, run))
    faults = [*_faults(given, known), *_unnamed(given, run, dataset)]
    if faults:
        message = f"{len(faults)} probes were refused, and nothing was stored. {faults[0].message}"
        raise InvalidRows(message, faults[:LISTED_ROWS], num_rejected=len(faults))
    return [PlantedProbe(**probe.model_dump()) for probe in sorted(given, key=lambda probe: probe.row)]


def categories_of(session: Session, run: Run) -> set[str]:
    """The usual categories, and those of the run's suite."""
    names = {category.name for category in CATEGORIES}
    if run.suite_id is None:
        return names
    suite = suites.get(session, project_id=run.project_id, suite_id=run.suite_id)
    return names | {category.name for category in SuiteDefinition.from_dict(suite.definition).categories}


@dataclass(frozen=True)
class _Known:
    """What a probe is checked against.

    `labels` are the given ones of the sources that exist, `own` the category of each of the suite's own examples.
    """

    run: Run
    dataset: Dataset
    categories: set[str]
    labels: Mapping[int, int]
    own: Mapping[int, str]


def _own_examples(session: Session, run: Run) -> dict[int, str]:
    if run.suite_id is None:
        return {}
    suite = suites.get(session, project_id=run.project_id, suite_id=run.suite_id)
    if suite.examples_dataset_id is None:
        return {}
    return {member.index: member.category for member in suites.members(session, suite_id=suite.id)}


def _faults(given: Sequence[RecordedProbe], known: _Known) -> Iterator[RowError]:
    rows: set[int] = set()
    displaced: set[int] = set()
    for position, probe in enumerate(given):
        is_made = probe.row >= known.dataset.num_examples
        fault = _fault(probe, known) or (None if is_made else _fault_of_example(probe, known))
        if probe.row in rows:
            fault = "duplicate_row", f"Row {probe.row} comes more than once."
        elif is_made and probe.source_row is not None and probe.source_row in displaced:
            fault = "duplicate_source", f"The place of example {probe.source_row} is taken more than once."
        if fault is not None:
            yield RowError(position, *fault)
        rows.add(probe.row)
        if is_made and probe.source_row is not None:
            displaced.add(probe.source_row)


def _fault(probe: RecordedProbe, known: _Known) -> Fault | None:
    classes = len(known.dataset.class_names)
    if probe.row >= known.run.num_rows:
        return "row_range", f"row is {probe.row}; the run has {known.run.num_rows} rows."
    if probe.category not in known.categories:
        some = ", ".join(sorted(known.categories))
        return "unknown_category", f"{probe.category!r} is no category; there are: {some}."
    if probe.source_row is not None and probe.source_row not in known.labels:
        return "source_range", f"source_row is {probe.source_row}, which is no example of the dataset."
    if probe.label >= classes:
        return "unknown_label", f"label is {probe.label}; there are {classes} classes."
    return None if probe.example_index is None else _fault_of_own(probe, probe.example_index, known)


def _fault_of_own(probe: RecordedProbe, index: int, known: _Known) -> Fault | None:
    """One of the suite's own examples is what the suite says, and was made of nothing."""
    if probe.source_row is not None:
        return (
            "made_or_own",
            f"Row {probe.row} has a source_row and an example_index: it is one or the other.",
        )
    if index not in known.own:
        return "unknown_example", f"The run's suite has no example {index} of its own."
    if probe.category != known.own[index]:
        return "category_differs", f"Example {index} of the suite is {known.own[index]!r}."
    return None


def _fault_of_example(probe: RecordedProbe, known: _Known) -> Fault | None:
    """An example as it is has itself as source and its given label."""
    if probe.source_row != probe.row:
        return "source_differs", f"Row {probe.row} is an example as it is: its source_row is itself."
    label = known.labels[probe.row]
    if probe.label != label:
        return (
            "label_differs",
            f"Example {probe.row} has the label {label} ({label_name(known.dataset, label)}).",
        )
    return None


def _unnamed(given: Sequence[RecordedProbe], run: Run, dataset: Dataset) -> list[RowError]:
    """A row beyond the dataset is nothing without its category and label."""
    there = {probe.row for probe in given}
    missing = [row for row in range(dataset.num_examples, run.num_rows) if row not in there]
    if not missing:
        return []
    return [
        RowError(
            len(given), "missing_probe", f"Row {missing[0]} and {len(missing) - 1} others have no probe."
        )
    ]
