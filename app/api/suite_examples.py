"""④ Examples of the user's own as probes: asked for, and sent to whoever plants them in a loop of their own."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy.orm import Session

from app.deps import Server
from sondage.errors import InvalidInput
from sondage.probes.categories import CATEGORIES, Category, unknown_category
from sondage.probes.suite import Generator, SuiteDefinition
from sondage.wire import Job, SuiteExamples
from store import datasets, examples, jobs, suites
from store.payloads import Form, Payload
from store.tables import Project, Suite

LARGEST_BYTES = 1 << 30
"""Of the inputs that are sent in one answer."""
NPZ = "application/x-npz"
NOT_FOR_PROBES = ("noise", "validation_share", "skip_invalid", "split_column")


def ask_for_suite(session: Session, project: Project, body: SuiteExamples) -> Job:
    """Queue the job that reads the examples. What needs no reading of the file is checked at once.

    Raises
    ------
    InvalidInput
        An option that probes cannot have, an unknown category, or one category alone.
    NotFound
        There is no such dataset.
    """
    datasets.get(session, project_id=project.id, dataset_id=body.dataset_id)
    given = body.source.model_fields_set
    for name in NOT_FOR_PROBES:
        if name in given and getattr(body.source, name):
            raise InvalidInput(f"source.{name} is not for probes: leave it out.", field=f"source.{name}")
    _check_categories(body)
    arguments = {
        "name": f"{body.name[:180]}-examples",
        "source": body.source.model_dump(mode="json"),
        "suite": body.model_dump(mode="json"),
    }
    return Job.model_validate(
        jobs.create(session, project_id=project.id, kind="register", arguments=arguments)
    )


def _check_categories(body: SuiteExamples) -> None:
    """As the definition will, with an example for each category that is known by now."""
    own = tuple(Category(spec.name, spec.wrong_label) for spec in body.categories)
    if body.category is not None and body.category not in {category.name for category in (*CATEGORIES, *own)}:
        raise InvalidInput(unknown_category(body.category), field="category")
    if body.category is not None and body.category_column is not None:
        raise InvalidInput(
            "One category for all, or a column of categories: name one of them.", field="category"
        )
    words = [body.category] if body.category else [category.name for category in CATEGORIES]
    SuiteDefinition(
        body.name,
        generators=tuple(
            Generator(spec.name, spec.category or "", spec.parameters, spec.count) for spec in body.generators
        ),
        examples=tuple((str(place), word) for place, word in enumerate(words)),
        examples_fingerprint="not read yet",
        categories=own,
    )


def examples_as_npz(server: Server, session: Session, suite: Suite) -> bytes:
    """All that planting them elsewhere needs, as an archive of arrays without pickles.

    `definition` (JSON), `class_names`, `keys`, `labels`, `categories`, `roles`, and the inputs: `pixels` uint8
    (n, height, width, channels), `values` float32 (n, d), or `bytes` and `offsets` of PNGs (`form` says `pictures`), of
    texts in UTF-8, or of rows of tables as JSON objects, null where a category is missing.

    Raises
    ------
    InvalidInput
        The suite brings no examples along, or too many bytes of them.
    """
    if suite.examples_dataset_id is None:
        raise InvalidInput(
            f"Suite {suite.id} ({suite.name}) brings no examples of its own.", field="suite_id"
        )
    dataset = datasets.get(session, project_id=suite.project_id, dataset_id=suite.examples_dataset_id)
    payload = server.payloads.of_dataset(dataset)
    members = suites.members(session, suite_id=suite.id)
    arrays: dict[str, Any] = {
        "definition": np.array(json.dumps(suite.definition)),
        "class_names": np.array(dataset.class_names),
        "keys": np.array(examples.all_keys(session, dataset_id=dataset.id)),
        "labels": examples.columns(session, dataset_id=dataset.id).labels,
        "categories": np.array([member.category for member in members]),
        "roles": np.array([member.role for member in members]),
        "form": np.array(str(payload.form)),
        **_inputs(payload),
    }
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    return out.getvalue()


def _inputs(payload: Payload) -> dict[str, Any]:
    if (payload.folder / payload.form.file_name).stat().st_size > LARGEST_BYTES:
        raise InvalidInput(
            f"The examples are more than {LARGEST_BYTES:,} bytes: upload fewer as a suite.", field="suite_id"
        )
    if payload.form.is_array:
        return {str(payload.form): payload.array}
    if payload.form is Form.TEXTS:
        return _joined([str(text).encode() for text in payload.column("text")])
    if payload.form is Form.TABLE:
        rows = (row for batch in payload.batches() for row in batch.to_pylist())
        return _joined([json.dumps(row, ensure_ascii=False).encode() for row in rows])
    return _joined([_png(payload.picture(row)) for row in range(payload.num_rows)])


def _joined(parts: list[bytes]) -> dict[str, Any]:
    offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    return {"bytes": np.frombuffer(b"".join(parts), np.uint8), "offsets": offsets}


def _png(picture: Image.Image) -> bytes:
    """As it was decoded here: upright, grey or in colour."""
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()
