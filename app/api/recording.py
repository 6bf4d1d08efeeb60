"""② Runs that are recorded elsewhere: begun, filled part by part, closed epoch by epoch, finished."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, SecurityScopes
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.api.answers import run_answers
from app.api.problems import problems
from app.deps import (
    Number,
    OnceDep,
    RecordingProject,
    RecordProject,
    ServerDep,
    SessionDep,
    bearer,
    get_principal,
    get_project,
)
from app.recording import probes as known_rows
from app.recording.blocks import MAX_BYTES, values_of
from app.recording.bodies import ARROW, OCTETS, decoded, encoding, media_type, received
from app.recording.handshake import handshake
from sondage.errors import InvalidInput, NotFound
from sondage.recorder.channels import channel_dtypes
from sondage.wire import (
    LARGEST_EPOCH,
    BlockStored,
    DType,
    EpochClose,
    EpochState,
    ProbesPlanted,
    RecordedProbe,
    RecordedRun,
    RecordedRunCreate,
    Run,
    RunFinish,
)
from store import closing, curve_parts, curves, datasets, recording, runs, suites
from store import tables as t
from store.engine import transaction

router = APIRouter(
    prefix="/runs", tags=["recording"], dependencies=[Depends(handshake)], responses=problems(426)
)
CredentialsDep = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
ProjectName = Annotated[str, Path(max_length=63)]
EpochNumber = Annotated[int, Path(ge=0, le=LARGEST_EPOCH)]
BLOCK: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in (OCTETS, ARROW)},
    }
}


@router.post(
    "/recorded",
    status_code=201,
    responses=problems(409, 413, 507) | {200: {"model": RecordedRun, "description": "Gone on with."}},
)
def begin_recording(
    body: RecordedRunCreate, project: RecordProject, session: SessionDep, once: OnceDep, response: Response
) -> RecordedRun:
    """A run without a job, or with `resume` the one of this name: 200, and where to go on."""

    def make() -> RecordedRun:
        run, announced, is_new = _begin(session, project, body)
        response.status_code = 201 if is_new else 200
        return _answer(session, run, announced)

    return once.make(project, RecordedRun, body, make)


@router.get("/{run_id}/recording")
def get_recording(project: RecordingProject, session: SessionDep, run_id: Number) -> RecordedRun:
    """What a recorded run has announced, and how far it is."""
    run = runs.get(session, project_id=project.id, run_id=run_id)
    announced = recording.get(session, run=run)
    if announced is None:
        raise NotFound(f"Run {run.id} ({run.name}) is trained by a job; it is no recording.")
    return _answer(session, run, announced)


@router.put(
    "/{run_id}/curves/{channel}/{epoch}/{shard}", openapi_extra=BLOCK, responses=problems(409, 413, 415, 507)
)
async def put_block(
    request: Request,
    server: ServerDep,
    credentials: CredentialsDep,
    project: ProjectName,
    run_id: Number,
    channel: Annotated[str, Path(max_length=63)],
    epoch: EpochNumber,
    shard: Annotated[int, Path(ge=0, le=2**31 - 1)],
    rank: Annotated[int, Query(ge=0)] = 0,
    num_rows: Annotated[int | None, Query(description="Of the shard; checked.")] = None,
    dtype: Annotated[DType | None, Query(description="As announced; checked.")] = None,
) -> BlockStored:
    """What one rank saw of 65,536 rows of a channel in an epoch; sent again, it replaces what the rank had sent.

    Little-endian values of the whole shard, NaN or −1 where a row was not seen; or an Arrow stream with the columns
    `row` and `value`. `Content-Encoding` may be gzip or zstd. Nothing is seen of it before the epoch closes.
    """
    sent = Sent(rank, channel, epoch, shard, num_rows, dtype, media_type(request), encoding(request))

    # Few hops to another thread in place of one per dependency: on a machine that trains, each may wait its turn.
    def owner(session: Session) -> int:
        principal = get_principal(SecurityScopes(["record"]), server, session, credentials)
        return get_project(project, principal, session).id

    def checked() -> int:
        with transaction(server.database.engine) as session:
            return owner(session)

    # Where keys are asked for, before anything of a stranger's body is kept; else along with the block.
    known = None if server.settings.is_open else await run_in_threadpool(checked)
    body = await received(request, max_bytes=MAX_BYTES)

    def store() -> bool:
        with transaction(server.database.engine) as session:
            project_id = owner(session) if known is None else known
            return _store_block(session, project_id, run_id, sent, body)

    stored = await run_in_threadpool(store)
    return BlockStored(channel=channel, epoch=epoch, shard=shard, rank=rank, repeated=not stored)


@dataclass(frozen=True)
class Sent:
    """What the address and the headers say of a part."""

    rank: int
    channel: str
    epoch: int
    shard: int
    num_rows: int | None
    dtype: str | None
    media_type: str
    encoding: str


def _store_block(session: Session, project_id: int, run_id: int, sent: Sent, body: bytes) -> bool:
    run, announced = recording.held(session, project_id=project_id, run_id=run_id, alone=False)
    _check_rank(announced, sent.rank)
    dtype = _announced_dtype(announced, sent.channel, sent.dtype)
    rows = curve_parts.rows_of_shard(run.num_rows, sent.shard)
    if rows == 0 or sent.num_rows not in (None, rows):
        raise InvalidInput(
            f"Run {run.id} has {run.num_rows} rows, which are {curve_parts.num_shards(run.num_rows)} shards; "
            f"shard {sent.shard} has {rows} rows.",
            field="shard" if rows == 0 else "num_rows",
        )
    values = decoded(body, sent.encoding, max_bytes=MAX_BYTES)
    data = values_of(values, sent.media_type, dtype=dtype, shard=sent.shard, num_rows=rows)
    part = curve_parts.Part(sent.channel, sent.epoch, sent.shard, sent.rank, dtype, data)
    return curve_parts.put(session, run=run, recording=announced, part=part)


@router.post("/{run_id}/epochs/{epoch}", responses=problems(409, 413))
def close_epoch(
    body: EpochClose, project: RecordProject, session: SessionDep, run_id: Number, epoch: EpochNumber
) -> EpochState:
    """A rank has sent all of an epoch. It closes with the last rank, or with `force` without those that are missing."""
    run, announced = recording.held(session, project_id=project.id, run_id=run_id)
    _check_rank(announced, body.rank)
    found = closing.close(
        session,
        run=run,
        recording=announced,
        epoch=epoch,
        rank=body.rank,
        metrics=_metrics(session, run, body),
        force=body.force,
    )
    return EpochState(epoch=epoch, closed=found.closed, waiting_for=list(found.waiting_for))


@router.put("/{run_id}/probes", responses=problems(409, 413))
def put_probes(
    body: Annotated[list[RecordedProbe], Body(max_length=known_rows.MAX_PROBES)],
    project: RecordProject,
    session: SessionDep,
    run_id: Number,
) -> ProbesPlanted:
    """The known rows of a run, all at once, before its first epoch closes; sent again, they replace the former."""
    run, _ = recording.held(session, project_id=project.id, run_id=run_id)
    dataset = datasets.get(session, project_id=project.id, dataset_id=run.dataset_id)
    recording.plant(session, run=run, probes=known_rows.checked(session, run, dataset, body))
    counts: dict[str, int] = {}
    for probe in body:
        counts[probe.category] = counts.get(probe.category, 0) + 1
    return ProbesPlanted(run_id=run.id, categories=counts)


@router.post("/{run_id}/finish", responses=problems(409, 413))
def finish_recording(body: RunFinish, project: RecordProject, session: SessionDep, run_id: Number) -> Run:
    """The training has ended. Taggings that wait for the run begin, or end with it."""
    run, _ = recording.finish(
        session,
        project_id=project.id,
        run_id=run_id,
        state=body.state,
        message=body.message,
        force=body.force,
    )
    return run_answers(session, [run])[0]


@router.post("/{run_id}/reopen", responses=problems(409))
def reopen_recording(project: RecordProject, session: SessionDep, run_id: Number) -> RecordedRun:
    """Record on in a run that has ended, as long as no tagging was made from it."""
    run, announced = recording.reopen(session, project_id=project.id, run_id=run_id)
    return _answer(session, run, announced)


def _begin(session: Session, project: t.Project, body: RecordedRunCreate) -> tuple[t.Run, t.Recording, bool]:
    dataset = datasets.get(session, project_id=project.id, dataset_id=body.dataset_id)
    if body.num_rows < dataset.num_examples:
        raise InvalidInput(
            f"num_rows is {body.num_rows}; dataset {dataset.id} has {dataset.num_examples} examples, and made probes "
            "come behind them.",
            field="num_rows",
        )
    if body.num_rows > dataset.num_examples + known_rows.MAX_PROBES:
        raise InvalidInput(
            f"num_rows is {body.num_rows}; beyond the {dataset.num_examples} examples there may be up to "
            f"{known_rows.MAX_PROBES:,} made probes.",
            field="num_rows",
        )
    if body.suite_id is not None:
        suites.get(session, project_id=project.id, suite_id=body.suite_id)
    channel_dtypes(body.channels, num_classes=None)  # the recorder's own check: no losses in whole numbers
    announced = recording.NewRecording(**body.model_dump(exclude={"dataset_id", "resume"}))
    return recording.begin(session, dataset=dataset, new=announced, resume=body.resume)


def _answer(session: Session, run: t.Run, announced: t.Recording) -> RecordedRun:
    closed = curves.closed_epochs(session, run_id=run.id)
    return RecordedRun(
        run=run_answers(session, [run])[0],
        next_epoch=closed[-1] + 1 if closed else 0,
        closed_epochs=closed,
        channels=announced.channels,  # type: ignore[arg-type]  # checked when it was announced
        world_size=announced.world_size,
        waiting_for=closing.waiting_for(session, run=run, recording=announced),
        message=announced.message,
    )


def _check_rank(announced: t.Recording, rank: int) -> None:
    if rank >= announced.world_size:
        raise InvalidInput(
            f"rank is {rank}; the run has announced {announced.world_size} ranks.", field="rank"
        )


def _announced_dtype(announced: t.Recording, channel: str, given: str | None) -> str:
    dtype = announced.channels.get(channel)
    if dtype is None:
        raise InvalidInput(
            f"Channel {channel!r} was not announced; the run has {', '.join(announced.channels)}.",
            field="channel",
        )
    if given not in (None, dtype):
        raise InvalidInput(f"Channel {channel!r} was announced as {dtype}, not {given}.", field="dtype")
    return dtype


def _metrics(session: Session, run: t.Run, body: EpochClose) -> dict[str, Any]:
    """JSON has no NaN: a figure that is not finite is null."""
    finite = {name: _finite(value) for name, value in body.metrics.items()}
    share = body.coverage
    if share is None and body.counts:
        share = closing.coverage(session, run, body.counts)
    return (
        finite
        | ({"counts": body.counts} if body.counts else {})
        | ({} if share is None else {"coverage": share})
    )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
