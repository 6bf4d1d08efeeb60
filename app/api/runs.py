"""② Runs: asking for trainings, following them, ending them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api.answers import run_answers
from app.api.classes import label_name
from app.api.deletion import DeletionDep
from app.api.pictures import PNG, IfNoneMatch, Size, Version, picture
from app.api.problems import DELETE, LIST, MAKE, problems
from app.api.starting import start_runs
from app.api.urls import job_url
from app.deps import (
    LARGEST_NUMBER,
    AdminProject,
    NamedProject,
    Number,
    OnceDep,
    PagingDep,
    Place,
    ReadProject,
    RecordProject,
    ServerDep,
    SessionDep,
)
from sondage.errors import Conflict, NotFound
from sondage.wire import Deleted, Epoch, Job, Page, Probe, Run, RunAborted, RunCreate, RunsCreated, RunState
from store import datasets, jobs, recording, runs, suites

router = APIRouter(prefix="/runs", tags=["runs"])


@router.get("", responses=LIST)
def list_runs(
    project: NamedProject,
    session: SessionDep,
    paging: PagingDep,
    dataset_id: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)] = None,
    name: Annotated[str | None, Query(max_length=250)] = None,
    state: Annotated[RunState | None, Query()] = None,
) -> Page[Run]:
    """Newest first. A key of the scope `record` alone may ask by `name`."""
    found, place = runs.listed(
        session,
        project_id=project.id,
        dataset_id=dataset_id,
        name=name,
        state=state,
        below=paging.place,
        limit=paging.limit,
    )
    return paging.page(run_answers(session, found), place)


@router.post("", status_code=202, responses=MAKE)
def create_runs(
    body: RunCreate,
    project: RecordProject,
    session: SessionDep,
    server: ServerDep,
    once: OnceDep,
    response: Response,
) -> RunsCreated:
    """One training per seed, named `<name>-s<seed>`. `Location` is the first one's job."""
    made = once.make(
        project, RunsCreated, body, lambda: start_runs(session, project, body, server.settings.model_modules)
    )
    response.headers["Location"] = job_url(project, made.jobs[0].id)
    return made


@router.get("/{run_id}")
def get_run(project: ReadProject, session: SessionDep, run_id: Number) -> Run:
    return run_answers(session, [runs.get(session, project_id=project.id, run_id=run_id)])[0]


@router.delete("/{run_id}", responses=DELETE)
def delete_run(project: AdminProject, session: SessionDep, run_id: Number, deletion: DeletionDep) -> Deleted:
    """Name what depends on it (409), or with `cascade` delete all."""
    runs.get(session, project_id=project.id, run_id=run_id)
    return deletion.delete(project, "run", run_id)


@router.post("/{run_id}/abort", responses=problems(409))
def abort_run(project: RecordProject, session: SessionDep, run_id: Number) -> RunAborted:
    """End its job; of a run that is recorded from elsewhere, the recording. What has been recorded stays.

    A training elsewhere goes on. What it sends is answered with 409 `run_closed` until the run is reopened.
    """
    run = runs.get(session, project_id=project.id, run_id=run_id)
    if recording.get(session, run=run) is not None:
        ended = recording.abort(session, project_id=project.id, run_id=run.id)
        return RunAborted(run=run_answers(session, [ended])[0], job=None)
    job_id = jobs.of_runs(session, run_ids=[run.id]).get(run.id)
    if job_id is None:
        raise Conflict(f"Run {run.id} has no job to abort.")
    job = jobs.request_abort(session, project_id=project.id, job_id=job_id)
    session.refresh(run)
    return RunAborted(run=run_answers(session, [run])[0], job=Job.model_validate(job))


@router.post("/{run_id}/resume", responses=problems(409))
def resume_run(project: RecordProject, session: SessionDep, run_id: Number) -> Job:
    """Queue its training again after a failure or an abort. It goes on from the last epoch that was closed."""
    run = runs.get(session, project_id=project.id, run_id=run_id)
    job_id = jobs.of_runs(session, run_ids=[run.id]).get(run.id)
    if job_id is None:
        raise Conflict(
            f"Run {run.id} has no job to go on with: what records it is not a worker. Resume the training where it "
            "runs (sondage.init(resume=True)), or reopen the run to send what waits in its spool."
        )
    return Job.model_validate(jobs.retry(session, project_id=project.id, job_id=job_id))


@router.get("/{run_id}/epochs", responses=LIST)
def list_epochs(project: ReadProject, session: SessionDep, paging: PagingDep, run_id: Number) -> Page[Epoch]:
    """The closed ones, in order, with their metrics."""
    runs.get(session, project_id=project.id, run_id=run_id)
    found, place = runs.epochs(session, run_id=run_id, above=paging.place, limit=paging.limit)
    return paging.page([Epoch.model_validate(epoch) for epoch in found], place)


@router.get("/{run_id}/probes", responses=LIST)
def list_probes(project: ReadProject, session: SessionDep, paging: PagingDep, run_id: Number) -> Page[Probe]:
    """The planted ones, by row."""
    run = runs.get(session, project_id=project.id, run_id=run_id)
    dataset = datasets.get(session, project_id=project.id, dataset_id=run.dataset_id)
    found, place = runs.probes_page(session, run_id=run.id, above=paging.place, limit=paging.limit)
    named = [Probe.model_validate(probe) for probe in found]
    own = suites.examples_of_run(session, run=run)
    for probe in named:
        probe.example_dataset_id = own.id if own is not None and probe.example_index is not None else None
        probe.label_name = label_name(dataset, probe.label) if probe.label is not None else None
    return paging.page(named, place)


@router.get("/{run_id}/rows/{row}/thumbnail", response_class=Response, responses=PNG)
def get_row_thumbnail(
    project: ReadProject,
    session: SessionDep,
    server: ServerDep,
    run_id: Number,
    row: Place,
    size: Size = 128,
    v: Version = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The picture of any row, made probes included."""
    run = runs.get(session, project_id=project.id, run_id=run_id)
    if row >= run.num_rows:
        raise NotFound(f"Run {run.id} has {run.num_rows} rows; there is no row {row}.")
    dataset = datasets.get(session, project_id=project.id, dataset_id=run.dataset_id)
    name = f"{row}-{size}" if row < dataset.num_examples else f"run{run.id}-{row}-{size}"
    return picture(
        dataset,
        name,
        v,
        if_none_match,
        lambda: server.payloads.thumbnail_of_row(dataset, run.id, row, size),
    )
