"""Tables, fields and JSON on standard output."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sondage.cli.output import note, print_fields, print_json, print_table, printable
from sondage.wire import Facets


def test_tables_have_a_line_a_row_and_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "share", "what"), [("a", 0.12345, None), ("[bold]b", 1.0, ["x", "y"])])
    head, _, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "share", "what"]
    assert first.split() == ["a", "0.123", "–"]
    assert second.split() == ["[bold]b", "1.000", "x,", "y"]


def test_an_empty_table_is_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [])
    assert capsys.readouterr().out.split()[0] == "name"


def test_long_values_are_folded_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields({"key": "x" * 500})
    assert capsys.readouterr().out.count("x") == 500


def test_fields_keep_small_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields({"recipe": {"weight_decay": 5e-4, "width": None}, "at": datetime(2026, 11, 21, tzinfo=UTC)})
    said = capsys.readouterr().out
    assert "weight_decay 0.0005" in said
    assert "2026-11-2" in said
    assert all(line == line.rstrip() for line in said.splitlines())


def test_json_keeps_letters_and_models(capsys: pytest.CaptureFixture[str]) -> None:
    facets = Facets(count=1, tags={"ümlaut": 1}, labels={})
    print_json({"one": facets, "many": [facets], "none": None})
    said = capsys.readouterr().out
    assert "ümlaut" in said
    assert json.loads(said)["many"][0]["count"] == 1
    assert json.loads(said)["none"] is None


def test_what_comes_from_outside_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "key\x1b[2J\x07\x9b31m\r\u202e"
    print_table(("key",), [(hostile,)])
    print_fields({"key": hostile})
    note(hostile)
    said = capsys.readouterr()
    for sign in "\x1b\x07\x9b\r\u202e":
        assert sign not in said.out + said.err
    assert printable("plain – Ä\n") == "plain – Ä\n"
