"""⑥ Examples of a dataset, with their inputs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api.classes import label_name, label_number
from app.api.pictures import PNG, IfNoneMatch, Size, Version, picture
from app.api.problems import LIST
from app.api.urls import picture_url
from app.deps import Number, PagingDep, Place, ReadProject, Server, ServerDep, SessionDep
from sondage.wire import Example, Page, Split
from store import datasets, examples
from store import tables as t

router = APIRouter(prefix="/datasets/{dataset_id}/examples", tags=["examples"])


@router.get("", responses=LIST)
def list_examples(
    project: ReadProject,
    session: SessionDep,
    server: ServerDep,
    paging: PagingDep,
    dataset_id: Number,
    label: Annotated[
        str | None, Query(max_length=1000, description="A class: its name, or its number.")
    ] = None,
    split: Annotated[Split | None, Query()] = None,
    key: Annotated[str | None, Query(max_length=10_000)] = None,
) -> Page[Example]:
    """By index."""
    dataset = datasets.get(session, project_id=project.id, dataset_id=dataset_id)
    found, place = examples.listed(
        session,
        dataset_id=dataset.id,
        label=label_number(dataset, label),
        split=split,
        key=key,
        above=paging.place,
        limit=paging.limit,
    )
    return paging.page([_answer(server, project, dataset, example) for example in found], place)


@router.get("/{index}")
def get_example(
    project: ReadProject, session: SessionDep, server: ServerDep, dataset_id: Number, index: Place
) -> Example:
    dataset = datasets.get(session, project_id=project.id, dataset_id=dataset_id)
    example = examples.get(session, dataset_id=dataset.id, index=index)
    return _answer(server, project, dataset, example, whole=True)


@router.get("/{index}/thumbnail", response_class=Response, responses=PNG)
def get_thumbnail(
    project: ReadProject,
    session: SessionDep,
    server: ServerDep,
    dataset_id: Number,
    index: Place,
    size: Size = 128,
    v: Version = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A picture, scaled down to `size` and never up."""
    dataset = datasets.get(session, project_id=project.id, dataset_id=dataset_id)
    return picture(
        dataset, f"{index}-{size}", v, if_none_match, lambda: server.payloads.thumbnail(dataset, index, size)
    )


def _answer(
    server: Server, project: t.Project, dataset: t.Dataset, example: t.Example, *, whole: bool = False
) -> Example:
    inputs = server.payloads.inputs(dataset, example.index) if whole else None
    return Example(
        index=example.index,
        key=example.key,
        label=example.label,
        label_name=label_name(dataset, example.label),
        split=example.split,  # type: ignore[arg-type]  # the table's constraint says which words there are
        picture_url=picture_url(project, dataset, example.index),
        **(server.payloads.preview(dataset, example.index) if inputs is None else inputs),
    )
