"""Writes the tables of docs/guides/settings.md from the settings classes, so that the guide cannot fall behind.

python -m tools.settings_guide
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings

from app.settings import AppSettings
from store.settings import StoreSettings
from worker.settings import WorkerSettings

GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "settings.md"
MARKER = "<!-- what follows is written by `python -m tools.settings_guide` -->\n"
CHAPTERS: list[tuple[str, type[BaseSettings]]] = [
    ("Server and worker", StoreSettings),
    ("Server", AppSettings),
    ("Worker", WorkerSettings),
]


def tables() -> str:
    """One chapter per settings class; what both processes share stands in the first."""
    return "".join(_chapter(title, settings) for title, settings in CHAPTERS)


def _chapter(title: str, settings: type[BaseSettings]) -> str:
    shared = StoreSettings.model_fields if settings is not StoreSettings else {}
    rows = [
        f"| `SONDAGE_{name.upper()}` | {_default(field.default)} | {field.description} |\n"
        for name, field in settings.model_fields.items()
        if name not in shared
    ]
    return f"\n## {title}\n\n| variable | default | what it says |\n|---|---|---|\n{''.join(rows)}"


def _default(value: Any) -> str:
    return "–" if value in (None, "", []) else f"`{value}`"


def main() -> None:
    introduction, _, _ = GUIDE.read_text(encoding="utf-8").partition(MARKER)
    GUIDE.write_text(introduction + MARKER + tables(), encoding="utf-8")


if __name__ == "__main__":
    main()
