"""③ What is said, once, of an epoch that may not be what was meant. Looked at when it is closed, from its counts."""

from __future__ import annotations

import math

import numpy as np

from sondage.recorder.trouble import LOG
from sondage.types import AnyArray

REPEATED_SHARE = 0.05
"""Batches that came twice beyond this share of the examples seen: below, an epoch's curve hardly changes."""
FEWEST_UNSEEN = 20.0
"""Examples that draws with replacement leave out, below which chance says nothing."""
FEWEST_SEEN = 20


class Doubts:
    """Warns once of an epoch without batches, and once of one that looks as if its loop was begun twice."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._said: set[str] = set()

    def of_no_batch(self, epoch: int) -> None:
        self._say(
            "no batch",
            f"Run {self._run}: epoch {epoch} was closed and no batch of it was logged: every example is NaN in it. "
            "Call end_epoch once after each pass over the data.",
        )

    def of_counts(self, epoch: int, count: AnyArray, num_to_see: int | None) -> None:
        """Parameters as of `looks_begun_again`."""
        if "repeated" not in self._said and looks_begun_again(count, num_to_see):
            self._say(
                "repeated",
                f"Run {self._run}: in epoch {epoch}, {np.count_nonzero(count > 1)} examples were logged more than "
                "once, as when a loop is interrupted and run again: their means are recorded. Call run.drop_epoch() "
                "before an epoch's loop begins anew. Where examples are meant to come several times, record the "
                "channel 'count' too: init(channels=(…, 'count')).",
            )

    def _say(self, what: str, message: str) -> None:
        if what not in self._said:
            self._said.add(what)
            LOG.warning("%s", message)


def looks_begun_again(count: AnyArray, num_to_see: int | None) -> bool:
    """Is this a pass over the data, and a part of another one, rather than draws with replacement?

    Draws with replacement leave many examples out: of N, with d draws, N exp(−d / N) at least (equal chances leave out
    the fewest). Where fewer than half as many were not seen, or all were seen equally often, it was passes.

    Parameters
    ----------
    count : integers, shape (num_rows,)
        How often each row was seen.
    num_to_see : int or None
        Rows that an epoch is to see; all when not known. Of several processes none sees them all, and none is doubted.
    """
    num_seen, num_draws = int(np.count_nonzero(count)), int(count.sum(dtype=np.int64))
    if num_draws - num_seen <= REPEATED_SHARE * num_seen:
        return False
    if num_seen >= FEWEST_SEEN and num_draws == int(count.max()) * num_seen:
        return True
    size = max(len(count) if num_to_see is None else num_to_see, num_seen)
    expected = size * math.exp(-num_draws / size)
    return expected >= FEWEST_UNSEEN and size - num_seen < expected / 2
