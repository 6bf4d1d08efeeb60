"""④ Suites: of generators, of keys of known examples, of examples of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from app.api.bulk import BulkDep, bulk_body, validation
from app.api.deletion import DeletionDep
from app.api.problems import DELETE, LIST, MAKE, binary, problems
from app.api.sources import check_source
from app.api.suite_examples import NPZ, ask_for_suite, examples_as_npz
from app.api.suite_upload import add_uploaded_suite, upload_from_rows, warnings_of
from app.api.urls import job_url, of_project
from app.deps import (
    LARGEST_NUMBER,
    AdminProject,
    Number,
    OnceDep,
    PagingDep,
    ReadProject,
    RecordProject,
    ServerDep,
    SessionDep,
)
from sondage.probes.suite import Generator, SuiteDefinition, default_suite
from sondage.wire import Deleted, Job, Page, Suite, SuiteCreate, SuiteExamples, SuiteUpload
from store import suites
from store import tables as t

router = APIRouter(prefix="/suites", tags=["suites"])


@router.get("", responses=LIST)
def list_suites(
    project: ReadProject,
    session: SessionDep,
    paging: PagingDep,
    name: Annotated[str | None, Query(max_length=200)] = None,
    kind: Annotated[Literal["generated", "uploaded", "examples"] | None, Query()] = None,
) -> Page[Suite]:
    """All versions, newest first."""
    found, place = suites.listed(
        session, project_id=project.id, name=name, kind=kind, below=paging.place, limit=paging.limit
    )
    return paging.page(suite_answers(session, found), place)


@router.post("", status_code=201, responses=MAKE)
def create_suite(
    body: SuiteCreate, project: RecordProject, session: SessionDep, once: OnceDep, response: Response
) -> Suite:
    """A suite of generators; the version that is there when it has the same definition."""

    def make() -> Suite:
        definition = _definition(body)
        suite = suites.add(
            session,
            project_id=project.id,
            name=body.name,
            digest=definition.digest(),
            definition=definition.to_dict(),
        )
        return suite_answers(session, [suite])[0]

    made = once.make(project, Suite, body, make)
    response.headers["Location"] = of_project(project, "suites", made.id)
    return made


@router.post(
    "/upload",
    status_code=201,
    responses=MAKE | problems(415),
    openapi_extra=bulk_body({"$ref": "#/components/schemas/SuiteUpload"}),
)
def upload_suite(
    project: RecordProject,
    session: SessionDep,
    once: OnceDep,
    response: Response,
    body: BulkDep,
    name: Annotated[str | None, Query(max_length=200, description="Of a file: the suite's name.")] = None,
    dataset_id: Annotated[
        int | None, Query(ge=1, le=LARGEST_NUMBER, description="Of a file: whose keys it names.")
    ] = None,
    category: Annotated[
        list[str],
        Query(description="Of a file: a category of your own, as `name:wrong`, `name:right` or `name:na`."),
    ] = [],  # noqa: B006  # FastAPI copies it
    seed: Annotated[
        int, Query(ge=0, le=LARGEST_NUMBER, description="Of a file: decides which half is held out.")
    ] = 0,
) -> Suite:
    """Known examples by key. One wrong row, and nothing is stored.

    As JSON, one object holds everything; a file (JSON lines, CSV, Parquet) has the columns `key` and `category`, and
    the rest stands in the address.
    """

    def make() -> Suite:
        with validation():
            upload = (
                SuiteUpload.model_validate_json(body.data)
                if body.is_json
                else upload_from_rows(
                    body.rows(columns=("key", "category")), name, dataset_id, category, seed
                )
            )
        suite, notes = add_uploaded_suite(session, project, upload)
        answer = suite_answers(session, [suite])[0]
        return answer.model_copy(update={"warnings": [*notes, *answer.warnings]})

    asked = {"query": [name, dataset_id, category, seed], "body": body.data.hex()}
    made = once.make(project, Suite, asked, make)
    response.headers["Location"] = of_project(project, "suites", made.id)
    return made


@router.post("/examples", status_code=202, responses=MAKE)
def upload_examples(
    body: SuiteExamples,
    project: RecordProject,
    session: SessionDep,
    server: ServerDep,
    once: OnceDep,
    response: Response,
) -> Job:
    """Read examples of your own into a small dataset version and a suite of them: both, or with one wrong row neither.

    They are planted in trainings to come, beside the dataset's examples. `result` of the job has `suite_id` and
    `dataset_id`.
    """

    def make() -> Job:
        check_source(body.source, server.settings)
        return ask_for_suite(session, project, body)

    job = once.make(project, Job, body, make)
    response.headers["Location"] = job_url(project, job.id)
    return job


@router.get(
    "/{suite_id}/examples",
    response_class=Response,
    responses=binary(NPZ, "Keys, labels, categories, halves and inputs of a suite's own examples."),
)
def get_examples(project: ReadProject, session: SessionDep, server: ServerDep, suite_id: Number) -> Response:
    """What a loop of your own needs to plant them; see `sondage.torch.plant`."""
    suite = suites.get(session, project_id=project.id, suite_id=suite_id)
    return Response(examples_as_npz(server, session, suite), media_type=NPZ)


@router.get("/{suite_id}")
def get_suite(project: ReadProject, session: SessionDep, suite_id: Number) -> Suite:
    return suite_answers(session, [suites.get(session, project_id=project.id, suite_id=suite_id)])[0]


@router.delete("/{suite_id}", responses=DELETE)
def delete_suite(
    project: AdminProject, session: SessionDep, suite_id: Number, deletion: DeletionDep
) -> Deleted:
    """Name what depends on it (409), or with `cascade` delete all."""
    suites.get(session, project_id=project.id, suite_id=suite_id)
    return deletion.delete(project, "suite", suite_id)


def suite_answers(session: Session, found: Sequence[t.Suite]) -> list[Suite]:
    """Without the keys of examples, which may be many."""
    counts = suites.num_probes(session, suite_ids=[suite.id for suite in found])
    return [_answer(suite, counts[suite.id]) for suite in found]


def _answer(suite: t.Suite, counts: suites.ProbeCounts) -> Suite:
    has_members = suite.kind != "generated"
    return Suite(
        id=suite.id,
        name=suite.name,
        version=suite.version,
        kind=suite.kind,  # type: ignore[arg-type]  # the table's constraint has the words
        digest=suite.digest,
        definition={
            name: value for name, value in suite.definition.items() if name not in ("members", "examples")
        },
        dataset_id=suite.dataset_id,
        examples_dataset_id=suite.examples_dataset_id,
        num_members=sum(sum(roles.values()) for roles in counts.values()) if has_members else None,
        warnings=[*suite.notes, *warnings_of(counts)] if has_members else [],
        created_at=suite.created_at,
    )


def _definition(body: SuiteCreate) -> SuiteDefinition:
    if body.generators is None:
        return default_suite(body.name, seed=body.seed)
    generators = tuple(
        Generator(spec.name, spec.category or "", spec.parameters, spec.count) for spec in body.generators
    )
    return SuiteDefinition(body.name, generators=generators, seed=body.seed)
