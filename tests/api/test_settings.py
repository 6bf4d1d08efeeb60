"""Settings: read from the environment, refused when wrong, documented."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import AppSettings

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "server.md"


def test_lists_come_from_commas_and_path_separators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONDAGE_SOURCE_ROOTS", "/data/a, /data/b:/data/c,")
    monkeypatch.setenv("SONDAGE_MODEL_MODULES", "mine.models, other")
    monkeypatch.setenv("SONDAGE_ALLOWED_HOSTS", "sondage.example")
    settings = AppSettings()
    assert settings.source_roots == [Path("/data/a"), Path("/data/b"), Path("/data/c")]
    assert settings.model_modules == ["mine.models", "other"]
    assert settings.allowed_hosts == ["sondage.example"]


def test_an_empty_list_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONDAGE_SOURCE_ROOTS", "")
    assert AppSettings().source_roots == []


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "70000"), ("PORT", "x"), ("LOG_LEVEL", "loud"), ("MAX_BODY_BYTES", "0")]
)
def test_wrong_settings_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"SONDAGE_{name}", value)
    with pytest.raises(ValidationError):
        AppSettings()


@pytest.mark.parametrize(
    ("options", "is_open"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"host": "10.0.0.1"}, False),
        ({"allowed_hosts": ["a.example"]}, False),
    ],
)
def test_open_only_on_the_machine_itself(options: dict[str, object], is_open: bool) -> None:
    assert AppSettings(**options).is_open is is_open  # type: ignore[arg-type]


def test_every_setting_is_documented_with_its_default() -> None:
    rows = {
        line.split("|")[1].strip().strip("`"): line
        for line in GUIDE.read_text().splitlines()
        if line.startswith("| `SONDAGE_")
    }
    assert set(rows) == {f"SONDAGE_{name.upper()}" for name in AppSettings.model_fields}
    for name, field in AppSettings.model_fields.items():
        row = rows[f"SONDAGE_{name.upper()}"]
        default = field.default
        shown = "none" if default in (None, "", []) else str(default)
        assert row.split("|")[2].strip().strip("`").replace(",", "") == shown, name
