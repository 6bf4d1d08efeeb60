"""③ What is said of an epoch beside its channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sondage.bounds import is_utf8
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


OUR_METRICS = frozenset(
    {
        *("num_seen", "num_repeated", "num_nonfinite", "num_lost_batches", "seconds"),
        *("counts", "coverage", "missing_ranks"),  # the server's
    }
)
"""Names of figures that a metric of the user's own may not take the place of. `train_loss` and `train_accuracy` may be
the user's: what trains can be another loss than what is recorded."""
MOST_METRICS = 480
"""Of the user's own. The server takes 500 of an epoch, and the recorder adds its own to these."""
LARGEST_WHOLE = 2**63 - 1
MOST_LETTERS = 10_000


def plain_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The user's own figures as numbers and texts; NaN and infinity, which JSON has not, as None.

    Raises
    ------
    InvalidInput
        A figure is more than one number, has the name of one of ours, or the server would refuse it: there are too
        many of them, or a text or a name cannot be stored.
    """
    ours = sorted(OUR_METRICS & metrics.keys())
    if ours:
        raise InvalidInput(
            f"A metric cannot be named {ours[0]}: the recording counts that itself. Name it otherwise, such as "
            f"my_{ours[0]}.",
            field=ours[0],
        )
    if len(metrics) > MOST_METRICS:
        raise InvalidInput(
            f"{len(metrics)} metrics in one epoch: pass at most {MOST_METRICS}.", field="metrics"
        )
    for name in metrics:
        _check_text(f"The name of metric {name!r}", name, "metrics")
    return {name: _plain(f"Metric {name}", value, name) for name, value in metrics.items()}


def plain_protocol(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The user's words about a training, as JSON takes them: numbers of NumPy and PyTorch become plain ones.

    Raises
    ------
    InvalidInput
        A value is no number, no text, and no list or mapping of them.
    """
    found: dict[str, Any] = _plain_tree("protocol", protocol)
    return found


def _plain_tree(where: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        for name in value:
            _check_text(f"{where}: the name {name!r}", name, "protocol")
        return {name: _plain_tree(f"{where}[{name!r}]", inner) for name, inner in value.items()}
    if getattr(value, "ndim", 0):
        value = value.tolist()
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain_tree(f"{where}[{place}]", inner) for place, inner in enumerate(value)]
    return _plain(where, value, "protocol")


def _plain(what: str, value: Any, field: str) -> Any:
    if hasattr(value, "item"):
        try:
            value = value.item()
        except (ValueError, RuntimeError, TypeError):
            raise InvalidInput(f"{what} is not one number: log its mean.", field=field) from None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        raise InvalidInput(f"{what} is a whole number beyond 64 bits: pass float({field}).", field=field)
    if isinstance(value, str):
        return _check_text(what, value, field)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise InvalidInput(f"{what} is a {type(value).__name__}: pass a number or a text.", field=field)


def _check_text(what: str, text: Any, field: str) -> str:
    """A database's text has no NUL, and no halves of characters."""
    if not isinstance(text, str):
        raise InvalidInput(f"{what} is a {type(text).__name__}: names are texts.", field=field)
    if "\0" in text or not is_utf8(text):
        raise InvalidInput(f"{what} has a sign that cannot be stored (NUL or a surrogate).", field=field)
    if len(text) > MOST_LETTERS:
        raise InvalidInput(f"{what} has {len(text)} letters: at most {MOST_LETTERS}.", field=field)
    return text
