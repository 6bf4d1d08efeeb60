"""⑥ What commands share: the connection, options, numbers or names, waiting, deleting."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeVar

import typer

from sondage.cli.output import note, print_json
from sondage.cli.progress import Bars
from sondage.client import Client
from sondage.errors import Conflict, InvalidInput
from sondage.wire import Deleted, Job

Value = TypeVar("Value")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end, or return at once.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many.")]
Cascade = Annotated[bool, typer.Option("--cascade", help="Delete also what depends on it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True)
class Connection:
    """Where the commands go."""

    url: str | None
    project: str


@contextmanager
def connected(context: typer.Context) -> Iterator[Client]:
    """The client of a command, closed when the command ends. Ctrl-C is no fault: it has its own exit code."""
    connection: Connection = context.obj
    with Client(connection.url, project=connection.project) as client:
        try:
            yield client
        except KeyboardInterrupt:
            note("Interrupted.")
            raise typer.Exit(130) from None


def reference(text: str) -> int | str:
    """A number or a name, as it was typed."""
    return int(text) if text.isdecimal() and text.isascii() else text


def split_list(text: str | None) -> list[str] | None:
    """`a,b` as two words."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def pairs(texts: Sequence[str], separator: str, option: str) -> dict[str, str]:
    """`name=value`, several times, as a mapping."""
    found = {}
    for text in texts:
        name, there, value = text.partition(separator)
        if not there or not name:
            raise InvalidInput(f"{option} {text!r}: write it as name{separator}value.", field=option)
        found[name.strip()] = value.strip()
    return found


@contextmanager
def going_on(*how_to_go_on: str) -> Iterator[None]:
    """Ctrl-C ends the wait and not the work: say how to see it and how to end it."""
    try:
        yield
    except KeyboardInterrupt:
        note("\nStopped waiting; the work goes on without this command.")
        for line in how_to_go_on:
            note(f"  {line}")
        raise typer.Exit(130) from None


def wait_for(client: Client, job: Job, bars: Bars, *how_to_go_on: str) -> Job:
    """The job at its end. Where nothing else is named, the job itself is what one goes on with."""
    with going_on(*(how_to_go_on or (f"sondage job show {job.id}", f"sondage job abort {job.id}"))):
        return client.jobs.wait(job, on_progress=bars.on_job)


class Delete(Protocol):
    """`delete` of a noun of the client, for one thing."""

    def __call__(self, *, cascade: bool = False, dry_run: bool = False) -> Deleted: ...


def delete_with_care(delete: Delete, *, cascade: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Name what depends on it, ask, delete."""
    planned = delete(cascade=cascade, dry_run=True)
    if not dry_run:
        _refuse_dependants(planned, cascade)
        _ask(planned, yes)
        planned = delete(cascade=cascade)
    if as_json:
        print_json(planned)
    else:
        note(("Would delete " if dry_run else "Deleted ") + _named(planned) + ".")


def _refuse_dependants(planned: Deleted, cascade: bool) -> None:
    if planned.dependants and not cascade:
        raise Conflict(
            f"{_dependants(planned)} would have to go with it: delete these first, or say --cascade."
        )


def _ask(planned: Deleted, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("Nobody is there to be asked: say --yes to delete.", field="--yes")
    if not typer.confirm(f"Delete {_named(planned)}?", err=True):
        raise typer.Exit(1)


def _named(planned: Deleted) -> str:
    subject = f"{planned.kind} {planned.id}"
    return f"{subject} with {_dependants(planned)}" if planned.dependants else subject


def _dependants(planned: Deleted) -> str:
    """The first ten by name, scores last: there is one per method, and they are the least missed."""
    ordered = sorted(planned.dependants, key=lambda one: one.kind == "score")
    named = [f"{one.kind} {one.id} ({one.name})" for one in ordered[:10]]
    more = len(ordered) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def first(values: Iterator[Value], limit: int | None, default: int) -> list[Value]:
    """The first items of a list, and a word when there are more than are shown unasked."""
    wanted = limit or default
    found: list[Value] = []
    for value in values:
        if len(found) == wanted:
            if limit is None:
                note(f"The first {default}; --limit shows more.")
            break
        found.append(value)
    return found
