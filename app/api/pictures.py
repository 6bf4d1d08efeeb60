"""⑥ Pictures as PNG, with what lets a browser keep them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Header, Query, Response

from app.api.problems import binary
from app.api.urls import picture_version
from sondage.errors import NotFound
from store.datasets import inputs_fingerprint
from store.tables import Dataset

PNG = binary("image/png", "The picture, neither side above `size`.") | {
    304: {"description": "The picture is the one that `If-None-Match` names."}
}
Size = Annotated[int, Query(ge=8, le=1024, description="Pixels of the longer side, at most.")]
Version = Annotated[
    str | None,
    Query(max_length=64, description="As in `picture_url`; with it the answer may be kept for ever."),
]
IfNoneMatch = Annotated[str | None, Header(max_length=1000)]


def picture(
    dataset: Dataset, name: str, version: str | None, known: str | None, make: Callable[[], bytes]
) -> Response:
    """Answer with a picture, or with 304 when the browser has it.

    Parameters
    ----------
    name
        Tells the picture from others of the dataset: row and size.
    version
        What the URL names. A number can come back with other data after the data folder was replaced, so only an
        address with the fingerprint in it is immutable.
    known
        `If-None-Match`.
    """
    if dataset.modality == "none":
        raise NotFound(f"Dataset {dataset.id} has no inputs, and so no picture.")
    if dataset.modality != "image":
        raise NotFound(f"Dataset {dataset.id} holds {dataset.modality} examples, which have no picture.")
    tag = f'"{inputs_fingerprint(dataset)[:32]}-{name}"'
    fixed = version == picture_version(dataset)
    headers = {
        "ETag": tag,
        "Cache-Control": "private, max-age=31536000, immutable" if fixed else "private, no-cache",
    }
    if known is not None and tag in (part.strip().removeprefix("W/") for part in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(make(), headers=headers, media_type="image/png")
