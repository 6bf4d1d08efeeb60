"""The OpenAPI document: whole, stable, and true to what is served (`worlds.Client` checks each answer against it)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.main import create_app
from app.openapi import as_text, build
from app.settings import AppSettings
from tests.api.worlds import document

ROOT = Path(__file__).resolve().parents[2]


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for part in value.values() for ref in references(part)]
    return [ref for part in value for ref in references(part)] if isinstance(value, list) else []


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, one)
        for path, methods in document()["paths"].items()
        for method, one in methods.items()
    ]


def test_every_reference_leads_somewhere() -> None:
    there = {f"#/components/schemas/{name}" for name in document()["components"]["schemas"]}
    found = set(references(document()))
    assert found
    assert found <= there


def test_every_operation_declares_its_answers() -> None:
    for path, method, operation in operations():
        responses = operation["responses"]
        good = [status for status in responses if status.startswith("2")]
        assert good, (method, path)
        assert all("content" in responses[status] for status in good), (method, path)
        for status in ("401", "403", "404", "421", "422", "500", "503"):
            assert status in responses, (method, path, status)
        for status, response in responses.items():
            if status >= "400" and (path, status) != ("/api/v1/health", "503"):
                assert list(response["content"]) == ["application/problem+json"], (method, path, status)


def test_every_route_of_the_architecture_is_there() -> None:
    lines = (ROOT / "docs/architecture.md").read_text().splitlines()
    cells = [line.split("|")[1] for line in lines if line.startswith("| `")]
    table = [found for cell in cells for found in re.findall(r"`([A-Z][A-Z, ]+) (/[^`?]*)", cell)]
    assert len(table) > 30
    there = {(method.upper(), re.sub(r"{\w+}", "{}", path)) for path, method, _ in operations()}
    for methods, path in table:
        whole = path if path.startswith("/api") else f"/api/v1/projects/{{}}{path}"
        for method in methods.split(", "):
            assert (method, re.sub(r"{\w+}", "{}", whole)) in there, (method, path)


def test_what_makes_something_takes_an_idempotency_key() -> None:
    for path, method, operation in operations():
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        if method == "post" and path.endswith(
            ("/datasets", "/runs", "/taggings", "/suites", "/decisions", "/suites/upload")
        ):
            assert "Idempotency-Key" in names, path


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    assert all(operation.get("summary") for _, _, operation in operations())


def test_the_command_prints_the_same_document_without_a_database(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "app", "openapi"],
        cwd=ROOT,
        env={"SONDAGE_DATA_DIR": str(tmp_path / "none"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == as_text(build(create_app(AppSettings())))
    assert json.loads(printed)["openapi"].startswith("3.1")
    assert not (tmp_path / "none").exists()
