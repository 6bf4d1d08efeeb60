"""⑤ On a terminal: what a report says beside the held-out probes. Its form is `sondage.tagging.report_parts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sondage.cli.output import print_line, print_table

CLASSES_SHOWN = 10
PAIRS_SHOWN = 5


def summary(report: Mapping[str, Any]) -> dict[str, object]:
    """One line each; what an older report does not have is left out."""
    apart = report.get("not_trained_on")
    found = {
        "accuracy on those not trained on": apart and f"{apart['accuracy']:.3f} of {apart['num_held_out']}",
        "shares of votes are off by": _off(report.get("reliability")),
        "tags differ between seeds": _flips(report.get("stability")),
        "tags settled": _settled(report.get("settling")),
        "planted wrong labels told apart": _told_apart(report.get("order_quality")),
        "top of the list differs": _top_list(report.get("order_quality")),
        "epochs that count": _epochs(report.get("evidence")),
        "suspects": _suspects(report.get("per_class")),
    }
    return {name: said for name, said in found.items() if said}


def _off(found: Mapping[str, Any] | None) -> str | None:
    return f"{found['error']:.1%}, on average" if found and found["error"] is not None else None


def _flips(found: Mapping[str, Any] | None) -> str | None:
    if found is None:
        return None
    floor = found["from_probes"]
    alone = "" if floor is None else f"{floor:.1%} by another draw of probes alone"
    if found["flip_rate"] is None:
        return f"not known, with one run; {alone}" if alone else "not known, with one run"
    return "; ".join(filter(None, (f"{found['flip_rate']:.1%} of {found['num_examples']:,}", alone)))


def _told_apart(found: Mapping[str, Any] | None) -> str | None:
    """Of held-out probes, per run: from those with right labels, as the area under the curve."""
    if not found:
        return None
    said = []
    for run in found["runs"]:
        for part, words in (("trained_on", ""), ("not_trained_on", " (not trained on)")):
            area = (run[part] or {}).get("against_right")
            if area:
                said.append(f"AUROC {area['auroc']:.3f} ({area['low']:.3f} to {area['high']:.3f}){words}")
    return "; ".join(said) or None


def _top_list(found: Mapping[str, Any] | None) -> str | None:
    top = found and found["top_list"]
    if not top:
        return None
    return f"{top['flip_rate']:.1%} of the first {top['length']:,}, between seeds; by chance {top['by_chance']:.1%}"


def _settled(found: Mapping[str, Any] | None) -> str | None:
    if not found or not found["epochs"]:
        return None
    if found["settled_after"] is None:
        return f"not within {found['num_epochs']} epochs"
    return f"at epoch {found['settled_after']} of {found['num_epochs']}"


def _epochs(found: Sequence[Mapping[str, Any]] | None) -> str | None:
    """Per run the epoch of the highest weight, from 1, after which one the features were looked at, and its weight."""
    if not found:
        return None
    said = []
    for run in found:
        weights = run["weights"]
        peak = f"most {weights.index(max(weights)) + 1} of {len(weights)} ({max(weights):.0%})"
        look = "" if run["look_epoch"] is None else f", features looked at after {run['look_epoch'] + 1}"
        if run.get("look_weight") is not None:
            look += f", which weighs {run['look_weight']:.2g} times the margins"
        said.append(peak + look)
    return "; ".join(dict.fromkeys(said))


def _suspects(found: Mapping[str, Any] | None) -> str | None:
    if not found or not found["num_examples"]:
        return None
    share = found["num_suspects"] / found["num_examples"]
    return f"{found['num_suspects']:,} of {found['num_examples']:,} ({share:.1%})"


def print_classes(report: Mapping[str, Any]) -> None:
    """The classes with the most suspects, and the most frequent pairs among these."""
    found = report.get("per_class")
    if not found or not found["classes"]:
        return
    worst = found["classes"][: min(CLASSES_SHOWN, found["num_worst"])]
    there = {name for one in worst for name in one["tags"]}
    known = [str(category["name"]) for category in report.get("categories", [])]
    # The server's JSON keeps no order of names.
    tags = [name for name in known if name in there] + sorted(there.difference(known))
    rows = [
        (one["name"], one["num_examples"], one["share_suspects"], *(one["tags"].get(name) for name in tags))
        for one in worst
    ]
    print_line()
    print_table(("given label", "examples", "suspects", *tags), rows)
    if found["num_classes"] > len(worst):
        print_line(
            f"The {len(worst)} worst of {found['num_classes']:,} classes; --json has "
            f"{'all' if not found['num_left_out'] else 'the worst and the best'} of them."
        )
    if found["pairs"]:
        pairs = [
            (f"{pair['given_name']} → {pair['suggested_name']}", pair["num"], pair["num_reverse"])
            for pair in found["pairs"][:PAIRS_SHOWN]
        ]
        print_line()
        print_table(("suspects: given → suggested", "number", "reverse"), pairs)
