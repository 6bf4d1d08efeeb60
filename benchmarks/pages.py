"""Pages of docs/benchmarks that a benchmark writes anew, with the notes below them that people write."""

from __future__ import annotations

from pathlib import Path

MARKER = "<!-- What follows is written by hand; the benchmark keeps it. -->\n"


def notes_of(page: Path) -> str:
    """What stands below the marker, nothing where there is no page yet.

    Raises
    ------
    ValueError
        The page has no marker: what in it is written by hand cannot be told.
    """
    if not page.exists():
        return ""
    _, marker, notes = page.read_text(encoding="utf-8").partition(MARKER)
    if not marker:
        raise ValueError(
            f"{page} has no line {MARKER.strip()}: put it above what is to be kept, or name another file."
        )
    return notes


def write_page(page: Path, measured: str) -> None:
    """Write what was measured, and below the marker the notes that the page has by now."""
    page.write_text(f"{measured.rstrip()}\n\n{MARKER}{notes_of(page)}", encoding="utf-8")
