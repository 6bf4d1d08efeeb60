"""Pages that a benchmark writes anew keep what people wrote below the marker."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks import first_light
from benchmarks.pages import MARKER, notes_of, write_page
from tools.found import NAMES, Found

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks" / "first-light.md"


def measured(name: str, path: Path, options: str) -> first_light.Row:
    row = first_light.Row(name, num_planted=1_234, num_ranked=5_678, validation_accuracy=[0.5, None])
    row.found = {method: Found(0.25, 0.5, 0.125) for method in NAMES}
    return row


def run_first_light(monkeypatch: pytest.MonkeyPatch, data: Path, page: Path) -> int:
    """The benchmark with a measurement that takes no time."""
    data.mkdir(exist_ok=True)
    (data / "trec.parquet").touch()
    monkeypatch.setattr(first_light, "measure", measured)
    monkeypatch.setattr("sys.argv", ["first_light", str(data), "--only", "trec", "--out", str(page)])
    return first_light.main()


def test_first_light_writes_its_page_anew_and_keeps_the_notes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "first-light.md"
    shutil.copy(PAGE, page)
    notes = notes_of(PAGE)
    assert "## Notes" in notes
    for _ in range(2):
        assert run_first_light(monkeypatch, tmp_path / "data", page) == 0
    written, _, kept = page.read_text().partition(MARKER)
    assert kept == notes
    assert "1,234 / 5,678" in written
    assert "6,000 / 60,000" not in written, "the figures of before are gone"


def test_a_page_without_the_marker_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "thesis.md"
    page.write_text("years of work\n")
    with pytest.raises(SystemExit):
        run_first_light(monkeypatch, tmp_path / "data", page)
    said = capsys.readouterr()
    assert "thesis.md has no line <!--" in said.err
    assert "5,678" not in said.out
    assert page.read_text() == "years of work\n"


def test_a_new_page_ends_with_the_marker(tmp_path: Path) -> None:
    page = tmp_path / "new.md"
    write_page(page, "# Figures\n")
    assert page.read_text() == f"# Figures\n\n{MARKER}"
    page.write_text(page.read_text() + "\nA note.\n")
    write_page(page, "# Other figures")
    assert page.read_text() == f"# Other figures\n\n{MARKER}\nA note.\n"
