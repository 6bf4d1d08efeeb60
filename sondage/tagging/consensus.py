"""⑤ Consensus over seeds: in how many of the runs that trained an example its tag is the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sondage.types import AnyArray, Mask, Probabilities


@dataclass(frozen=True)
class Consensus:
    """How the runs agree on each tag.

    Parameters
    ----------
    trained : int16 array, shape (N,)
        Runs that trained the example; those in which a probe took its place have no say.
    agreeing : int16 array, shape (N,)
        Those of them whose votes alone give the tagging's tag. None give `unsure`, where the tagging knows it.
    """

    trained: AnyArray
    agreeing: AnyArray

    @property
    def in_all(self) -> Mask:
        """Two runs at least trained the example, and all of them agree: one alone is no consensus. Shape (N,)."""
        return np.asarray((self.trained >= 2) & (self.agreeing == self.trained))


def consensus(
    votes: Sequence[Probabilities],
    trained: Sequence[Mask],
    tag: AnyArray,
    tags_of: Callable[[Probabilities], AnyArray],
) -> Consensus:
    """Hold each run's own tags against the tags of all runs together.

    Parameters
    ----------
    votes : sequence of float arrays, shape (N, categories)
        Per run; NaN rows where it has no curve.
    trained : sequence of bool arrays, shape (N,)
    tag : int array, shape (N,)
        Of all runs together; −1 is `unsure`.
    tags_of : callable
        From the votes of one run to its tags.
    """
    says = [mask & ~np.isnan(of_run).any(axis=1) for mask, of_run in zip(trained, votes, strict=True)]
    agrees = [mask & (tags_of(of_run) == tag) for mask, of_run in zip(says, votes, strict=True)]
    return Consensus(
        np.asarray(np.sum(says, axis=0, dtype=np.int16)), np.asarray(np.sum(agrees, axis=0, dtype=np.int16))
    )
