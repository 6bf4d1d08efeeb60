"""② `sondage run …`. (The module's underscore keeps `sondage.cli.app.run` apart.)"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sondage.cli.common import (
    AsJson,
    Cascade,
    DryRun,
    Limit,
    Wait,
    Yes,
    connected,
    delete_with_care,
    first,
    going_on,
    reference,
    split_list,
    wait_for,
)
from sondage.cli.output import note, print_fields, print_json, print_table
from sondage.cli.progress import Bars, details_of
from sondage.cli.recipe import recipe_of
from sondage.client import StartedRuns
from sondage.errors import InvalidInput
from sondage.wire import Epoch, Job, Run

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Named = Annotated[str, typer.Argument(metavar="RUN", help="Number or name.")]
COLUMNS = ("number", "name", "dataset", "seed", "epochs", "state", "started at")


@app.command()
def start(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="Number, or name: its newest version.")],
    name: Annotated[
        str | None, typer.Option(help="Dataset and time by default; each seed adds -s<seed>.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A .json, .toml or .yaml with fields of a recipe.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A field of the recipe: lr=0.1. Repeat it."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="The same as --set num_epochs=….")] = None,
    seeds: Annotated[str, typer.Option(help="One run each, as 0,1.")] = "0,1",
    suite: Annotated[
        str, typer.Option(help="The probes to plant: generators, or your own examples.")
    ] = "default",
    no_suite: Annotated[bool, typer.Option("--no-suite", help="Plant nothing.")] = False,
    no_tag: Annotated[bool, typer.Option("--no-tag", help="Do not tag afterwards.")] = False,
    wait: Wait = True,
    as_json: AsJson = False,
) -> None:
    """Train on a dataset with planted probes, once per seed, then tag its examples."""
    with connected(context) as client, Bars() as bars:
        started = client.runs.start(
            reference(dataset),
            name=name,
            recipe=recipe_of(recipe, set_ or [], epochs),
            seeds=_seeds(seeds),
            suite=None if no_suite else suite,
            tag=not no_tag,
        )
        if wait:
            started = _wait(started, bars)
    _show_started(started, wait, as_json)


def _seeds(text: str) -> list[int]:
    words = split_list(text) or []
    try:
        return [int(word) for word in words]
    except ValueError:
        raise InvalidInput(f"--seeds {text!r}: write whole numbers, as 0,1.", field="--seeds") from None


def _wait(started: StartedRuns, bars: Bars) -> StartedRuns:
    aborts = [f"sondage run abort {run.id}" for run in started.runs]
    with going_on("sondage run list", *aborts):
        return started.wait(on_progress=bars.on_job)


def _show_started(started: StartedRuns, waited: bool, as_json: bool) -> None:
    tagging = started.tagging
    if as_json:
        print_json({"runs": list(started.runs), "jobs": list(started.jobs), "tagging": tagging})
        return
    print_table(COLUMNS, [_row(run) for run in started.runs])
    if not waited:
        note("Follow them: sondage run list")
    elif tagging is not None:
        note(
            f"Worst labels first: sondage tags {tagging.id}. How far to trust them: sondage report {tagging.id}"
        )


@app.command("list")
def list_(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="Only of this one: number or name.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only queued, running, finished, failed or aborted ones.")
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Runs, newest first."""
    with connected(context) as client:
        of = None if dataset is None else reference(dataset)
        found = first(client.runs.list(dataset=of, state=state, limit=limit), limit, 50)
    if as_json:
        print_json(found)
    else:
        print_table(COLUMNS, [_row(run) for run in found])


@app.command()
def show(context: typer.Context, run: Named, as_json: AsJson = False) -> None:
    """One run: its recipe, how far it is, its last epoch."""
    with connected(context) as client:
        found = client.runs.get(reference(run))
        if as_json:
            print_json(found)
            return
        job = None if found.job_id is None else client.jobs.get(found.job_id)
        epochs = list(client.runs.epochs(found))
    print_fields(_fields(found, job, epochs))


@app.command()
def abort(context: typer.Context, run: Named, as_json: AsJson = False) -> None:
    """End a training. What it recorded so far stays until the run is deleted."""
    with connected(context) as client:
        aborted = client.runs.abort(reference(run))
    if as_json:
        print_json(aborted)
    elif aborted.job is not None:
        note(f"Asked job {aborted.job.id} to end; it is {aborted.job.state} now.")
    else:
        note(
            f"Run {aborted.run.id} is {aborted.run.state} now. The loop that records it is not ended by this."
        )
        note(f"What it keeps in its spool goes up after: sondage run reopen {aborted.run.id}")


@app.command()
def reopen(context: typer.Context, run: Named, as_json: AsJson = False) -> None:
    """Let a run that your own loop recorded, and that has ended, take more epochs."""
    with connected(context) as client:
        found = client.runs.reopen(reference(run))
    if as_json:
        print_json(found)
    else:
        note(
            f"Run {found.id} is {found.state} and has {found.epochs_done} epochs. Send what waits: sondage sync"
        )


@app.command()
def resume(context: typer.Context, run: Named, wait: Wait = True, as_json: AsJson = False) -> None:
    """Go on with a training that failed or was aborted, from its last closed epoch."""
    with connected(context) as client, Bars() as bars:
        job = client.runs.resume(reference(run))
        if wait:
            how = (f"sondage run show {job.run_id}", f"sondage run abort {job.run_id}")
            job = wait_for(client, job, bars, *how)
    if as_json:
        print_json(job)
    else:
        note(f"Job {job.id} is {job.state}. Tag again when all runs have finished: sondage tag")


@app.command()
def delete(
    context: typer.Context,
    run: Named,
    cascade: Cascade = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete a run with its curves. What depends on it is named before."""
    with connected(context) as client:
        number = client.runs.number(reference(run))
        delete_with_care(
            partial(client.runs.delete, number), cascade=cascade, dry_run=dry_run, yes=yes, as_json=as_json
        )


def _row(run: Run) -> tuple[object, ...]:
    epochs = f"{run.epochs_done} of {run.num_epochs}"
    seed = "own loop" if run.recorded else run.seed
    return run.id, run.name, run.dataset_id, seed, epochs, run.state, run.created_at


def _fields(run: Run, job: Job | None, epochs: list[Epoch]) -> dict[str, object]:
    fields: dict[str, object] = {
        "run": run.id,
        "name": run.name,
        "dataset": run.dataset_id,
        "suite": run.suite_id,
        "trained by": "a loop of your own"
        if run.recorded
        else f"a worker, seed {run.seed} ({run.slot + 1} of {run.num_slots})",
        "state": run.state,
        "epochs": f"{run.epochs_done} of {run.num_epochs}",
    }
    if job is not None and job.state in ("queued", "running"):
        fields["job"] = f"{job.id}, {details_of(job)}"
    if job is not None and job.error:
        fields["error"] = job.error
    if epochs:
        fields["last epoch"] = epochs[-1].metrics
    return fields | {"protocol": run.protocol, "recipe": run.recipe, "started at": run.created_at}
