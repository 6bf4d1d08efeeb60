"""The pages are true: links lead somewhere, commands exist, examples are Python, settings and words are described."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROGRAMS = {"make", "python", "sondage", "docker", "git", "echo", "export", ".", "pip", "curl"}
"""What a reader is told to type. Docker and the shell's own words are not ours to check."""


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Every fenced block of one language, with the name of its page."""
    for page in PAGES:
        for text in re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S):
            yield page.name, text


def commands() -> list[tuple[str, list[str]]]:
    """Every line of a shell block, in words, without what is set before it."""
    found = []
    for page, text in blocks("sh"):
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]
            if words:
                found.append((page, [Path(words[0]).name or ".", *words[1:]]))
    return found


def asked(program: str) -> list[list[str]]:
    return [words[1:] for _, words in commands() if words[0] == program]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for address in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not address.startswith(("http://", "https://")):
            assert (page.parent / address).exists(), address


def test_only_known_programs_are_named() -> None:
    known = {*PROGRAMS, "pre-commit"}
    assert [(page, words) for page, words in commands() if words[0] not in known] == []


def test_make_targets_in_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
    named = {words[0] for words in asked("make") if words}
    assert {"demo", "test"} <= named
    assert named <= targets


def test_make_targets_are_described_in_the_pages() -> None:
    text = "".join(page.read_text() for page in PAGES)
    for target in ("demo", "up", "test", "check", "bench", "migrate", "backup", "restore"):
        assert re.search(rf"make {target}\b", text), target


def test_modules_in_the_pages_run() -> None:
    named = {words[1] for words in asked("python") if words[0] == "-m"}
    named |= set(re.findall(r"python -m ([a-z_.]+[a-z])", "".join(page.read_text() for page in PAGES)))
    assert "alembic" in named
    for module in named:
        spec = importlib.util.find_spec(module)
        assert spec is not None, module
        if spec.submodule_search_locations is not None:
            assert importlib.util.find_spec(f"{module}.__main__") is not None, module


def test_the_command_line_understands_every_example() -> None:
    import typer.main

    from sondage.cli.app import app

    examples = asked("sondage")
    assert {words[0] for words in examples} >= {"dataset", "run", "tags"}
    for words in examples:
        command, arguments = typer.main.get_command(app), words
        context = command.make_context("sondage", list(arguments), resilient_parsing=False)
        while hasattr(command, "resolve_command"):
            _, command, arguments = command.resolve_command(context, arguments)
            context = command.make_context(command.name, list(arguments), parent=context)


def test_python_examples_parse_and_import_what_exists() -> None:
    for page, text in blocks("python"):
        for node in ast.walk(ast.parse(text, filename=page)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sondage"):
                module = importlib.import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_the_settings_guide_is_what_the_classes_say() -> None:
    from tools.settings_guide import GUIDE, MARKER, tables

    _, marker, written = GUIDE.read_text().partition(MARKER)
    assert marker, "docs/guides/settings.md lost its marker"
    assert written == tables(), "run: .venv/bin/python -m tools.settings_guide"


def test_variables_that_the_pages_name_exist() -> None:
    from tools.settings_guide import CHAPTERS

    known = {f"SONDAGE_{name.upper()}" for _, settings in CHAPTERS for name in settings.model_fields}
    known |= {"SONDAGE_URL", "SONDAGE_KEY", "SONDAGE_PUBLISH"}
    for page in PAGES:
        named = set(re.findall(r"\bSONDAGE_[A-Z_]+[A-Z]\b", page.read_text()))
        assert named <= known, page.name


def test_the_glossary_has_every_category_generator_and_score() -> None:
    from sondage.probes.suite import CATEGORIES, UNSURE, USUAL_CATEGORY
    from sondage.scores.registry import SCORES

    glossary = (ROOT / "docs" / "glossary.md").read_text()
    for word in (*(category.name for category in CATEGORIES), *USUAL_CATEGORY, UNSURE, *SCORES):
        assert re.search(rf"\b{word}\b", glossary), word
