"""⑤ `sondage tag`, `sondage report`, `sondage tagging …`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

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
)
from sondage.cli.output import note, print_fields, print_json, print_table
from sondage.cli.progress import Bars
from sondage.cli.report import print_report
from sondage.wire import Tagging

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
TAGGING_HELP = "Number, 'latest', or the name of a dataset or of runs: their newest."
Named = Annotated[str, typer.Argument(metavar="TAGGING", help=TAGGING_HELP)]
Newest = Annotated[str, typer.Argument(metavar="[TAGGING]", help=TAGGING_HELP)]
COLUMNS = (
    "number",
    "dataset",
    "suite",
    "runs",
    "epochs",
    "tagger",
    "calibration",
    "state",
    "held out",
    "made at",
)


def tag(
    context: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Numbers or names; a name of run start: all its seeds."),
    ],
    suite: Annotated[
        str | None, typer.Option(help="Number or name; the one planted in the runs by default.")
    ] = None,
    tagger: Annotated[
        Literal["evidence", "reference"],
        typer.Option(help="Order by evidence against the label, or by votes alone, as in the paper."),
    ] = "evidence",
    k: Annotated[int | None, typer.Option("-k", "--k", min=1, help="Neighbours.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="By the first so many epochs alone, of running trainings too.")
    ] = None,
    now: Annotated[
        bool, typer.Option("--now", help="By the epochs that are complete now; wait for no run.")
    ] = False,
    wait: Wait = True,
    as_json: AsJson = False,
) -> None:
    """Tag the examples of a dataset by the curves of some runs."""
    with connected(context) as client, Bars() as bars:
        tagging = client.taggings.create(
            [reference(run) for run in runs],
            suite=None if suite is None else reference(suite),
            tagger=tagger,
            k=k,
            epochs=epochs,
            now=now,
            wait=False,
        )
        if wait:
            with going_on(f"sondage tagging show {tagging.id}", "sondage job list"):
                tagging = client.taggings.wait(tagging, on_progress=bars.on_job)
    if as_json:
        print_json(tagging)
        return
    print_table(COLUMNS, [_row(tagging)])
    if wait:
        note(
            f"Worst labels first: sondage tags {tagging.id}. How far to trust them: sondage report {tagging.id}"
        )


def report(context: typer.Context, tagging: Newest = "latest", as_json: AsJson = False) -> None:
    """How well held-out probes are told apart: the grounds on which tags stand."""
    with connected(context) as client:
        found = client.taggings.report(reference(tagging))
    if as_json:
        print_json(found)
    else:
        print_report(found)


@app.command("list")
def list_(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="Only of this one: number or name.")] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Taggings, newest first."""
    with connected(context) as client:
        of = None if dataset is None else reference(dataset)
        found = first(client.taggings.list(dataset=of, limit=limit), limit, 50)
    if as_json:
        print_json(found)
    else:
        print_table(COLUMNS, [_row(tagging) for tagging in found])


@app.command()
def show(context: typer.Context, tagging: Named, as_json: AsJson = False) -> None:
    """One tagging."""
    with connected(context) as client:
        found = client.taggings.get(reference(tagging))
    if as_json:
        print_json(found)
    else:
        print_fields({**dict(zip(COLUMNS, _row(found), strict=True)), "categories": found.categories})


@app.command()
def delete(
    context: typer.Context,
    tagging: Named,
    cascade: Cascade = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete a tagging with its tags."""
    with connected(context) as client:
        number = client.taggings.number(reference(tagging))
        delete_with_care(
            partial(client.taggings.delete, number),
            cascade=cascade,
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        )


def _epochs(tagging: Tagging) -> str:
    if tagging.epochs is None:
        return "all"
    return f"{tagging.epochs} of {'?' if tagging.of_epochs is None else tagging.of_epochs}"


def _row(tagging: Tagging) -> tuple[object, ...]:
    return (
        tagging.id,
        tagging.dataset_id,
        tagging.suite_id,
        tagging.run_ids,
        _epochs(tagging),
        tagging.tagger,
        tagging.calibration,
        tagging.state,
        None if tagging.held_out_accuracy is None else f"{tagging.held_out_accuracy:.0%}",
        tagging.created_at,
    )
