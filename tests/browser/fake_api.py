"""A small server with the routes the dashboard reads: for what a real run does rarely, or not on demand.

The bodies are those of `sondage/wire/`, so their shape is the real one.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from PIL import Image

from sondage import wire
from tests.browser.fake_world import (
    CLASSES,
    NOW,
    NUM_EPOCHS,
    NUM_EXAMPLES,
    SCORES,
    State,
    category,
    chosen,
    make_dataset,
    make_explanation,
    make_run,
    make_tag,
    make_tagging,
    score,
)

P = "/api/v1/projects/{project}"
PROBLEM = "application/problem+json"
router = APIRouter()


def get_state(request: Request) -> State:
    state: State = request.app.state.now()
    return state


World = Annotated[State, Depends(get_state)]


def create_app(state: Callable[[], State], dist: Path) -> FastAPI:
    """`state` is asked at every request, so that each test has its own."""
    app = FastAPI(title="Fake of Sondage")
    app.state.now = state
    add_middleware(app, state)
    app.include_router(router)

    @app.get("/{path:path}")
    def dashboard(path: str) -> FileResponse:
        asked = dist / path
        return FileResponse(asked if path and asked.is_file() else dist / "index.html")

    return app


def problem(status: int, code: str, detail: str) -> JSONResponse:
    body = wire.Problem(title="Refused", status=status, code=code, detail=detail, request_id="req-7")
    return JSONResponse(body.model_dump(), status, media_type=PROBLEM)


def add_middleware(app: FastAPI, state: Callable[[], State]) -> None:
    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        world, path = state(), request.url.path
        if (
            world.key
            and path.startswith("/api")
            and request.headers.get("authorization") != f"Bearer {world.key}"
        ):
            return problem(401, "unauthenticated", "Send a key.")
        if world.broken and world.broken in path:
            return problem(500, "error", "The disk is full: make room and try again.")
        answer: Response = await call_next(request)
        return answer

    @app.exception_handler(HTTPException)
    async def refuse(_: Request, fault: HTTPException) -> Response:
        return problem(fault.status_code, "not_found", fault.detail)


@router.get("/api/v1/health")
def health() -> wire.Health:
    return wire.Health(status="ok", version="0", database="ok", worker_seen_at=datetime.now(UTC))


@router.get("/api/v1/projects")
def projects() -> wire.Page[wire.Project]:
    return wire.Page(items=[wire.Project(id=1, name="default", created_at=NOW)])


@router.get(P + "/datasets")
def datasets(world: World) -> wire.Page[wire.Dataset]:
    return wire.Page(items=[make_dataset(number) for number in world.datasets])


@router.get(P + "/datasets/{dataset_id}")
def get_dataset(dataset_id: int) -> wire.Dataset:
    return make_dataset(dataset_id)


@router.get(P + "/datasets/1/examples/{index}/thumbnail")
@router.get(P + "/datasets/5/examples/{index}/thumbnail")  # of the user's own examples
@router.get(P + "/runs/{run_id}/rows/{index}/thumbnail")
def thumbnail(index: int, run_id: int = 0) -> Response:
    file = io.BytesIO()
    Image.new("L", (8, 8), index % 256).save(file, "PNG")
    return Response(file.getvalue(), media_type="image/png")


def offset(cursor: str | None) -> int:
    """As strict as the real server: what it did not give out is refused."""
    if cursor is None:
        return 0
    if not cursor.startswith("at-"):
        raise HTTPException(400, f"{cursor!r} is no cursor of this list.")
    return int(cursor.removeprefix("at-"))


@router.get(P + "/runs")
def runs(world: World, limit: int = 100, cursor: str | None = None) -> wire.Page[wire.Run]:
    start, found = offset(cursor), list(world.runs.values())
    more = f"at-{start + limit}" if start + limit < len(found) else None
    return wire.Page(items=found[start : start + limit], next_cursor=more)


@router.get(P + "/runs/{run_id}")
def get_run(world: World, run_id: int) -> wire.Run:
    return world.runs.get(run_id) or make_run(run_id, "finished", NUM_EPOCHS)


@router.get(P + "/jobs")
def jobs(world: World) -> wire.Page[wire.Job]:
    return wire.Page(items=list(world.jobs.values()))


@router.post(P + "/runs/{run_id}/abort")
def abort(world: World, run_id: int) -> wire.RunAborted:
    world.aborted.append(run_id)
    run = world.runs[run_id]
    if run.job_id is None:
        world.runs[run_id] = run.model_copy(update={"state": "aborted"})
        return wire.RunAborted(run=world.runs[run_id], job=None)
    world.jobs[run.job_id] = world.jobs[run.job_id].model_copy(update={"abort_requested": True})
    return wire.RunAborted(run=run, job=world.jobs[run.job_id])


@router.get(P + "/taggings")
def taggings(world: World) -> wire.Page[wire.Tagging]:
    whole = [make_tagging(number, state) for number, state in world.tagging_states.items()]
    return wire.Page(items=[*world.early.values(), *whole])


@router.post(P + "/taggings", status_code=202)
def tag_now(world: World, body: wire.TaggingCreate) -> wire.Tagging:
    """Done at once."""
    assert body.now
    done = min(world.runs[number].epochs_done for number in body.run_ids)
    seen = {"id": 9, "dataset_id": 1, "run_ids": body.run_ids, "epochs": done, "of_epochs": NUM_EPOCHS}
    world.early[9] = make_tagging(9, "finished").model_copy(update={**seen, "held_out_accuracy": 0.71})
    return world.early[9]


@router.get(P + "/taggings/{number}/compare/{other}")
def compare(number: int, other: int) -> wire.TaggingComparison:
    return wire.TaggingComparison(
        tagging_id=number, other_id=other, num_examples=130, num_same=100, num_ranked=130,
        rank_correlation=0.75, tags=["prototypical", "noisy", "unsure"], other_tags=["prototypical", "noisy", "unsure"],
        counts=[[60, 10, 0], [20, 40, 0], [0, 0, 0]],
        overlaps=[wire.Overlap(n=10, num_common=7, expected=0.8)],
    )  # fmt: skip


@router.get(P + "/taggings/{number}/compare/{other}/changes")
def changes(
    number: int, other: int, tag: str | None = None, limit: int = 25, cursor: str | None = None
) -> wire.Page[wire.TagChange]:
    found = chosen(tag, None, None)
    start = offset(cursor)
    more = f"at-{start + limit}" if start + limit < len(found) else None
    items = [
        wire.TagChange(
            first=make_tag(1, index), second=make_tag(1, index).model_copy(update={"position": 129 - index})
        )
        for index in found[start : start + limit]
    ]
    return wire.Page(items=items, next_cursor=more)


@router.get(P + "/taggings/{number}")
def get_tagging(world: World, number: int) -> wire.Tagging:
    if number in world.early:
        return world.early[number]
    if number not in world.tagging_states:
        raise HTTPException(404, f"There is no tagging {number} in this project.")
    found = make_tagging(number, world.tagging_states[number])
    return found if world.calibration is None else found.model_copy(update={"calibration": "reviews"})


@router.get(P + "/scores")
def scores() -> wire.Page[wire.Score]:
    pairs = enumerate(SCORES.items())
    items = [
        wire.Score(id=i, dataset_id=1, method=name, bad_end=end, run_ids=[1, 2], created_at=NOW)
        for i, (name, end) in pairs
    ]
    return wire.Page(items=items)


@router.get(P + "/taggings/{number}/tags")
def tags(
    number: int,
    tag: str | None = None,
    label: str | None = None,
    min_suspicion: float | None = None,
    order_by: str = "suspicion",
    limit: int = 100,
    cursor: str | None = None,
) -> wire.Page[wire.Tag]:
    found = chosen(tag, label, min_suspicion)
    if order_by in SCORES:
        found.sort(key=lambda index: score(order_by, index), reverse=SCORES[order_by] == "high")
    start = offset(cursor)
    more = f"at-{start + limit}" if start + limit < len(found) else None
    items = [make_tag(number, index) for index in found[start : start + limit]]
    return wire.Page(items=items, next_cursor=more)


@router.get(P + "/taggings/{number}/facets")
def facets(
    number: int,
    tag: str | None = None,
    label: str | None = None,
    min_suspicion: float | None = None,
    threshold: float = 0.5,
) -> wire.Facets:
    found = chosen(tag, label, min_suspicion)
    tag_names = [category(index) for index in found]
    labels = [CLASSES[index % len(CLASSES)] for index in found]
    return wire.Facets(
        count=len(found),
        tags={name: tag_names.count(name) for name in set(tag_names)},
        labels={name: labels.count(name) for name in set(labels)},
        threshold=wire.ThresholdEffect(
            threshold=threshold, num_wrong=round(130 * (1 - threshold)), precision=(1 + threshold) / 2,
            precision_low=threshold, precision_high=1, recall=1 - threshold,
        ),
    )  # fmt: skip


@router.get(P + "/taggings/{number}/tags/{index}")
def get_tag(number: int, index: int) -> wire.Tag:
    if index >= NUM_EXAMPLES:
        raise HTTPException(404, f"Tagging {number} has no example {index}.")
    return make_tag(number, index)


@router.get(P + "/taggings/{number}/tags/{index}/explanation")
def explanation(
    world: World,
    number: int,
    index: int,
    run_id: int | None = None,
    channel: str = "loss",
    k: int = Query(5, le=50),
) -> wire.Explanation:
    gone = index in world.displaced_in_run_1
    run = run_id or (2 if gone else 1)
    return make_explanation(number, index, run, channel, k, seen=not (gone and run == 1))


@router.get(P + "/taggings/{number}/review-sample")
def review_sample(world: World, number: int) -> wire.ReviewSample:
    tags = [
        make_tag(number, index).model_dump() | {"decision": world.decisions.get(index)}
        for index in world.sample
    ]
    items = [wire.SampledTag(**tag, place=place, round=0, inclusion=0.5) for place, tag in enumerate(tags)]
    return wire.ReviewSample(
        tagging_id=number, size=len(items), num_decided=len(world.decisions), items=items
    )


@router.post(P + "/taggings/{number}/review-sample")
def draw_review_sample(world: World, number: int, body: wire.ReviewSampleCreate) -> wire.ReviewSample:
    world.sample = list(range(0, 3 * body.size, 3))
    return review_sample(world, number)


@router.post(P + "/datasets/{number}/decisions", status_code=201)
def decide(world: World, number: int, body: wire.DecisionIn) -> wire.Page[wire.Decision]:
    world.decisions[body.index] = body.decision
    return wire.Page(items=[])


@router.post(P + "/taggings/{number}/calibrate")
def calibrate(world: World, number: int) -> wire.TaggingCalibration:
    numbers = {"num_examples": 1_000, "num_reviews": len(world.decisions), "num_wrong": 5}
    share = {"value": 0.172, "low": 0.14, "high": 0.205}
    world.calibration = wire.TaggingCalibration.model_validate(
        {
            **numbers,
            "tagging_id": number,
            "version": 1,
            "level": 0.9,
            "num_unsure": 0,
            "num_open": 70,
            "share_wrong": share,
            "top_lists": [{"k": 50, "value": 0.9, "low": 0.8, "high": 1.0}],
            "reliability": [],
            "curve": {"place": [], "probability": [], "low": [], "high": []},
            "assumption": "Drawn at random.",
            "warnings": ["70 examples of the sample are not decided."],
            "num_newer_decisions": 0,
            "created_at": NOW,
        }
    )
    return world.calibration


@router.get(P + "/taggings/{number}/calibration")
def calibration(world: World, number: int) -> wire.TaggingCalibration:
    if world.calibration is None:
        raise HTTPException(404, f"Tagging {number} is not calibrated.")
    return world.calibration


@router.get(P + "/taggings/{number}/report")
def report(world: World, number: int) -> wire.Report:
    return wire.Report(tagging_id=number, report=world.report)
