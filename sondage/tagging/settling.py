"""⑤ The epoch from which tags no longer change: a sample is tagged by curves that are cut at a few epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sondage.scores.base import mean_where_trained
from sondage.tagging.prepare import Prepared
from sondage.tagging.reference import ReferenceTagger
from sondage.tagging.stability import Tagged
from sondage.types import AnyArray, Probabilities, Rows

SHARE_SETTLED = 0.95
"""Of the tags, equal to the final ones. In nine real trainings of 12 epochs 0.99 was not reached before the last one:
near-ties between neighbouring categories are decided anew with every epoch. Two seeds differed in 0.15 to 0.47 of the
tags there, so that what is left to change is small beside what another seed changes."""
STEPS_PER_OCTAVE = 2


def cuts(num_epochs: int) -> list[int]:
    """Numbers of epochs to look at: a geometric grid, 1 … `num_epochs`; 13 of 90."""
    num_steps = int(np.ceil(STEPS_PER_OCTAVE * np.log2(max(num_epochs, 1))))
    grid = np.geomspace(1, num_epochs, num_steps + 1).round().astype(int)
    return sorted({1, *grid.tolist(), num_epochs})


def settling(
    runs: Sequence[Prepared], ks: Sequence[int], names: Sequence[str], sample: Rows, tagged: Tagged
) -> dict[str, Any]:
    """When the tags of a sample become what they are at the end. JSON-able.

    Parameters
    ----------
    runs, ks
        With the k of each run; the probes are those of the whole curves.
    sample : int64 array
        Examples that some run trained and that are no probes.
    tagged : callable
        Probabilities, mean over the runs, to tags.

    Returns
    -------
    dict
        `num_sampled`; `num_epochs` of the longest run; `epochs`, how many were looked at, the first of each; and
        `share_equal`, the share of the tags that are already the final ones. `settled_after`: the smallest number of
        epochs from which on that is at least `share_needed`; None where this is so only at the very end.

    Notes
    -----
    Between the last epoch of the grid that is below and the first from which all are above, the border is found by
    halving, as if the share only rose.
    """
    num_epochs = max(run.curves.num_epochs for run in runs)
    said: dict[str, Any] = {
        "num_sampled": len(sample),
        "num_epochs": num_epochs,
        "share_needed": SHARE_SETTLED,
        "epochs": [],
        "share_equal": [],
        "settled_after": None,
    }
    if not len(sample):
        return said

    def tags_after(epochs: int) -> AnyArray:
        votes = [_votes(run, k, names, sample, epochs) for run, k in zip(runs, ks, strict=True)]
        return tagged(mean_where_trained(votes, [run.trained[sample] for run in runs]))

    final = tags_after(num_epochs)
    shares = {num_epochs: 1.0}
    for epochs in cuts(num_epochs)[:-1]:
        shares[epochs] = float((tags_after(epochs) == final).mean())
    settled = _border(shares, lambda epochs: float((tags_after(epochs) == final).mean()))
    known = sorted(shares)
    said |= {"epochs": known, "share_equal": [round(shares[one], 4) for one in known]}
    said["settled_after"] = settled if settled < num_epochs else None
    return said


def _border(shares: dict[int, float], share_after: Callable[[int], float]) -> int:
    """The first number of epochs from which all are above. What it looks at between the grid is added to `shares`."""
    known = sorted(shares)
    below = [epochs for epochs in known if shares[epochs] < SHARE_SETTLED]
    low = below[-1] if below else 0
    high = min(epochs for epochs in known if epochs > low)
    while high - low > 1:
        middle = (low + high) // 2
        shares[middle] = share_after(middle)
        low, high = (middle, high) if shares[middle] < SHARE_SETTLED else (low, middle)
    return high


def _votes(run: Prepared, k: int, names: Sequence[str], sample: Rows, epochs: int) -> Probabilities:
    """Of the sample by the first epochs of a run; of all of them where it is shorter. NaN where it has no curve."""
    fit = run.probes.take(run.probes.role == "fit")
    loss = run.curves["loss"][:, :epochs]
    return ReferenceTagger(k, names).fit(loss[fit.row], fit.category).predict_proba(loss[sample])
