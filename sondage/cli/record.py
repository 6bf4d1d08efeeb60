"""③ `sondage record …`: records that were kept elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sondage.cli.common import AsJson, connected
from sondage.cli.output import note, print_json
from sondage.client.records import import_records

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def record() -> None:
    """Records of trainings that were not recorded by Sondage."""


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A .parquet, .csv, .npy, .npz or .jsonl file, or a folder.")],
    dataset: Annotated[
        str, typer.Option(help="Name; made from the file's keys and labels if there is none.")
    ],
    run: Annotated[str | None, typer.Option(help="The file's name by default.")] = None,
    format: Annotated[
        str | None, typer.Option(help="parquet, csv, npy, npz or cartography; by the file's ending.")
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(help="A column to record; loss, margin, predicted by default. Repeat it."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an import that broke off.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a finished run of a file of losses: one per example and epoch."""
    with connected(context) as client:
        made = import_records(
            client, file, dataset=dataset, run=run, format=format, channels=channel or None, resume=resume
        )
    if as_json:
        print_json(made)
        return
    note(f"Run {made.id} ({made.name}): {made.num_rows} rows, {made.epochs_done} epochs.")
    note(f"Tag its examples by known ones: sondage tag {made.name} --suite NAME")
