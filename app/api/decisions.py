"""⑥ Decisions: what reviewers say of examples. Append-only; the newest of an example counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError

from app.api.bulk import BulkDep, Row, bulk_body
from app.api.problems import LIST, MAKE, problems
from app.deps import Number, OnceDep, PagingDep, PrincipalDep, ReadProject, ReviewProject, SessionDep
from sondage.errors import InvalidInput, InvalidRows, RowError
from sondage.wire import Decision, DecisionIn, Page
from store import datasets, decisions
from store import tables as t

router = APIRouter(prefix="/datasets/{dataset_id}/decisions", tags=["decisions"])
MAX_DECISIONS = 100_000
LISTED_ROWS = 100
BODY = {
    "oneOf": [
        {"$ref": "#/components/schemas/DecisionIn"},
        {"type": "array", "items": {"$ref": "#/components/schemas/DecisionIn"}},
    ]
}


@router.get("", responses=LIST)
def list_decisions(
    project: ReadProject, session: SessionDep, paging: PagingDep, dataset_id: Number
) -> Page[Decision]:
    """The whole history, newest first."""
    datasets.get(session, project_id=project.id, dataset_id=dataset_id)
    found, place = decisions.listed(session, dataset_id=dataset_id, below=paging.place, limit=paging.limit)
    return paging.page([Decision.model_validate(decision) for decision in found], place)


@router.post("", status_code=201, responses=MAKE | problems(415), openapi_extra=bulk_body(BODY))
def decide(
    project: ReviewProject,
    principal: PrincipalDep,
    session: SessionDep,
    once: OnceDep,
    dataset_id: Number,
    body: BulkDep,
) -> Page[Decision]:
    """One decision or many, as JSON, JSON lines, CSV or Parquet. One wrong row, and none is kept."""
    dataset = datasets.get(session, project_id=project.id, dataset_id=dataset_id)

    def make() -> Page[Decision]:
        wanted = _checked(body.rows(columns=("index", "decision"), optional=("label", "note")), dataset)
        made = decisions.append_all(
            session,
            dataset=dataset,
            rows=[(one.index, one.decision, one.label, one.note) for one in wanted],
            reviewer=principal.name,
        )
        return Page[Decision](items=[Decision.model_validate(decision) for decision in made])

    return once.make(project, Page[Decision], body.data, make)


def _checked(rows: Sequence[Row], dataset: t.Dataset) -> list[DecisionIn]:
    if not 0 < len(rows) <= MAX_DECISIONS:
        raise InvalidInput(f"Send from 1 to {MAX_DECISIONS:,} decisions at a time.", field="body")
    wanted, faults = [], []
    for place, row in enumerate(rows):
        try:
            one = DecisionIn.model_validate({name: value for name, value in row.items() if not _empty(value)})
        except ValidationError as fault:
            faults.append(RowError(place, "invalid_input", _words(fault)))
            continue
        wanted.append(one)
        faults += [RowError(place, *reason) for reason in _reasons(one, dataset)]
    if faults:
        message = f"{len(faults)} decisions were refused, and none was kept. {faults[0].message}"
        raise InvalidRows(message, faults[:LISTED_ROWS], num_rejected=len(faults))
    return wanted


def _empty(value: Any) -> bool:
    """An empty cell of a file is a value that was not given."""
    return value is None or value == ""


def _words(fault: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in fault.errors())


def _reasons(one: DecisionIn, dataset: t.Dataset) -> list[tuple[str, str]]:
    found = []
    if one.index >= dataset.num_examples:
        found.append(
            ("unknown_index", f"There is no example {one.index}; the dataset has {dataset.num_examples}.")
        )
    if one.decision == "relabel" and one.label is None:
        found.append(("missing_label", "A relabel needs the `label` that is right."))
    if one.decision != "relabel" and one.label is not None:
        found.append(("needless_label", f"{one.decision!r} takes no `label`."))
    if one.label is not None and not 0 <= one.label < len(dataset.class_names):
        found.append(
            ("unknown_label", f"There is no class {one.label}; there are {len(dataset.class_names)}.")
        )
    return found
