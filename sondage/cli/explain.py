"""⑤ `sondage explain`: why an example stands where it stands."""

from __future__ import annotations

from typing import Annotated

import typer

from sondage.cli.common import AsJson, connected, reference
from sondage.cli.output import print_fields, print_json, print_line, print_table
from sondage.cli.tagging import Newest
from sondage.wire import Explanation, Neighbour, Tag


def explain(
    context: typer.Context,
    index: Annotated[int, typer.Argument(min=0, help="Of the example, as `sondage tags` lists it.")],
    tagging: Newest = "latest",
    run: Annotated[
        str | None, typer.Option(help="Nearest probes in this run; the first that trained the example.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="That of `sondage tags`: the sentence explains the tag there."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Why an example has its tag and its place: a sentence, and its nearest probes."""
    with connected(context) as client:
        number = client.taggings.number(reference(tagging))
        of_run = None if run is None else reference(run)
        found = client.taggings.explanation(number, index, run=of_run, threshold=threshold)
        if as_json:
            print_json(found)
        else:
            _print(client.taggings.tag(number, index, threshold=threshold), found)


def _print(tag: Tag, found: Explanation) -> None:
    print_fields(
        {
            "example": f"{tag.index} ({tag.key})" if tag.key != str(tag.index) else tag.index,
            "tag": tag.tag,
            "suspicion": tag.suspicion,
            "given label": tag.label_name,
            "suggested": tag.suggested_label_name,
        }
    )
    if found.sentence:
        print_line(f"\n{found.sentence}")
    if found.neighbours:
        print_line(f"\nNearest probes in run {found.run_id}:\n")
        print_table(("row", "category", "label", "distance"), [_row(near) for near in found.neighbours])


def _row(near: Neighbour) -> tuple[object, ...]:
    return near.probe.row, near.probe.category, near.probe.label_name, near.distance
