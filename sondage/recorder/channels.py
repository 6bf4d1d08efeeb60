"""③ The channels of a run: their names and the numbers that hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sondage.bounds import MAX_CHANNELS
from sondage.errors import InvalidInput
from sondage.types import AnyArray

FLOATS: tuple[str, ...] = ("float32", "float16")
INTEGERS: tuple[str, ...] = ("int8", "int16", "int32")
COUNT = "count"
"""How often a row was seen in an epoch; recorded where it is asked for."""
LABEL_ODDS = "label_odds"
"""Left-out log odds (`sondage.tagging.left_out`), of the epochs of a look alone; recorded where it is asked for."""
DISTANCE = "distance"
"""Distances to the nearest class (`sondage.tagging.class_distance`), likewise."""
OF_LOOKS = (LABEL_ODDS, DISTANCE)
MAY_LACK = (*OF_LOOKS, "left_out")
"""Channels that most epochs lack. Older recorders call margins `left_out`, which nothing reads any more."""
DEFAULT_CHANNELS = ("loss", "margin", "predicted")
ARGUMENTS = ("rows", "keys", "logits", "labels")
"""Names that `log` needs for itself."""
LARGEST_INT16 = 32_767


def channel_dtypes(channels: Sequence[str] | Mapping[str, str], num_classes: int | None) -> dict[str, str]:
    """Channel name to dtype, in the given order.

    Parameters
    ----------
    channels : sequence of str, or mapping of name to dtype
        A name alone means float32; `predicted` gets the smallest integer that holds every class, `count` int32.

    Raises
    ------
    InvalidInput
        No channel, a name that is none, a dtype that is not stored.
    """
    if isinstance(channels, str):
        raise InvalidInput(
            f"channels is the text {channels!r}: pass names, such as ('loss',).", field="channels"
        )
    asked = dict(channels) if isinstance(channels, Mapping) else dict.fromkeys(channels, "")
    if not asked:
        raise InvalidInput("channels is empty: name at least one, such as ('loss',).", field="channels")
    if len(asked) > MAX_CHANNELS:
        raise InvalidInput(
            f"channels names {len(asked)}: a run has at most {MAX_CHANNELS}.", field="channels"
        )
    if asked.keys() <= set(OF_LOOKS):
        raise InvalidInput(
            f"{' and '.join(asked)} {'are' if len(asked) > 1 else 'is'} of a few epochs: name another channel too, "
            "such as 'loss'.",
            field="channels",
        )
    return {name: _dtype(name, dtype, num_classes) for name, dtype in asked.items()}


def _dtype(name: str, dtype: str, num_classes: int | None) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", str(name)) or name in ARGUMENTS:
        raise InvalidInput(
            f"A channel cannot be named {name!r}: lower case, digits and _, beginning with a letter, and none of "
            f"{', '.join(ARGUMENTS)}.",
            field="channels",
        )
    known = dict.fromkeys(("loss", "margin", *OF_LOOKS), FLOATS) | dict.fromkeys(
        ("predicted", COUNT), INTEGERS
    )
    allowed = known.get(name, (*FLOATS, *INTEGERS))
    chosen = str(dtype) or _usual(name, num_classes)
    if chosen not in allowed:
        raise InvalidInput(
            f"Channel {name} cannot be {chosen}: allowed are {', '.join(allowed)}.", field="channels"
        )
    return chosen


def _usual(name: str, num_classes: int | None) -> str:
    if name == "predicted":
        return "int16" if num_classes is not None and num_classes <= LARGEST_INT16 + 1 else "int32"
    return "int32" if name == COUNT else "float32"


def finished_channels(
    sums: Mapping[str, AnyArray], count: AnyArray, dtypes: Mapping[str, str]
) -> dict[str, AnyArray]:
    """Channels of an epoch from what was summed up by row: means, and marks where nothing was seen.

    Parameters
    ----------
    sums : mapping of name to array, shape (num_rows,)
        Sums of floating channels, which are changed in place; integers, −1 where not seen.
    count : array, shape (num_rows,)
        How often each row was seen.
    """
    # Most epochs see each row once, and nothing is to be done.
    unseen = count == 0 if len(count) and not count.min() else None
    several = count > 1 if len(count) and count.max() > 1 else None
    for values in sums.values():
        if values.dtype.kind == "f" and unseen is not None:
            values[unseen] = np.nan
        if values.dtype.kind == "f" and several is not None:
            values[several] /= count[several]
    held = {**sums, COUNT: count}
    return {name: narrowed(held[name], np.dtype(dtype)) for name, dtype in dtypes.items()}


def narrowed(values: AnyArray, dtype: np.dtype[Any]) -> AnyArray:
    """In another width. What does not fit is cut to the largest number that does; infinity stays infinity.

    A count of int8 stops at 127: "so often or more".
    """
    if values.dtype == dtype:
        return values
    if dtype.kind == "f":
        largest = np.finfo(dtype).max
        values = np.where(np.isfinite(values), np.clip(values, -largest, largest), values)
    else:
        values = np.clip(values, np.iinfo(dtype).min, np.iinfo(dtype).max)
    return values.astype(dtype)
