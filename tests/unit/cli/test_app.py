"""Errors as messages and exit codes; what every command has; what is said where packages are missing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from sondage import __version__, errors
from sondage.cli import app as cli
from sondage.cli import main

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 1 is nobody's."""
    monkeypatch.setenv("SONDAGE_URL", "http://127.0.0.1:1")
    monkeypatch.setattr("sondage.client.http.PAUSES_SECONDS", (0.0,))


def commands() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Every command with its words."""

    def walk(command: object, words: list[str]) -> Iterator[tuple[str, typer.core.TyperCommand]]:
        if isinstance(command, typer.core.TyperGroup):
            for name, below in command.commands.items():
                yield from walk(below, [*words, name])
        elif isinstance(command, typer.core.TyperCommand):
            yield " ".join(words), command

    return walk(typer.main.get_command(cli.app), [])


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errors.JobFailed("x"), 1),
        (errors.JobAborted("x"), 1),
        (errors.SondageError("x"), 1),
        (ImportError("x"), 1),
        (errors.InvalidInput("x"), 2),
        (errors.InvalidRows("x", []), 2),
        (errors.Unsupported("x"), 2),
        (errors.NotFound("x"), 3),
        (errors.Conflict("x"), 4),
        (errors.Forbidden("x"), 4),
        (errors.Unavailable("x"), 5),
    ],
)
def test_every_error_has_its_exit_code(fault: Exception, code: int) -> None:
    assert cli.exit_code(fault) == code


def test_every_command_has_json_and_a_sentence_of_help() -> None:
    found = dict(commands())
    assert len(found) >= 20
    for words, command in found.items():
        assert "--json" in {name for parameter in command.params for name in parameter.opts}, words
        assert command.help, words


def test_the_guide_names_every_command_and_exit_code() -> None:
    guide = (ROOT / "docs" / "guides" / "command-line.md").read_text()
    table = guide.partition("## All commands")[2]
    for words, _ in commands():
        assert f"`{words.split()[-1]}`" in table or f"`sondage {words}`" in table, words
    for code in {0, 1, 130, *cli.EXIT_CODES.values()}:
        assert f"| {code} |" in guide


def test_a_server_that_is_not_there_is_exit_code_5(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "list"]) == 5
    said = capsys.readouterr()
    assert said.out == ""
    assert "make up" in said.err
    assert "SONDAGE_URL" in said.err


def test_with_json_an_error_is_json_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "list", "--json"]) == 5
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err)["code"] == "unavailable"


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["run", "start"],
        ["job", "show", "seven"],
        ["tags", "--format", "xml"],
        ["tags", "--min-suspicion", "2"],
        ["tags", "--json", "-o", "x.csv"],
        ["tags", "--format", "table", "-o", "x.csv"],
        ["tags", "-o", "x.xlsx"],
        ["dataset", "add", "missing.npz"],
        ["dataset", "add", "digits", "--array", "x_train"],
        ["dataset", "add", "digits", "--plant-noise", "1.5"],
        ["run", "start", "1", "--recipe", "missing.json"],
        ["run", "start", "1", "--seeds", "one"],
        ["suite", "upload", "x.csv", "--name", "m", "--dataset", "1", "--category", "blurred:perhaps"],
        ["--url", "nowhere", "run", "list"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2_and_asks_no_server(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err != ""


def test_help_and_version_are_no_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__
    assert main(["dataset", "add", "--help"]) == 0
    assert "--plant-noise" in capsys.readouterr().out


def test_wrong_rows_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [errors.RowError(number, "unknown_key", f"no key k{number}\x1b[31m") for number in range(25)]

    def refuse(*_: object, **__: object) -> None:
        raise errors.InvalidRows("25 rows were refused.", rows)

    monkeypatch.setattr("sondage.client.suites.Suites.upload", refuse)
    upload = ["suite", "upload", "x.csv", "--name", "m", "--dataset", "1"]
    assert main(upload) == 2
    said = capsys.readouterr().err
    assert "row 3: no key k3" in said
    assert "and 5 more" in said
    assert "\x1b" not in said
    assert main([*upload, "--json"]) == 2
    assert len(json.loads(capsys.readouterr().err)["errors"]) == 25


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_missing_packages_are_one_clear_line(package: str) -> None:
    program = f"import sys; sys.modules['{package}'] = None\n"
    program += "from sondage.cli import main; sys.exit(main(['run', 'list']))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "The command line needs some more packages: pip install 'sondage[cli]'\n"


def test_a_reader_that_stops_early_is_no_error() -> None:
    program = "from sondage.cli.output import print_line\nfrom sondage.cli import app\n"
    program += "@app.app.command('flood')\ndef flood():\n    for _ in range(100000): print_line('x' * 100)\n"
    program += "import sys; sys.exit(app.run(['flood']))"
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), said) == (0, b"")
