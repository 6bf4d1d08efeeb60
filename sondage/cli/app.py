"""⑥ All commands under one name, and every error as a message and an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from sondage import __version__, errors
from sondage.cli import compare, dataset, explain, job, record, review, run_, suite, sync, tagging, tags
from sondage.cli.common import Connection
from sondage.cli.output import printable

EXIT_CODES: dict[type[BaseException], int] = {
    errors.InvalidInput: 2,
    errors.NotFound: 3,
    errors.Conflict: 4,
    errors.Forbidden: 4,
    errors.Unavailable: 5,
}
"""Every other error: 1."""

app = typer.Typer(
    name="sondage",
    help="Find mislabelled, odd, foreign and typical training examples by how their loss falls.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(dataset.app, name="dataset", help="Register, list, show and delete datasets.")
app.add_typer(suite.app, name="suite", help="Upload, list and delete suites of probes.")
app.add_typer(run_.app, name="run", help="Train with planted probes; watch, end and delete trainings.")
app.add_typer(record.app, name="record", help="Bring records of other trainings.")
app.add_typer(tagging.app, name="tagging", help="List, show and delete taggings.")
app.add_typer(review.app, name="review", help="Draw a sample to review, and say what was decided.")
app.add_typer(job.app, name="job", help="Look at long work, and end it.")
app.command("tag")(tagging.tag)
app.command("tags")(tags.tags)
app.command("report")(tagging.report)
app.command("explain")(explain.explain)
app.command("compare")(compare.compare)
app.command("calibration")(review.calibration)
app.command("sync")(sync.sync)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def connect(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option(envvar="SONDAGE_URL", help="The server; http://127.0.0.1:8000 by default.")
    ] = None,
    project: Annotated[str, typer.Option(help="What a key opens.")] = "default",
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Say the version.")
    ] = False,
) -> None:
    """A key, where the server asks for one, is read from SONDAGE_KEY."""
    context.obj = Connection(url, project)


def run(arguments: Sequence[str]) -> int:
    """Run a command. Its errors go to standard error, as JSON when `--json` was given."""
    try:
        app(list(arguments), prog_name="sondage")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except (errors.SondageError, ImportError) as fault:
        _say(fault, as_json="--json" in arguments)
        return exit_code(fault)
    return 0


def exit_code(fault: BaseException) -> int:
    return next((EXIT_CODES[kind] for kind in type(fault).__mro__ if kind in EXIT_CODES), 1)


def _say(fault: Exception, *, as_json: bool) -> None:
    code = fault.code if isinstance(fault, errors.SondageError) else "error"
    rows = fault.rows if isinstance(fault, errors.InvalidRows) else []
    if as_json:
        said = {"code": code, "detail": str(fault), "errors": [row.as_dict() for row in rows]}
        sys.stderr.write(json.dumps(said) + "\n")
        return
    sys.stderr.write(f"error: {printable(str(fault))}\n")
    for row in rows[:20]:
        sys.stderr.write(f"  row {row.index}: {printable(row.message)}\n")
    if len(rows) > 20:
        sys.stderr.write(f"  and {len(rows) - 20} more; --json lists them\n")
