"""⑤ The report of a tagging on a terminal. Its form is `sondage.tagging.evaluate.Report.to_dict`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sondage.cli.output import print_fields, print_line, print_table
from sondage.cli.report_parts import print_classes, summary
from sondage.cli.report_wrong_labels import print_wrong_labels, wrong_label_fields
from sondage.wire import Report


def print_report(report: Report) -> None:
    """What is not there, in a report of another version, is left out."""
    found = report.report
    overall = found.get("overall") or {}
    names = [str(category["name"]) for category in found.get("categories", [])]
    print_fields(
        {
            "tagging": report.tagging_id,
            "tagger": found.get("tagger"),
            **_early(found.get("early")),
            "protocol": found.get("protocol"),
            "calibration": found.get("calibration"),
            **wrong_label_fields(found),
            "held-out probes": overall.get("num_held_out"),
            "accuracy on them": overall.get("accuracy"),
            **summary(found),
        }
    )
    _print_categories(names, overall, found.get("runs", []))
    _print_confusion(names, overall)
    print_classes(found)
    print_wrong_labels(found)
    for warning in found.get("warnings", []):
        print_line(f"\nwarning: {warning}")


def _early(early: Mapping[str, Any] | None) -> dict[str, str]:
    if not early:
        return {}
    of = "" if early["of_epochs"] is None else f" of {early['of_epochs']}"
    return {"after": f"{early['epochs']}{of} epochs"}


def _print_categories(names: list[str], overall: Mapping[str, Any], runs: list[Mapping[str, Any]]) -> None:
    rows = [
        (
            name,
            (overall.get("precision") or {}).get(name),
            (overall.get("recall") or {}).get(name),
            *(_first_learned(run, name) for run in runs),
        )
        for name in names
    ]
    learned = [f"first learned, {run.get('run')}" for run in runs]
    print_line()
    print_table(("category", "precision", "recall", *learned), rows)


def _first_learned(run: Mapping[str, Any], name: str) -> str:
    """The median epoch, counted from 1 as people do, and the quarter on each side."""
    when = ((run.get("learned") or {}).get(name) or {}).get("first") or {}
    if when.get("median") is None:
        return "never"
    low, median, high = (when[part] + 1 for part in ("q25", "median", "q75"))
    return f"epoch {median:g} ({low:g} to {high:g})"


def _print_confusion(names: list[str], overall: Mapping[str, Any]) -> None:
    counts = (overall.get("confusion") or {}).get("counts")
    if counts:
        rows = [(name, *row) for name, row in zip(names, counts, strict=True)]
        print_line()
        print_table(("is ↓  tagged →", *names), rows)
