"""① `sondage dataset …`."""

from __future__ import annotations

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
    reference,
    split_list,
    wait_for,
)
from sondage.cli.output import note, print_fields, print_json, print_table
from sondage.cli.progress import Bars
from sondage.cli.sources import (
    Arrays,
    ClassNames,
    InputColumns,
    KeyColumn,
    Kind,
    LabelColumn,
    Modality,
    ServerPath,
    SourceFile,
    arrays_of,
)
from sondage.client.datasets import Match
from sondage.client.problems import checked
from sondage.client.sources import InputsOptions, SourceOptions
from sondage.errors import InvalidInput
from sondage.wire import Dataset, Job, Noise

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Named = Annotated[str, typer.Argument(metavar="DATASET", help="Number, or name: its newest version.")]
COLUMNS = ("number", "name", "version", "modality", "examples", "classes", "splits", "made at")


@app.command()
def add(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(help="'digits', a .npz, .parquet or .csv file here, or with --server-path there.")
    ],
    name: Annotated[str | None, typer.Option(help="The file's name without its ending by default.")] = None,
    kind: Kind = None,
    server_path: ServerPath = False,
    modality: Modality = None,
    label_column: LabelColumn = "label",
    key_column: KeyColumn = None,
    split_column: Annotated[str | None, typer.Option(help="With train, validation or test.")] = None,
    input_columns: InputColumns = None,
    class_names: ClassNames = None,
    array: Arrays = None,
    validation_share: Annotated[
        float, typer.Option(help="Share of the train split to set aside for validation.")
    ] = 0.0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many examples.")] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave bad rows out instead of refusing all.")
    ] = False,
    plant_noise: Annotated[
        float | None, typer.Option(help="Set this share of the labels wrong, to try Sondage out.")
    ] = None,
    noise_seed: Annotated[int, typer.Option()] = 0,
    wait: Wait = True,
    as_json: AsJson = False,
) -> None:
    """Register a dataset: built-in digits, a file that is sent, or a path on the server."""
    options = SourceOptions(
        kind=kind,
        modality=modality,
        label_column=label_column,
        key_column=key_column,
        split_column=split_column,
        input_columns=split_list(input_columns),
        class_names=split_list(class_names),
        arrays=arrays_of(array),
        validation_share=validation_share,
        limit=limit,
        skip_invalid=skip_invalid,
        noise=None if plant_noise is None else checked(Noise, share=plant_noise, seed=noise_seed),
    )
    with connected(context) as client, Bars() as bars:
        job = client.datasets.add(
            source, name=name, server_path=server_path, wait=False, on_upload=bars.on_upload, **options
        )
        if wait:
            job = wait_for(client, job, bars)
        dataset = client.datasets.registered(job) if wait else None
    _show_added(job, dataset, as_json)


@app.command("add-inputs")
def add_inputs(
    context: typer.Context,
    dataset: Named,
    source: SourceFile,
    match: Annotated[
        str, typer.Option(help="key: rows are found by their key. order: they lie in the examples' order.")
    ] = "key",
    ignore_labels: Annotated[
        bool, typer.Option("--ignore-labels", help="Do not compare labels; the recorded ones stay.")
    ] = False,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out rows whose key the dataset has not.")
    ] = False,
    kind: Kind = None,
    server_path: ServerPath = False,
    modality: Modality = None,
    label_column: LabelColumn = "label",
    key_column: Annotated[str | None, typer.Option(help="Of the ids that were recorded.")] = None,
    split_column: Annotated[str | None, typer.Option(help="No input; the recorded splits stay.")] = None,
    input_columns: InputColumns = None,
    class_names: ClassNames = None,
    array: Arrays = None,
    wait: Wait = True,
    as_json: AsJson = False,
) -> None:
    """Give a dataset of labels alone its pictures, texts, table rows or vectors."""
    options = InputsOptions(
        kind=kind,
        modality=modality,
        label_column=label_column,
        key_column=key_column,
        split_column=split_column,
        input_columns=split_list(input_columns),
        class_names=split_list(class_names),
        arrays=arrays_of(array),
    )
    with connected(context) as client, Bars() as bars:
        job = client.datasets.add_inputs(
            reference(dataset),
            source,
            match=_match(match),
            labels="ignore" if ignore_labels else "same",
            skip_unknown=skip_unknown,
            server_path=server_path,
            wait=False,
            on_upload=bars.on_upload,
            **options,
        )
        if wait:
            job = wait_for(client, job, bars)
        found = client.datasets.registered(job) if wait else None
    _show_added(job, found, as_json)


def _match(word: str) -> Match:
    if word not in ("key", "order"):
        raise InvalidInput(f"--match {word!r}: key or order.", field="--match")
    return "key" if word == "key" else "order"


def _show_added(job: Job, dataset: Dataset | None, as_json: bool) -> None:
    if as_json:
        print_json(job if dataset is None else dataset)
        return
    if dataset is None:
        print_fields({"job": job.id, "state": job.state})
        note(f"Follow it: sondage job show {job.id}")
        return
    print_fields(_fields(dataset))
    result = job.result or {}
    if result.get("num_skipped"):
        note(f"Left out {result['num_skipped']} invalid rows.")
    if result.get("num_unknown"):
        note(f"Left out {result['num_unknown']} rows that are no example of the dataset.")
    if result.get("is_new") is False:
        note("This dataset was there already." if "num_skipped" in result else "It had these inputs already.")
    note(f"Train on it: sondage run start {dataset.id}")


@app.command("list")
def list_(context: typer.Context, limit: Limit = None, as_json: AsJson = False) -> None:
    """Datasets, newest first."""
    with connected(context) as client:
        found = first(client.datasets.list(limit=limit), limit, 50)
    if as_json:
        print_json(found)
    else:
        print_table(COLUMNS, [_row(dataset) for dataset in found])


@app.command()
def show(context: typer.Context, dataset: Named, as_json: AsJson = False) -> None:
    """One dataset."""
    with connected(context) as client:
        found = client.datasets.get(reference(dataset))
    if as_json:
        print_json(found)
    else:
        print_fields(_fields(found))


@app.command()
def delete(
    context: typer.Context,
    dataset: Named,
    cascade: Cascade = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete one version of a dataset. What depends on it is named before."""
    with connected(context) as client:
        number = client.datasets.number(reference(dataset))
        delete_with_care(
            partial(client.datasets.delete, number),
            cascade=cascade,
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        )


def modality_in_words(dataset: Dataset) -> str:
    return "labels only" if dataset.modality == "none" else dataset.modality


def _row(dataset: Dataset) -> tuple[object, ...]:
    return (
        dataset.id,
        dataset.name,
        dataset.version,
        modality_in_words(dataset),
        dataset.num_examples,
        len(dataset.class_names),
        dataset.splits,
        dataset.created_at,
    )


def _fields(dataset: Dataset) -> dict[str, object]:
    names = dataset.class_names
    more = [f"and {len(names) - 20} more"] if len(names) > 20 else []
    return {
        "dataset": dataset.id,
        "name": f"{dataset.name}, version {dataset.version}",
        "modality": modality_in_words(dataset),
        "examples": dataset.num_examples,
        "splits": dataset.splits,
        "classes": [*names[:20], *more],
        "source": {key: value for key, value in dataset.source.items() if value not in (None, {}, [])},
        "fingerprint": dataset.fingerprint,
        "made at": dataset.created_at,
    }
