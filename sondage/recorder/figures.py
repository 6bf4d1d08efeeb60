"""③ What is said of an epoch beside its channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray


def figures(channels: Mapping[str, AnyArray], count: AnyArray) -> dict[str, Any]:
    """What can be told from the channels alone.

    Parameters
    ----------
    channels : mapping of name to array, shape (num_rows,)
    count : array, shape (num_rows,)
        How often each row was seen.

    Returns
    -------
    dict
        num_seen, num_repeated (rows seen more than once), num_nonfinite (losses that are NaN or infinite), and of
        the finite ones train_loss (mean, nats) and train_accuracy (share with a margin above 0).
    """
    seen = count > 0
    found: dict[str, Any] = {"num_seen": int(seen.sum()), "num_repeated": int((count > 1).sum())}
    if "loss" in channels:
        losses = channels["loss"][seen].astype(np.float64)
        finite = losses[np.isfinite(losses)]
        found["num_nonfinite"] = len(losses) - len(finite)
        found["train_loss"] = float(finite.mean()) if len(finite) else None
    if "margin" in channels:
        margins = channels["margin"][seen]
        found["train_accuracy"] = float((margins > 0).mean()) if len(margins) else None
    return found


def plain_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The user's own figures as numbers and texts; NaN and infinity, which JSON has not, as None.

    Raises
    ------
    InvalidInput
        A figure is more than one number.
    """
    return {name: _plain(name, value) for name, value in metrics.items()}


def _plain(name: str, value: Any) -> Any:
    if hasattr(value, "item"):
        try:
            value = value.item()
        except (ValueError, RuntimeError):
            raise InvalidInput(f"Metric {name} is not one number: log its mean.", field=name) from None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InvalidInput(f"Metric {name} is a {type(value).__name__}: pass a number or a text.", field=name)
