"""③ Training dynamics as Dataset Cartography writes them: JSON lines with the logits of each example and epoch.

Source: Swayamdipta et al. 2020, "Dataset Cartography", and its code: a folder `training_dynamics` with one file
`dynamics_epoch_<n>.jsonl` an epoch, whose lines hold `guid`, `logits_epoch_<n>` and `gold`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sondage.errors import InvalidInput, InvalidRows, RowError
from sondage.recorder.arrays import quantities
from sondage.records.base import Records, class_numbers
from sondage.types import AnyArray

_LOGITS = re.compile(r"logits_epoch_(\d+)")
_LISTED_ROWS = 100


@dataclass
class _Found:
    """What has been read so far."""

    row_of: dict[str, int] = field(default_factory=dict)
    gold: list[Any] = field(default_factory=list)
    logits: dict[int, dict[int, list[float]]] = field(default_factory=dict)
    faults: list[RowError] = field(default_factory=list)


def read_cartography(path: Path, channels: tuple[str, ...] | None) -> Records:
    """One `.jsonl` file, or a folder of them: loss, margin and predicted are worked out from the logits."""
    if channels is not None and not set(channels) <= {"loss", "margin", "predicted"}:
        raise InvalidInput("Training dynamics hold loss, margin and predicted.", field="channels")
    found = _Found()
    for number, line in enumerate(_lines(path)):
        fault = _take(found, line)
        if fault is not None:
            found.faults.append(RowError(number, *fault))
    if found.faults:
        raise InvalidRows(
            f"{len(found.faults)} lines of {path} were refused. {found.faults[0].message}",
            found.faults[:_LISTED_ROWS],
            num_rejected=len(found.faults),
        )
    if not found.logits:
        raise InvalidInput(f"{path} holds no training dynamics.", field="file")
    return _records(found, channels or ("loss", "margin", "predicted"))


def _lines(path: Path) -> Iterator[str]:
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    for file in files:
        try:
            with file.open(encoding="utf-8") as opened:
                yield from (line for line in opened if line.strip())
        except (OSError, UnicodeDecodeError) as fault:
            raise InvalidInput(f"{file} cannot be read: {fault}.", field="file") from None


def _take(found: _Found, line: str) -> tuple[str, str] | None:
    """Add a line; or the code and the reason why not."""
    try:
        record = json.loads(line)
        key, gold = str(record["guid"]), record["gold"]
        of_epochs = {
            int(match[1]): value for name, value in record.items() if (match := _LOGITS.fullmatch(name))
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return "malformed", "A line is an object with guid, logits_epoch_<n> and gold."
    row = found.row_of.setdefault(key, len(found.row_of))
    if row == len(found.gold):
        found.gold.append(gold)
    if found.gold[row] != gold:
        return "label_changes", f"{key!r} has the label {gold!r} here and {found.gold[row]!r} before."
    for epoch, logits in of_epochs.items():
        there = found.logits.setdefault(epoch, {})
        if row in there:
            return "repeated", f"{key!r} comes twice in epoch {epoch}."
        if not isinstance(logits, list) or len(logits) < 2:
            return "malformed", f"logits_epoch_{epoch} of {key!r} is no list of at least two numbers."
        there[row] = logits
    return None if of_epochs else ("malformed", f"{key!r} has no logits_epoch_<n>.")


def _records(found: _Found, channels: tuple[str, ...]) -> Records:
    labels, class_names = class_numbers(found.gold)
    if labels is None:  # pragma: no cover  # there are labels wherever there are logits
        raise InvalidInput("There are no labels.")
    epochs = sorted(found.logits)
    shape = len(found.row_of), len(epochs)
    seen = np.zeros(shape, dtype=bool)
    whole: dict[str, AnyArray] = {
        name: np.full(shape, -1, np.int32) if name == "predicted" else np.full(shape, np.nan, np.float32)
        for name in channels
    }
    for column, epoch in enumerate(epochs):
        rows = np.fromiter(found.logits[epoch], dtype=np.int64)
        values = quantities(_matrix(found.logits[epoch], epoch, labels), labels[rows])
        seen[rows, column] = True
        for name in channels:
            whole[name][rows, column] = values[name]
    return Records(whole, seen, tuple(epochs), list(found.row_of), labels, class_names)


def _matrix(of_rows: dict[int, list[float]], epoch: int, labels: AnyArray) -> AnyArray:
    try:
        logits = np.array(list(of_rows.values()), dtype=np.float32)
    except (ValueError, TypeError):
        raise InvalidInput(
            f"The logits of epoch {epoch} are no numbers, or differ in length.", field="file"
        ) from None
    if labels.max() >= logits.shape[1]:
        raise InvalidInput(
            f"gold goes up to {labels.max()}; there are {logits.shape[1]} logits.", field="file"
        )
    return logits
