"""The dashboard's types are made of the interface that is served."""

from __future__ import annotations

import json
from typing import Any

from app.main import create_app
from app.openapi import as_text
from app.settings import AppSettings
from tests.served import ROOT


def test_the_committed_document_is_the_served_one() -> None:
    served = document(as_text(create_app(AppSettings.model_construct()).openapi()))
    committed = document((ROOT / "app/dashboard/openapi.json").read_text())
    how = "python -m app openapi > app/dashboard/openapi.json && cd app/dashboard && npm run types"
    assert committed == served, f"The interface has changed; run: {how}"


def document(text: str) -> dict[str, Any]:
    """Without the version, which is that of the installed package and not of the interface."""
    parsed: dict[str, Any] = json.loads(text)
    del parsed["info"]["version"]
    return parsed
