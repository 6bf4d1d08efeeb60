"""③ What is checked of a batch before it is taken: shapes, kinds of number, and ranges where no device must be asked.

Arrays of NumPy and of PyTorch pass through the same checks: both have a `shape`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sondage.bounds import MAX_EXAMPLES
from sondage.errors import InvalidInput
from sondage.recorder.channels import COUNT, OF_LOOKS

KindOf = Callable[[Any], str]
"""`f` for a floating array, `i` for integers, anything else for what is neither."""

FROM_LOGITS = ("loss", "margin", "predicted")
"""Channels that are worked out from logits and labels where they are not given."""


def check_batch(
    rows: Any,
    logits: Any,
    labels: Any,
    values: Mapping[str, Any],
    dtypes: Mapping[str, str],
    kind_of: KindOf,
    *,
    labels_known: bool,
) -> None:
    """Raise InvalidInput for what is missing, and for shapes and kinds of number that do not fit.

    Looks at no number. `labels_known`: the run has labels of its own, for batches that come without.
    """
    _check_complete(logits, labels is not None or labels_known, values, dtypes)
    _check_logits(logits, kind_of)
    if logits is not None and "predicted" in dtypes and "predicted" not in values:
        _check_holds_classes(dtypes["predicted"], logits.shape[1])
    size = rows.shape if logits is None else logits.shape[:1]
    _check_one_each("rows", rows, size, "i", kind_of)
    if labels is not None:
        _check_one_each("labels", labels, size, "i", kind_of)
    for name, array in values.items():
        _check_one_each(name, array, size, "f" if dtypes[name].startswith("float") else "i", kind_of)


def _check_logits(logits: Any, kind_of: KindOf) -> None:
    if logits is None:
        return
    if len(logits.shape) != 2 or logits.shape[1] < 2:
        raise InvalidInput(
            f"logits have shape {tuple(logits.shape)}: one row per example and at least two classes are "
            "needed. A model with one output per example wants a second class.",
            field="logits",
        )
    if kind_of(logits) != "f":
        raise InvalidInput(f"logits are {logits.dtype}: floating numbers are needed.", field="logits")


def _check_holds_classes(dtype: str, num_classes: int) -> None:
    """An integer that is too narrow would wrap around, and name another class."""
    largest = np.iinfo(dtype).max
    if num_classes - 1 > largest:
        raise InvalidInput(
            f"logits have {num_classes} classes, and predicted is {dtype}, which ends at {largest}: say "
            "init(channels={…, 'predicted': 'int32'}), or pass the logits of the labels' classes alone.",
            field="logits",
        )


def _check_one_each(name: str, array: Any, size: Any, kind: str, kind_of: KindOf) -> None:
    if tuple(array.shape) != tuple(size) or len(size) != 1:
        hint = " Pass the loss of each example: reduction='none'." if name == "loss" else ""
        raise InvalidInput(
            f"{name} has shape {tuple(array.shape)}; one value for each of the batch's "
            f"{size[0] if len(size) else 0} examples is needed, in one dimension.{hint}",
            field=name,
        )
    if kind_of(array) != kind:
        needed = "integers" if kind == "i" else "floating numbers"
        raise InvalidInput(f"{name} is {array.dtype}: {needed} are needed.", field=name)


def row_limit(num_rows: int | None) -> int:
    """Where rows end. Memory grows with them where their number is not known, up to what the server takes."""
    return MAX_EXAMPLES if num_rows is None else num_rows


def check_rows(low: int, high: int, num_rows: int | None) -> None:
    if 0 <= low and high < row_limit(num_rows):
        return
    if num_rows is None:
        raise InvalidInput(
            f"Rows {low}…{high} were logged; a dataset has at most {MAX_EXAMPLES:,} examples. A row is the position of "
            "an example in the dataset, from 0, and no id of yours: those are init(ids=…) and log(keys=…).",
            field="rows",
        )
    raise InvalidInput(
        f"Rows {low}…{high} were logged; this run has 0…{num_rows - 1}. A row is the position of an example "
        "in the dataset, not in the batch.",
        field="rows",
    )


def check_labels(low: int, high: int, num_classes: int) -> None:
    if low < 0 or high >= num_classes:
        raise InvalidInput(
            f"Labels {low}…{high} were logged; the logits have classes 0…{num_classes - 1}. Leave out examples "
            "without a label, such as those of −100 (ignore_index).",
            field="labels",
        )


def check_integers(name: str, low: int, high: int, dtype: str) -> None:
    """The least and the largest of the integers of a channel, against what its dtype holds."""
    held = np.iinfo(dtype)
    if low < held.min or high > held.max:
        raise InvalidInput(
            f"{name} of {low}…{high} was logged; as {dtype} it holds {held.min}…{held.max}. Name a wider integer "
            f"in init(channels={{…, {name!r}: 'int32'}}).",
            field=name,
        )


def _check_complete(
    logits: Any, has_labels: bool, values: Mapping[str, Any], dtypes: Mapping[str, str]
) -> None:
    unknown = [name for name in values if name not in dtypes]
    for name in OF_LOOKS:
        if name in unknown:
            raise InvalidInput(f"{name} is worked out of features: log these by log_features.", field=name)
    if unknown:
        raise InvalidInput(
            f"This run has no channel {unknown[0]!r}; it has {', '.join(dtypes)}. Name it in "
            f"init(channels=({', '.join(map(repr, [*dtypes, unknown[0]]))})).",
            field=unknown[0],
        )
    missing = [name for name in dtypes if name not in values and name != COUNT]
    derived = [name for name in missing if name in FROM_LOGITS]
    if (logits is None and missing) or derived != missing:
        lacking = missing if logits is None else [name for name in missing if name not in derived]
        raise InvalidInput(
            f"This run records {', '.join(dtypes)}, and this batch says nothing of {', '.join(lacking)}: "
            f"pass {' and '.join(f'{name}=' for name in lacking)}"
            f"{', or logits= and labels=' if derived == missing else ''}, or name fewer in init(channels=…).",
            field=lacking[0],
        )
    if derived and not has_labels:
        raise InvalidInput(
            f"labels are needed to work out {', '.join(derived)} from logits: pass labels=.", field="labels"
        )
