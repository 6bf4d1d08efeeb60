"""③ Rows, labels and inputs of a batch from a loader over an `Indexed` dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sondage.errors import InvalidInput
from sondage.torch.indexed import ROW, Batch

_LABELS = ("labels", "label")


def rows_in(batch: Any) -> Tensor:
    """The rows: of a mapping under `row`, of a `Batch`, or the last of a tuple or list.

    Raises
    ------
    InvalidInput
        There are none.
    """
    if isinstance(batch, Batch):
        return batch.rows
    found = batch.get(ROW) if isinstance(batch, Mapping) else None
    if isinstance(batch, tuple | list) and len(batch) > 1:
        found = batch[-1]
    if isinstance(found, Tensor) and found.dim() == 1 and not found.is_floating_point():
        return found
    raise InvalidInput(
        "The batch does not say its rows: load sondage.torch.Indexed(dataset), whose examples end with their row, or "
        "return 'rows' beside 'logits'.",
        field="rows",
    )


def labels_in(batch: Any) -> Tensor | None:
    """The given labels: of a mapping under `labels` or `label`, of a tuple (inputs, labels, rows) the second.

    None where the batch has none that could be told: the run's own are taken then.
    """
    inner = batch.inputs if isinstance(batch, Batch) else batch
    if isinstance(inner, Mapping):
        return next((inner[name] for name in _LABELS if name in inner), None)
    expected = 2 if isinstance(batch, Batch) else 3
    if isinstance(inner, tuple | list) and len(inner) == expected and isinstance(inner[1], Tensor):
        return inner[1]
    return None


def inputs_in(batch: Any) -> Any:
    """What a model is given: of (inputs, labels, rows) the first, of a mapping all but row and labels.

    Raises
    ------
    InvalidInput
        It cannot be told.
    """
    inner = batch.inputs if isinstance(batch, Batch) else batch
    if isinstance(inner, Mapping):
        return {name: value for name, value in inner.items() if name not in (ROW, *_LABELS)}
    if isinstance(batch, Batch) and not isinstance(inner, tuple | list):
        return inner
    if isinstance(inner, tuple | list) and 0 < len(inner) <= (2 if isinstance(batch, Batch) else 3):
        return inner[0]
    raise InvalidInput("It cannot be told what of the batch the model is given.", field="inputs")
