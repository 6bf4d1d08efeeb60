"""⑤ Taggings: asking for tags of runs, and the report."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from app.api.answers import tagging_answers
from app.api.deletion import DeletionDep
from app.api.early import parameters_of
from app.api.problems import DELETE, LIST, MAKE, problems
from app.api.starting import usual_suite
from app.api.urls import of_project
from app.deps import (
    LARGEST_NUMBER,
    AdminProject,
    Number,
    OnceDep,
    PagingDep,
    ReadProject,
    RecordProject,
    SessionDep,
)
from sondage.errors import Conflict, InvalidInput
from sondage.wire import Deleted, Page, Report, Tagging, TaggingCreate
from store import runs, suites, taggings
from store import tables as t

router = APIRouter(prefix="/taggings", tags=["taggings"])
ENDED_BADLY = ("failed", "aborted")
OptionalNumber = Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)]


@router.get("", responses=LIST)
def list_taggings(
    project: ReadProject,
    session: SessionDep,
    paging: PagingDep,
    dataset_id: OptionalNumber = None,
    run_id: OptionalNumber = None,
) -> Page[Tagging]:
    """Newest first."""
    found, place = taggings.listed(
        session,
        project_id=project.id,
        dataset_id=dataset_id,
        run_id=run_id,
        below=paging.place,
        limit=paging.limit,
    )
    return paging.page(tagging_answers(session, found), place)


@router.post("", status_code=202, responses=MAKE)
def create_tagging(
    body: TaggingCreate, project: RecordProject, session: SessionDep, once: OnceDep, response: Response
) -> Tagging:
    """Tag the examples of some runs. Of runs that are still going, the tagging begins when the last has finished; with
    `epochs` or `now` it begins at once, by the epochs that are complete.

    `Location` is its job, or the tagging itself while it waits.
    """
    made = once.make(project, Tagging, body, lambda: _create(session, project, body))
    place = ("taggings", made.id) if made.job_id is None else ("jobs", made.job_id)
    response.headers["Location"] = of_project(project, *place)
    return made


@router.get("/{tagging_id}")
def get_tagging(project: ReadProject, session: SessionDep, tagging_id: Number) -> Tagging:
    return tagging_answers(session, [taggings.get(session, project_id=project.id, tagging_id=tagging_id)])[0]


@router.delete("/{tagging_id}", responses=DELETE)
def delete_tagging(
    project: AdminProject, session: SessionDep, tagging_id: Number, deletion: DeletionDep
) -> Deleted:
    """With its tags and its report. Scores stay; they are the runs'."""
    taggings.get(session, project_id=project.id, tagging_id=tagging_id)
    return deletion.delete(project, "tagging", tagging_id)


@router.get("/{tagging_id}/report", responses=problems(409))
def get_report(project: ReadProject, session: SessionDep, tagging_id: Number) -> Report:
    """How well the tagger knows the held-out probes; 409 before the tagging has finished."""
    tagging = finished_tagging(session, project, tagging_id)
    return Report(tagging_id=tagging.id, report=tagging.report or {})


def finished_tagging(session: Session, project: t.Project, tagging_id: int) -> t.Tagging:
    """Raises `Conflict` while there are no tags yet."""
    tagging = taggings.get(session, project_id=project.id, tagging_id=tagging_id)
    if tagging.state in ENDED_BADLY:
        raise Conflict(f"Tagging {tagging.id} {tagging.state}; it has no tags. Its job says why.")
    if tagging.state != "finished":
        raise Conflict(f"Tagging {tagging.id} is {tagging.state}; its tags are there when it has finished.")
    return tagging


def _create(session: Session, project: t.Project, body: TaggingCreate) -> Tagging:
    if len(set(body.run_ids)) < len(body.run_ids):
        raise InvalidInput("A run may come once.", field="run_ids")
    found = [runs.get(session, project_id=project.id, run_id=run_id) for run_id in body.run_ids]
    suite = _suite(session, project, body, found)
    tagging = taggings.create(
        session,
        project_id=project.id,
        runs=found,
        suite_id=suite.id,
        tagger=body.tagger,
        parameters=parameters_of(session, body, found),
    )
    taggings.defer_if_ready(session, tagging=tagging)
    if taggings.EPOCHS not in tagging.parameters:
        _refuse_ended_runs(session, found)
    return tagging_answers(session, [tagging])[0]


def _refuse_ended_runs(session: Session, found: list[t.Run]) -> None:
    """Now that `defer_if_ready` has locked the runs: none may fail between the look and the insert."""
    for run in found:
        session.refresh(run)
        if run.state in ENDED_BADLY:
            raise Conflict(f"Run {run.id} ({run.name}) {run.state}; it cannot be tagged. Start it again.")


def _refuse_bare_runs(session: Session, found: list[t.Run]) -> None:
    """A recorded run may have no probe at all; then only known examples can tell its curves apart."""
    for run in found:
        if run.suite_id is None and not runs.probes_page(session, run_id=run.id, limit=1)[0]:
            raise InvalidInput(
                f"Run {run.id} ({run.name}) has no probes: plant them in the training (sondage.torch.plant), or upload "
                "a suite of known examples and tag by it.",
                field="suite_id",
            )


def _suite(session: Session, project: t.Project, body: TaggingCreate, found: list[t.Run]) -> t.Suite:
    """The suite to tag by: the one asked for, or the one planted in all of the runs.

    Where the user's own program planted them all, no suite of the server is known: their probes are of the usual
    categories (`app.recording.probes` takes no others), so the usual suite says what these mean.
    """
    planted = {run.suite_id for run in found}
    number = (
        body.suite_id if body.suite_id is not None else next(iter(planted)) if len(planted) == 1 else None
    )
    if number is None and planted != {None}:
        raise InvalidInput("The runs have no suite in common: say which one in `suite_id`.", field="suite_id")
    suite = (
        usual_suite(session, project)
        if number is None
        else suites.get(session, project_id=project.id, suite_id=number)
    )
    # A recorded run names no suite when it begins: its probes were planted by the user's own program.
    if suite.kind != "uploaded" and not planted <= {suite.id, None}:
        raise InvalidInput(
            f"Suite {suite.id} ({suite.name}) was not planted in all of these runs; use theirs, or an uploaded one.",
            field="suite_id",
        )
    if suite.kind != "uploaded":
        _refuse_bare_runs(session, found)
    if suite.kind == "uploaded" and {run.dataset_id for run in found} != {suite.dataset_id}:
        raise InvalidInput(
            f"Suite {suite.id} ({suite.name}) names examples of dataset {suite.dataset_id}; the runs are of another.",
            field="suite_id",
        )
    return suite
