"""⑤ `sondage compare`: what changed from one tagging to another of the same examples."""

from __future__ import annotations

from typing import Annotated

import typer

from sondage.cli.common import AsJson, connected, reference
from sondage.cli.output import print_fields, print_json, print_line, print_table
from sondage.cli.tagging import Named
from sondage.wire import TagChange, TaggingComparison

SHOWN = 10
CHANGES = ("index", "key", "label", "place", "place there", "tag", "tag there")


def compare(
    context: typer.Context,
    tagging: Named,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The one to hold it against.")],
    tag: Annotated[str | None, typer.Option(help="List only examples with this tag in the first.")] = None,
    other_tag: Annotated[str | None, typer.Option(help="And with this one in the other.")] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Examples to list, those that moved furthest first.")
    ] = SHOWN,
    as_json: AsJson = False,
) -> None:
    """Which tags changed, how alike the two lists are, and what moved furthest in them."""
    with connected(context) as client:
        first, second = reference(tagging), reference(other)
        found = client.taggings.compare(first, second)
        changes = list(client.taggings.changes(first, second, tag=tag, other_tag=other_tag, limit=limit))
    if as_json:
        print_json({"comparison": found, "changes": changes})
        return
    _print_summary(found)
    if changes:
        print_line()
        print_table(CHANGES, [_row(change) for change in changes])


def _print_summary(found: TaggingComparison) -> None:
    print_fields(
        {
            "taggings": f"{found.tagging_id}, {found.other_id}",
            "examples": found.num_examples,
            "with one tag in both": _share(found.num_same, found.num_examples),
            "rank correlation": found.rank_correlation,
        }
    )
    print_line()
    rows = [(name, *counts) for name, counts in zip(found.tags, found.counts, strict=True)]
    print_table((f"in {found.tagging_id} ↓  in {found.other_id} →", *found.other_tags), rows)
    if found.overlaps:
        print_line()
        tops = [(one.n, one.num_common, round(one.expected, 1)) for one in found.overlaps]
        print_table(("top", "in both", "by chance"), tops)


def _row(change: TagChange) -> tuple[object, ...]:
    one, other = change.first, change.second
    return (one.index, one.key, one.label_name, one.position, other.position, one.tag, other.tag)


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.1%})" if whole else "0"
