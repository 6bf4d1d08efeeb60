"""⑤ `sondage tags`: the suspicious list, as a table or as a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sondage.cli.common import AsJson, connected, reference
from sondage.cli.output import note, print_json, print_table, write_out
from sondage.cli.tagging import Newest
from sondage.client import Tags
from sondage.errors import InvalidInput
from sondage.wire import Tag

SHOWN = 20
COLUMNS = ("index", "key", "tag", "suspicion", "label", "suggested", "decision", "input")
"""The last one only where there is something to read: a picture is not."""


class Format(StrEnum):
    table = "table"
    csv = "csv"
    parquet = "parquet"
    jsonl = "jsonl"


def tags(
    context: typer.Context,
    tagging: Newest = "latest",
    tag: Annotated[str | None, typer.Option(help="Only this category, or unsure.")] = None,
    label: Annotated[str | None, typer.Option(help="Only examples with this given label.")] = None,
    suggested_label: Annotated[str | None, typer.Option(help="Only with this suggested label.")] = None,
    min_suspicion: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    max_suspicion: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    decision: Annotated[
        str | None, typer.Option(help="Only keep, relabel, exclude or unsure; none: not decided on.")
    ] = None,
    in_all_seeds: Annotated[
        bool | None,
        typer.Option(
            "--in-all-seeds/--not-in-all-seeds",
            help="Only with the same tag in all runs, or not; without --threshold.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Tag as wrong what is wrong with a chance above this: 0.9 sure, 0.1 complete."
        ),
    ] = None,
    order_by: Annotated[
        str, typer.Option(help="suspicion, index, or a score such as mean_loss: its bad end first.")
    ] = "suspicion",
    limit: Annotated[int | None, typer.Option(min=1, help=f"At most so many; {SHOWN} in a table.")] = None,
    format: Annotated[Format | None, typer.Option(help="By the ending of -o; a table without one.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A file to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """The examples of a tagging, the most suspicious labels first; a table, or all of them in a file."""
    chosen = _format(format, output, as_json)
    with connected(context) as client:
        shown = limit or (SHOWN if chosen is Format.table and not as_json else None)
        found = client.tags(
            reference(tagging),
            tag=tag,
            label=label,
            suggested_label=suggested_label,
            min_suspicion=min_suspicion,
            max_suspicion=max_suspicion,
            decision=decision,
            in_all_seeds=in_all_seeds,
            threshold=threshold,
            order_by=order_by,
            limit=shown,
        )
        if as_json:
            print_json(list(found))
        elif chosen is Format.table:
            _print(found)
            if threshold is not None:
                note(effect_in_words(found))
        else:
            _export(found, chosen, output)


def _format(asked: Format | None, output: Path | None, as_json: bool) -> Format:
    """What to print or write; what cannot go together is refused before anything is fetched."""
    if as_json and (output is not None or asked not in (None, Format.table)):
        raise InvalidInput("--json is for standard output: leave --format and -o out.", field="--json")
    if asked is None:
        asked = Format.table if output is None else _by_ending(output)
    if asked is Format.table and output is not None:
        raise InvalidInput(
            "A table is for the screen: choose csv, parquet or jsonl for -o.", field="--format"
        )
    if asked is Format.parquet and output is None and sys.stdout.isatty():
        raise InvalidInput("Parquet is not for the screen: name a file with -o.", field="-o")
    return asked


def _by_ending(output: Path) -> Format:
    try:
        return Format(output.suffix.lower().removeprefix("."))
    except ValueError:
        raise InvalidInput(f"{output} does not tell its format: say --format.", field="--format") from None


def _export(found: Tags, chosen: Format, output: Path | None) -> None:
    if output is not None:
        found.export(output, chosen.value)
        note(f"Wrote {output}.")
        return
    for piece in found.pieces(chosen.value):
        write_out(piece)


def _print(found: Iterable[Tag]) -> None:
    rows = [_row(tag) for tag in found]
    num_columns = len(COLUMNS) if any(row[-1] for row in rows) else len(COLUMNS) - 1
    print_table(COLUMNS[:num_columns], [row[:num_columns] for row in rows])


def _row(tag: Tag) -> tuple[object, ...]:
    return (
        tag.index,
        tag.key,
        tag.tag,
        tag.suspicion,
        tag.label_name,
        tag.suggested_label_name,
        tag.decision,
        _preview(tag),
    )


def effect_in_words(found: Tags) -> str:
    """What the threshold does to the whole list, in a sentence."""
    effect = found.facets().threshold
    if effect is None:
        return "Tags go by votes alone."
    said = [f"Above {effect.threshold:g}: {effect.num_wrong} tagged as wrong"]
    if effect.precision is not None:
        said.append(f"about {effect.precision:.0%} of them are")
    elif effect.precision_low is not None and effect.precision_high is not None:
        said.append(f"{effect.precision_low:.0%} to {effect.precision_high:.0%} of them are")
    if effect.recall is not None:
        said.append(f"{effect.recall:.0%} of all wrong labels are among them")
    return ", ".join(said) + "."


def _preview(tag: Tag) -> str:
    if tag.text is not None:
        return tag.text if len(tag.text) <= 60 else tag.text[:59] + "…"
    if tag.values:
        return ", ".join(f"{name}={value}" for name, value in list(tag.values.items())[:4])
    return ""
