"""⑤ Scores: which there are, and their values as bytes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Response

from app.api.answers import score_answers
from app.api.problems import LIST, binary
from app.deps import LARGEST_NUMBER, Number, PagingDep, ReadProject, ServerDep, SessionDep
from sondage.wire import Page, Score
from store import scores

router = APIRouter(prefix="/scores", tags=["scores"])
VALUES = binary(
    "application/octet-stream", "Little-endian float32, one per example in order; NaN where there is none."
)


@router.get("", responses=LIST)
def list_scores(
    project: ReadProject,
    session: SessionDep,
    paging: PagingDep,
    dataset_id: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)] = None,
    method: Annotated[str | None, Query(max_length=100)] = None,
) -> Page[Score]:
    """Newest first."""
    found, place = scores.listed(
        session,
        project_id=project.id,
        dataset_id=dataset_id,
        method=method,
        below=paging.place,
        limit=paging.limit,
    )
    return paging.page(score_answers(session, found), place)


@router.get("/{score_id}")
def get_score(project: ReadProject, session: SessionDep, score_id: Number) -> Score:
    return score_answers(session, [scores.get(session, project_id=project.id, score_id=score_id)])[0]


@router.get("/{score_id}/values", response_class=Response, responses=VALUES)
def get_values(project: ReadProject, session: SessionDep, server: ServerDep, score_id: Number) -> Response:
    """One number per example of the dataset."""
    score = scores.get(session, project_id=project.id, score_id=score_id)
    column = server.columns.score(session, score_id=score.id)
    headers = {"X-Dtype": "float32", "X-Num-Rows": str(len(column))}
    return Response(
        np.ascontiguousarray(column, "<f4").tobytes(), headers=headers, media_type="application/octet-stream"
    )
