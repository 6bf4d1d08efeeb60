"""⑤ Tags: the suspicious list, one tag, why it has it, and how many there are."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse, Response

from app.api.explanations import explain
from app.api.problems import LIST, problems
from app.api.tag_views import INPUTS, TagView
from app.deps import LARGEST_NUMBER, Number, PagingDep, Place, ReadProject, ServerDep, SessionDep
from sondage.wire import Explanation, Facets, Page, Tag
from store import tags

router = APIRouter(prefix="/taggings/{tagging_id}", tags=["tags"], responses=problems(409))
ClassWord = Annotated[str | None, Query(max_length=1000, description="A class: its name, or its number.")]
Suspicion = Annotated[float | None, Query(ge=0, le=1)]


def get_view(
    project: ReadProject,
    session: SessionDep,
    server: ServerDep,
    tagging_id: Number,
    threshold: Annotated[
        float | None,
        Query(
            ge=0,
            le=1,
            description="Tagged as wrong is what is wrong with a chance above this one. When not given: the tags as "
            "they were made; of a tagging by evidence that has reviews, at 0.5.",
        ),
    ] = None,
) -> TagView:
    return TagView.open(session, server, project, tagging_id, threshold)


ViewDep = Annotated[TagView, Depends(get_view)]


def get_filter(
    view: ViewDep,
    tag: Annotated[str | None, Query(max_length=63, description="A category, or `unsure`.")] = None,
    label: ClassWord = None,
    suggested_label: ClassWord = None,
    min_suspicion: Suspicion = None,
    max_suspicion: Suspicion = None,
    decision: Annotated[
        Literal["keep", "relabel", "exclude", "unsure", "none"] | None,
        Query(description="The newest decision; `none` for examples without one."),
    ] = None,
    in_all_seeds: Annotated[
        bool | None,
        Query(
            description="Only examples that two runs at least trained and whose tag is the same in all of them by "
            "their votes; `false`: not the same in all. It is known of the tags as they were written: refused with "
            "another `threshold` than the tagging's own, and once reviews have moved the tags."
        ),
    ] = None,
) -> tags.Filter:
    return view.where(
        tag=tag,
        label=label,
        suggested_label=suggested_label,
        min_suspicion=min_suspicion,
        max_suspicion=max_suspicion,
        decision=decision,
        in_all_seeds=in_all_seeds,
    )


FilterDep = Annotated[tags.Filter, Depends(get_filter)]
OrderBy = Annotated[
    str, Query(max_length=100, description="`suspicion`, `index`, or the name of a score; worst first.")
]


@router.get("/tags", responses=LIST, response_model=Page[Tag])
def list_tags(
    view: ViewDep,
    where: FilterDep,
    paging: PagingDep,
    order_by: OrderBy = "suspicion",
    fields: Annotated[
        str | None,
        Query(
            max_length=1000, description="Only these fields of each tag, separated by commas; `index` always."
        ),
    ] = None,
) -> Page[Tag] | Response:
    """The suspicious list."""
    found, place = view.page(where, order_by=order_by, after=paging.place, limit=paging.limit)
    if fields is None:
        return paging.page(view.answers(found), place)
    wanted = {name.strip() for name in fields.split(",") if name.strip()}
    items = view.limited(view.answers(found, inputs=bool(wanted & INPUTS)), wanted)
    return JSONResponse({"items": items, "next_cursor": paging.next_cursor(place)})


@router.get("/tags/{index}")
def get_tag(view: ViewDep, index: Place) -> Tag:
    """One example's tag, with the whole of its text or values."""
    found = tags.get(view.session, tagging_id=view.tagging.id, index=index)
    answer = view.answers([found], inputs=False)[0]
    return answer.model_copy(update=view.server.payloads.inputs(view.dataset, index))


@router.get("/tags/{index}/explanation")
def get_explanation(
    view: ViewDep,
    index: Place,
    run_id: Annotated[
        int | None,
        Query(
            ge=1, le=LARGEST_NUMBER, description="The first run that trained on the example when not given."
        ),
    ] = None,
    channel: Annotated[str, Query(max_length=100, description="What the curves show.")] = "loss",
    k: Annotated[int, Query(ge=1, le=50, description="How many nearest probes.")] = 5,
) -> Explanation:
    """Its curve in one run over the bands of the probe categories, and its nearest probes by their losses."""
    return explain(view, index, run_id=run_id, channel=channel, k=k)


@router.get("/facets")
def get_facets(view: ViewDep, where: FilterDep) -> Facets:
    """How many tags there are under a filter, in all, per tag and per class."""
    of = {"tagging_id": view.tagging.id, "dataset_id": view.dataset.id}
    per_tag = tags.facet(view.session, **of, where=where, column="tag")
    per_label = tags.facet(view.session, **of, where=where, column="label")
    return Facets(
        count=sum(per_tag.values()),
        tags={view.tag_name(number): amount for number, amount in sorted(per_tag.items())},
        labels={view.label_name(number): amount for number, amount in sorted(per_label.items())},
        threshold=view.threshold.effect(),
    )
