"""③ `sondage sync`: send what recorders left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sondage.cli.common import AsJson, Connection
from sondage.cli.output import note, print_json, print_table
from sondage.client import Client
from sondage.errors import InvalidInput
from sondage.recorder.run import STATES
from sondage.recorder.spool import DEFAULT_SPOOL, RunSpec
from sondage.recorder.sync import Synced, rename
from sondage.recorder.sync import sync as send


def sync(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A spool folder, or the folder of one run.")] = Path(
        DEFAULT_SPOOL
    ),
    end: Annotated[
        str | None, typer.Option(help="How runs ended that broke off: finished, failed or aborted.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Do without ranks whose parts are not here.")
    ] = False,
    rename_to: Annotated[
        str | None, typer.Option("--rename", help="Send the one run of the folder under another name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send what was recorded while the server was away, and delete it here once it has arrived."""
    if end is not None and end not in STATES:
        raise InvalidInput(f"--end {end!r}: one of {', '.join(STATES)}.", field="--end")
    connection: Connection = context.obj

    def make_client(spec: RunSpec) -> Client:
        url = connection.url or spec.url
        return Client(url, os.environ.get("SONDAGE_KEY"), spec.project)

    if rename_to is not None:
        folder = rename(folder, rename_to)
    # Where nothing was ever recorded there is no folder, and nothing to send; one that was named must be there.
    missing = folder == Path(DEFAULT_SPOOL) and not folder.exists()
    done = [] if missing else list(send(folder, make_client, end=end, force=force))
    if as_json:
        print_json({"runs": [_said(one) for one in done]})
    elif done:
        rows = [(one.run, one.epochs_sent, one.epochs_left, one.state) for one in done]
        print_table(("run", "epochs sent", "left", "state"), rows)
    else:
        note(f"Nothing waits in {folder}.")
    faults = [one for one in done if one.fault is not None]
    for one in faults:
        note(f"error: {f'run {one.run}' if one.run else one.folder}: {one.fault}")
    if faults:
        raise typer.Exit(1)


def _said(one: Synced) -> dict[str, object]:
    return {**vars(one), "fault": None if one.fault is None else str(one.fault)}
