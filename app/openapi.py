"""⑥ The OpenAPI document: problems under their own media type, and the bodies that routes parse themselves."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.errors import MEDIA_TYPE
from app.version import VERSION
from sondage.wire import DecisionIn, SuiteUpload

DESCRIPTION = """Finds mislabelled, odd, foreign and typical training examples by how their loss falls during training.

Lists take `limit` and `cursor` and give `next_cursor`. Errors are RFC 9457 problems. Long work is answered with 202 and
`Location`, the address of its job. A request that makes something takes effect once per `Idempotency-Key`."""
PARSED_BY_ROUTES = (SuiteUpload, DecisionIn)
REFERENCES = "#/components/schemas/{model}"


def install(app: FastAPI) -> None:
    """Make `app.openapi()` give our document; it is made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way that FastAPI documents


def build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title="Sondage", version=VERSION, description=DESCRIPTION, routes=app.routes)
    for model in PARSED_BY_ROUTES:
        schema = model.model_json_schema(ref_template=REFERENCES)
        document["components"]["schemas"] |= schema.pop("$defs", {}) | {model.__name__: schema}
    for operations in document["paths"].values():
        for operation in operations.values():
            _tell_problems_apart(operation["responses"])
    return document


def _tell_problems_apart(responses: dict[str, Any]) -> None:
    for response in responses.values():
        content = response.get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        if schema.get("$ref", "").endswith("/Problem"):
            content[MEDIA_TYPE] = content.pop("application/json")


def as_text(document: dict[str, Any]) -> str:
    """Stable: the same routes give the same text."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
