"""`sondage job …`."""

from __future__ import annotations

from typing import Annotated

import typer

from sondage.cli.common import AsJson, Limit, connected, first
from sondage.cli.output import note, print_fields, print_json, print_table
from sondage.cli.progress import details_of
from sondage.wire import Job

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Number = Annotated[int, typer.Argument(metavar="JOB", min=1)]


@app.command("list")
def list_(
    context: typer.Context,
    state: Annotated[
        str | None, typer.Option(help="Only queued, running, succeeded, failed or aborted ones.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only register, train or tag.")] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Jobs, newest first."""
    with connected(context) as client:
        found = first(client.jobs.list(state=state, kind=kind, limit=limit), limit, 50)
    if as_json:
        print_json(found)
        return
    rows = [
        (job.id, job.kind, _subject(job), job.state, job.error or _progress(job), job.created_at)
        for job in found
    ]
    print_table(("number", "kind", "for", "state", "progress or error", "made at"), rows)


@app.command()
def show(context: typer.Context, job: Number, as_json: AsJson = False) -> None:
    """One job: how far it is, or why it failed."""
    with connected(context) as client:
        found = client.jobs.get(job)
    if as_json:
        print_json(found)
        return
    fields: dict[str, object] = {
        "job": found.id,
        "kind": found.kind,
        "for": _subject(found),
        "state": found.state,
        "attempt": found.attempt,
        "progress": _progress(found),
        "error": found.error,
        "result": found.result,
        "made at": found.created_at,
        "started at": found.started_at,
        "ended at": found.finished_at,
    }
    print_fields({name: value for name, value in fields.items() if value not in (None, "")})


@app.command()
def abort(context: typer.Context, job: Number, as_json: AsJson = False) -> None:
    """End a job. One that runs ends when its worker has seen it."""
    with connected(context) as client:
        found = client.jobs.abort(job)
    if as_json:
        print_json(found)
    else:
        note(f"Asked job {found.id} to end; it is {found.state} now.")


def _subject(job: Job) -> str:
    for noun in ("tagging", "run", "dataset"):
        number = getattr(job, f"{noun}_id")
        if number is not None:
            return f"{noun} {number}"
    return "–"


def _progress(job: Job) -> str:
    return details_of(job) if job.state == "running" else ""
