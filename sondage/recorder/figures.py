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
    num_seen = int(np.count_nonzero(count))
    seen = slice(None) if num_seen == len(count) else count > 0
    found: dict[str, Any] = {"num_seen": num_seen, "num_repeated": int(np.count_nonzero(count > 1))}
    if "loss" in channels:
        found |= _of_losses(channels["loss"][seen])
    if "margin" in channels:
        margins = channels["margin"][seen]
        found["train_accuracy"] = np.count_nonzero(margins > 0) / num_seen if num_seen else None
    return found


def _of_losses(losses: AnyArray) -> dict[str, Any]:
    """How many are not finite, and the mean of the others. A sum that is finite has nothing else in it."""
    with np.errstate(invalid="ignore"):
        total = float(losses.sum(dtype=np.float64))
    num_finite = len(losses)
    if not math.isfinite(total):
        finite = losses[np.isfinite(losses)]
        num_finite, total = len(finite), float(finite.sum(dtype=np.float64))
    mean = total / num_finite if num_finite else None
    return {"num_nonfinite": len(losses) - num_finite, "train_loss": mean}


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
