"""⑤ `sondage review …` and `sondage calibration`: about 100 decisions, and what they say of the whole list."""

from __future__ import annotations

import csv
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sondage.cli.common import AsJson, connected, reference
from sondage.cli.output import note, print_fields, print_json, print_line, print_table, write_out
from sondage.cli.tagging import Newest
from sondage.client.problems import checked
from sondage.client.reviews import sample_csv
from sondage.errors import InvalidInput
from sondage.wire import DecisionIn, Estimate, SampledTag, TaggingCalibration

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
SHOWN = ("place", "index", "key", "label", "suggested", "decision")
NEEDED = ("index", "decision")
SHOWN_LISTS = (50, 100, 500, 1_000, 10_000)


class Form(StrEnum):
    table = "table"
    csv = "csv"


@app.command()
def sample(
    context: typer.Context,
    tagging: Newest = "latest",
    size: Annotated[
        int, typer.Option(min=10, max=2_000, help="In all, what was drawn before included.")
    ] = 100,
    format: Annotated[Form, typer.Option(help="csv is a file to fill in.")] = Form.table,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A .csv file to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a random sample of the list to review, or show it; a larger size extends it."""
    if as_json and (output is not None or format is Form.csv):
        raise InvalidInput("--json is for standard output: leave --format and -o out.", field="--json")
    with connected(context) as client:
        found = client.taggings.reviews(reference(tagging)).draw(size)
    if as_json:
        print_json(found)
    elif output is not None:
        _write(output, sample_csv(found))
    elif format is Form.csv:
        write_out(sample_csv(found))
    else:
        print_table(SHOWN, [_row(one) for one in found.items])
        note(f"{found.num_decided} of {found.size} are decided.")


@app.command()
def submit(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A .csv as `sondage review sample` writes it, filled in.")],
    tagging: Newest = "latest",
    as_json: AsJson = False,
) -> None:
    """Send the decisions of a file, and calibrate by them. Rows without a decision are passed over."""
    rows = _read(file)
    with connected(context) as client:
        of = client.taggings.get(reference(tagging))
        classes = client.datasets.get(of.dataset_id).class_names
        sent = [_decision(number, row, classes) for number, row in rows]
        if sent:
            client.datasets.decide_all(of.dataset_id, sent)
        note(f"Sent {len(sent)} decisions.")
        found = client.taggings.reviews(of).calibrate()
    _print(found, as_json)


@app.command()
def calibrate(context: typer.Context, tagging: Newest = "latest", as_json: AsJson = False) -> None:
    """Estimate anew from the decisions there are."""
    with connected(context) as client:
        found = client.taggings.reviews(reference(tagging)).calibrate()
    _print(found, as_json)


def calibration(context: typer.Context, tagging: Newest = "latest", as_json: AsJson = False) -> None:
    """How many labels are wrong, in all and in the first of the list, by the reviews of a sample."""
    with connected(context) as client:
        found = client.taggings.reviews(reference(tagging)).calibration()
    _print(found, as_json)


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, newline="")
    except OSError as fault:
        raise InvalidInput(f"{output} cannot be written: {fault.strerror}.", field="-o") from None
    note(f"Wrote {output}: fill in the column decision, then sondage review submit {output}")


def _read(file: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows that hold a decision, each with its line."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened, strict=True)
            missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise InvalidInput(f"{file} has no column {missing[0]!r}.", field="file")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise InvalidInput(f"{file} cannot be read as CSV: {fault}.", field="file") from None
    return [(number, row) for number, row in rows if (row["decision"] or "").strip()]


def _decision(line: int, row: dict[str, str], classes: list[str]) -> DecisionIn:
    """A class by its name or, where no class has that name, by its number."""
    label = (row.get("label") or "").strip()
    if label and label not in classes and not label.isdecimal():
        raise InvalidInput(f"Line {line}: there is no class {label!r}.", field="label")
    number = None if not label else classes.index(label) if label in classes else int(label)
    index, word, said = row["index"], row["decision"].strip(), row.get("note") or ""
    return checked(DecisionIn, index=index, decision=word, label=number, note=said)


def _row(one: SampledTag) -> tuple[object, ...]:
    return one.place, one.index, one.key, one.label_name, one.suggested_label_name, one.decision


def _print(found: TaggingCalibration, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_fields(
        {
            "tagging": found.tagging_id,
            "reviews": f"{found.num_reviews}, of them {found.num_wrong} wrong; {found.num_unsure} unsure",
            "wrong labels": f"{_words(found.share_wrong)} of {found.num_examples:,}",
        }
    )
    shown = [one for one in found.top_lists if one.k in SHOWN_LISTS] or found.top_lists
    print_line()
    columns = ("first of the list", "wrong", f"{found.level:.0%} interval")
    print_table(columns, [(f"{one.k:,}", f"{one.value:.1%}", _ends(one)) for one in shown])
    for warning in found.warnings:
        print_line(f"\nwarning: {warning}")
    if found.num_newer_decisions:
        note(f"{found.num_newer_decisions} decisions are newer: sondage review calibrate {found.tagging_id}")


def _words(estimate: Estimate) -> str:
    return f"{estimate.value:.1%} ({_ends(estimate)})"


def _ends(estimate: Estimate) -> str:
    return f"{estimate.low:.1%} to {estimate.high:.1%}"
