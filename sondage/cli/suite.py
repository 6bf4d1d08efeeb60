"""④ `sondage suite …`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from sondage.cli.common import (
    AsJson,
    Cascade,
    DryRun,
    Limit,
    Yes,
    connected,
    delete_with_care,
    first,
    pairs,
    reference,
)
from sondage.cli.output import note, print_json, print_table
from sondage.errors import InvalidInput
from sondage.wire import Suite

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Named = Annotated[str, typer.Argument(metavar="SUITE", help="Number, or name: its newest version.")]
COLUMNS = ("number", "name", "version", "kind", "dataset", "members", "made at")
_WRONG_LABEL = {"wrong": True, "right": False, "na": None}


@app.command()
def upload(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A .csv or .parquet with the columns key and category.")],
    dataset: Annotated[str, typer.Option(help="Whose examples the keys name: number or name.")],
    name: Annotated[str, typer.Option()],
    category: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:KIND",
            help="A category of your own; kind is wrong, right or na (not applicable), of its labels. Repeat it.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the halves, fit and held out.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Name known examples as probes. They serve runs that are recorded already: sondage tag RUN --suite NAME."""
    own = {word: _wrong_label(word, kind) for word, kind in pairs(category or [], ":", "--category").items()}
    with connected(context) as client:
        suite = client.suites.upload(file, name=name, dataset=reference(dataset), categories=own, seed=seed)
    _show(suite, as_json)


def _wrong_label(word: str, kind: str) -> bool | None:
    if kind not in _WRONG_LABEL:
        raise InvalidInput(
            f"--category {word}:{kind}: are labels of {word} wrong, right or na (not applicable)?",
            field="--category",
        )
    return _WRONG_LABEL[kind]


def _show(suite: Suite, as_json: bool) -> None:
    if as_json:
        print_json(suite)
        return
    print_table(COLUMNS, [_row(suite)])
    for warning in suite.warnings:
        note(f"warning: {warning}")


@app.command("list")
def list_(context: typer.Context, limit: Limit = None, as_json: AsJson = False) -> None:
    """Suites, newest first."""
    with connected(context) as client:
        found = first(client.suites.list(limit=limit), limit, 50)
    if as_json:
        print_json(found)
    else:
        print_table(COLUMNS, [_row(suite) for suite in found])


@app.command()
def delete(
    context: typer.Context,
    suite: Named,
    cascade: Cascade = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete one version of a suite. What depends on it is named before."""
    with connected(context) as client:
        number = client.suites.number(reference(suite))
        delete_with_care(
            partial(client.suites.delete, number), cascade=cascade, dry_run=dry_run, yes=yes, as_json=as_json
        )


def _row(suite: Suite) -> tuple[object, ...]:
    return (
        suite.id,
        suite.name,
        suite.version,
        suite.kind,
        suite.dataset_id,
        suite.num_members,
        suite.created_at,
    )
