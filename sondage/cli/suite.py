"""④ `sondage suite …`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
    pairs,
    reference,
    split_list,
    wait_for,
)
from sondage.cli.output import note, print_json, print_table
from sondage.cli.progress import Bars
from sondage.cli.sources import (
    Arrays,
    InputColumns,
    KeyColumn,
    Kind,
    LabelColumn,
    Modality,
    ServerPath,
    SourceFile,
    arrays_of,
)
from sondage.client.problems import checked
from sondage.client.suites import ExamplesOptions
from sondage.errors import InvalidInput
from sondage.wire import GeneratorSpec, Suite

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Named = Annotated[str, typer.Argument(metavar="SUITE", help="Number, or name: its newest version.")]
Categories = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME:KIND",
        help="A category of your own; kind is wrong, right or na (not applicable), of its labels. Repeat it.",
    ),
]
COLUMNS = ("number", "name", "version", "kind", "dataset", "members", "made at")
_WRONG_LABEL = {"wrong": True, "right": False, "na": None}


@app.command()
def upload(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A .csv or .parquet with the columns key and category.")],
    dataset: Annotated[str, typer.Option(help="Whose examples the keys name: number or name.")],
    name: Annotated[str, typer.Option()],
    category: Categories = None,
    seed: Annotated[int, typer.Option(help="Of the halves, fit and held out.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Name known examples as probes. They serve runs that are recorded already: sondage tag RUN --suite NAME."""
    own = _own(category)
    with connected(context) as client:
        suite = client.suites.upload(file, name=name, dataset=reference(dataset), categories=own, seed=seed)
    _show(suite, as_json)


@app.command("upload-examples")
def upload_examples(
    context: typer.Context,
    source: SourceFile,
    dataset: Annotated[str, typer.Option(help="Whose classes and inputs they have to fit: number or name.")],
    name: Annotated[str, typer.Option(help="Of the suite.")],
    all_are: Annotated[
        str | None,
        typer.Option(metavar="CATEGORY", help="What all of them are; else a column named category says it."),
    ] = None,
    category_column: Annotated[str | None, typer.Option(help="Column that says the category.")] = None,
    category: Categories = None,
    generator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:COUNT]",
            help="flip, corrupt, scramble, prototypical or atypical, beside them. Repeat it.",
        ),
    ] = None,
    label_name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD=CLASS", help="What a label of the file is called in the dataset. Repeat it."
        ),
    ] = None,
    random_labels: Annotated[
        bool, typer.Option("--random-labels", help="Draw the labels: for foreign inputs, which have none.")
    ] = False,
    kind: Kind = None,
    server_path: ServerPath = False,
    modality: Modality = None,
    label_column: LabelColumn = "label",
    key_column: KeyColumn = None,
    input_columns: InputColumns = None,
    array: Arrays = None,
    seed: Annotated[int, typer.Option(help="Of the halves, fit and held out, and of random labels.")] = 0,
    wait: Wait = True,
    as_json: AsJson = False,
) -> None:
    """Send examples of your own as probes, to be planted in trainings to come: sondage run start --suite NAME."""
    own = _own(category)
    options = ExamplesOptions(
        kind=kind,
        modality=modality,
        label_column=label_column,
        key_column=key_column,
        input_columns=split_list(input_columns),
        arrays=arrays_of(array),
        category=all_are,
        category_column=category_column,
        categories=own,
        generators=[_generator(text) for text in generator or []],
        label_names=pairs(label_name or [], "=", "--label-name"),
        random_labels=random_labels,
        seed=seed,
        server_path=server_path,
    )
    with connected(context) as client, Bars() as bars:
        options["on_upload"] = bars.on_upload
        job = client.suites.upload_examples(
            source, name=name, dataset=reference(dataset), wait=False, **options
        )
        if wait:
            job = wait_for(client, job, bars)
        suite = client.suites.made_by(job) if wait else None
    if suite is not None:
        _show(suite, as_json)
    elif as_json:
        print_json(job)
    else:
        note(f"job {job.id} reads the examples; sondage job show {job.id} says how far it is.")


def _generator(text: str) -> GeneratorSpec:
    name, _, count = text.partition(":")
    given = {"count": count} if count else {}
    return checked(GeneratorSpec, name=name, **given)


def _own(categories: Sequence[str] | None) -> dict[str, bool | None]:
    """Categories of the user's own: whether the labels of each are wrong."""
    given = pairs(categories or [], ":", "--category")
    return {word: _wrong_label(word, kind) for word, kind in given.items()}


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
        suite.dataset_id or suite.examples_dataset_id,
        suite.num_members,
        suite.created_at,
    )
