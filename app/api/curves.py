"""③ Curves: of a few rows as JSON, and whole blocks as bytes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Response
from numpy.typing import NDArray

from app.api.problems import binary
from app.deps import Number, ReadProject, SessionDep
from sondage.errors import InvalidInput
from sondage.wire import Curve, Curves
from store import curves, runs

router = APIRouter(prefix="/runs/{run_id}/curves", tags=["curves"])
MAX_ROWS = 1000
BLOCK = binary(
    "application/octet-stream",
    "Little-endian values of up to 65,536 rows. `X-Dtype` names their type, `X-Num-Rows` says how many there are.",
)


@router.get("/{channel}")
def get_curves(
    project: ReadProject,
    session: SessionDep,
    run_id: Number,
    channel: str,
    rows: Annotated[str, Query(max_length=20_000, description="Row numbers, separated by commas: `0,5`.")],
) -> Curves:
    """One channel of some rows over all closed epochs."""
    run = runs.get(session, project_id=project.id, run_id=run_id)
    wanted = _rows(rows, run.num_rows)
    epochs = curves.closed_epochs(session, run_id=run.id)
    values = curves.read_rows(session, run_id=run.id, channel=channel, rows=wanted, epochs=epochs)
    return Curves(
        run_id=run.id,
        channel=channel,
        epochs=len(epochs),
        curves=[Curve(row=row, values=as_json(curve)) for row, curve in zip(wanted, values, strict=True)],
    )


@router.get("/{channel}/{epoch}/{shard}", response_class=Response, responses=BLOCK)
def get_block(
    project: ReadProject,
    session: SessionDep,
    run_id: Number,
    channel: str,
    epoch: Annotated[int, Path(ge=0, le=2**31 - 1)],
    shard: Annotated[int, Path(ge=0, le=2**31 - 1)],
) -> Response:
    """One epoch of 65,536 rows of a channel as it is stored; shard *s* begins at row 65,536·s."""
    runs.get(session, project_id=project.id, run_id=run_id)
    block = curves.read_block(session, run_id=run_id, channel=channel, epoch=epoch, shard=shard)
    headers = {"X-Dtype": block.dtype, "X-Num-Rows": str(block.num_rows)}
    return Response(block.data, headers=headers, media_type="application/octet-stream")


def as_json(curve: NDArray[np.generic]) -> list[float | None]:
    """A curve for JSON, which knows no NaN: null where a row was not seen, and where a value is infinite."""
    if curve.dtype.kind == "f":
        return [float(value) if np.isfinite(value) else None for value in curve]
    return [float(value) if value >= 0 else None for value in curve.tolist()]


def _rows(words: str, num_rows: int) -> list[int]:
    parts = [part.strip() for part in words.split(",")]
    if not all(part.isdecimal() for part in parts) or len(parts) > MAX_ROWS:
        raise InvalidInput(f"rows: up to {MAX_ROWS} whole numbers, separated by commas.", field="rows")
    rows = [int(part) for part in parts]
    if max(rows) >= num_rows:
        raise InvalidInput(f"Row {max(rows)} is past the end: this run has {num_rows} rows.", field="rows")
    return rows
