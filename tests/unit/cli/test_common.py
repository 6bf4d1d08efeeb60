"""Numbers or names, lists, deleting with care, interrupting."""

from __future__ import annotations

import json

import pytest
import typer

from sondage.cli.common import (
    delete_with_care,
    first,
    going_on,
    pairs,
    reference,
    split_list,
    wait_for,
)
from sondage.cli.progress import Bars
from sondage.cli.sources import arrays_of
from sondage.client import Client
from sondage.errors import Conflict, InvalidInput
from sondage.wire import Deleted, Dependant, Job


class Thing:
    """Something with dependants that notes how it was deleted."""

    def __init__(self, *dependants: str) -> None:
        self.dependants = [
            Dependant(kind="run", id=number, name=name) for number, name in enumerate(dependants)
        ]
        self.deleted = False

    def delete(self, *, cascade: bool = False, dry_run: bool = False) -> Deleted:
        self.deleted = self.deleted or not dry_run
        return Deleted(kind="dataset", id=7, dependants=self.dependants, dry_run=dry_run)


def delete(
    thing: Thing, *, cascade: bool = False, dry_run: bool = False, yes: bool = False, as_json: bool = False
) -> None:
    delete_with_care(thing.delete, cascade=cascade, dry_run=dry_run, yes=yes, as_json=as_json)


@pytest.mark.parametrize(
    ("text", "expected"), [("7", 7), ("seven", "seven"), ("7a", "7a"), ("-7", "-7"), ("²", "²")]
)
def test_references_are_numbers_or_names(text: str, expected: int | str) -> None:
    assert reference(text) == expected


def test_lists_and_pairs() -> None:
    assert split_list("a, b,") == ["a", "b"]
    assert split_list(None) is None
    assert pairs(["x_train=a=b", "y = c"], "=", "--array") == {"x_train": "a=b", "y": "c"}
    with pytest.raises(InvalidInput, match="--array"):
        pairs(["x"], "=", "--array")


def test_long_lists_say_that_there_is_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert first(iter(range(5)), None, 3) == [0, 1, 2]
    assert "--limit" in capsys.readouterr().err
    assert first(iter(range(3)), None, 3) == [0, 1, 2]
    assert first(iter(range(5)), 4, 3) == [0, 1, 2, 3]
    assert capsys.readouterr().err == ""


def test_what_has_dependants_stays_without_cascade() -> None:
    thing = Thing("first")
    with pytest.raises(Conflict, match=r"run 0 \(first\).*--cascade"):
        delete(thing, yes=True)
    assert not thing.deleted


def test_a_dry_run_deletes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    thing = Thing("first")
    delete(thing, dry_run=True)
    assert capsys.readouterr().err == "Would delete dataset 7 with run 0 (first).\n"
    delete(thing, dry_run=True, as_json=True)
    assert json.loads(capsys.readouterr().out)["dependants"][0]["name"] == "first"
    assert not thing.deleted


def test_with_cascade_and_yes_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    thing = Thing("first")
    delete(thing, cascade=True, yes=True)
    assert thing.deleted
    assert "Deleted dataset 7 with run 0" in capsys.readouterr().err


def test_where_nobody_can_be_asked_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    thing = Thing()
    with pytest.raises(InvalidInput, match="--yes"):
        delete(thing)
    assert not thing.deleted


@pytest.mark.parametrize("answer", [True, False])
def test_on_a_terminal_it_asks(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    thing = Thing()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "confirm", lambda question, err: answer and "dataset 7" in question and err)
    if answer:
        delete(thing)
    else:
        with pytest.raises(typer.Exit):
            delete(thing)
    assert thing.deleted == answer


def test_an_interrupted_wait_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, going_on("sondage job abort 3"):
        raise KeyboardInterrupt
    assert caught.value.exit_code == 130
    assert "sondage job abort 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ((), ["sondage job show 3", "sondage job abort 3"]),
        (("sondage run show 5", "sondage run abort 5"), ["sondage run show 5", "sondage run abort 5"]),
    ],
)
def test_an_interrupted_wait_for_a_job_names_the_job_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    named: tuple[str, ...],
    shown: list[str],
) -> None:
    def interrupted(*arguments: object, **options: object) -> Job:
        raise KeyboardInterrupt

    with Client("http://127.0.0.1:9") as client:
        monkeypatch.setattr(client.jobs, "wait", interrupted)
        with pytest.raises(typer.Exit):
            wait_for(client, Job.model_construct(id=3), Bars(), *named)
    lines = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in lines if line.startswith("  ")] == shown


def test_an_array_without_its_role_names_the_option() -> None:
    assert arrays_of(None) == {}
    assert arrays_of(["x_train=images", "y_train = labels"]) == {"x_train": "images", "y_train": "labels"}
    with pytest.raises(InvalidInput, match="--array 'images': write it as name=value") as fault:
        arrays_of(["images"])
    assert fault.value.field == "--array"
