"""⑤ What probes say of wrong labels, on a terminal: the share, the families it is a range over, top lists.

Its form is `sondage.tagging.wrong_labels.estimate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sondage.cli.output import print_line, print_table


def wrong_label_fields(report: Mapping[str, Any]) -> dict[str, str]:
    """For the head of the report; nothing where the tagging only votes."""
    share = (report.get("wrong_labels") or {}).get("share_wrong")
    return {"wrong labels": _estimate(share)} if share else {}


def print_wrong_labels(report: Mapping[str, Any]) -> None:
    found = report.get("wrong_labels") or {}
    if not found.get("share_wrong"):
        return
    if not found["is_uniform"]:
        print_line("\nHow many labels are wrong depends on what errors are like:")
        for family in found["families"]:
            print_line(f"  {family['share']:.1%}  {family['assumption']}")
    else:
        print_line(f"\nWrong labels by probes. {found['assumption']}")
    print_line()
    lists = [(one["k"], _estimate(one)) for one in found["top_lists"]]
    print_table(("of the first", "are wrong"), lists)


def _estimate(one: Mapping[str, Any]) -> str:
    low, high = f"{one['low']:.1%}", f"{one['high']:.1%}"
    return f"{low} to {high}" if one["value"] is None else f"{one['value']:.1%} ({low} to {high})"
