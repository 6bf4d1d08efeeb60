"""⑤ How much tags change from training to training, and how much of that the draw of the probes alone explains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sondage.tagging.prepare import Prepared
from sondage.tagging.reference import ReferenceTagger
from sondage.types import AnyArray, Mask, Probabilities, Rows

MOST_SAMPLED = 5_000
"""Examples that are tagged again and again: a share of 0.95 of so many has a standard error of 0.003."""
_CHUNK_ROWS = 65_536

Tagged = Callable[[Probabilities], AnyArray]
"""From probabilities (rows, categories) to the number of each row's category; −1 is `unsure`."""


def draw_sample(runs: Sequence[Prepared], seed: int) -> Rows:
    """Up to `MOST_SAMPLED` examples that some run trained and that are no probe of any. Ascending."""
    trained = np.logical_or.reduce([run.trained for run in runs])
    for run in runs:
        trained[run.probes.row[run.probes.row < len(trained)]] = False
    rows = np.flatnonzero(trained)
    drawn = np.random.default_rng([seed, len(rows)]).permutation(len(rows))[:MOST_SAMPLED]
    return np.sort(rows[drawn])


def flips(tags: Sequence[AnyArray], trained: Sequence[Mask], names: Sequence[str]) -> dict[str, Any]:
    """How often two runs that both trained an example tag it differently. JSON-able.

    Parameters
    ----------
    tags : sequence of int arrays, shape (N,)
        Per run, by its votes alone; −1 is `unsure`.
    trained : sequence of bool arrays, shape (N,)
    names : sequence of str
        Of the categories, by number.

    Returns
    -------
    dict
        `num_runs`; `num_examples` that two runs trained; `flip_rate`, over all pairs of runs, None without one;
        `by_category`, of the examples that have this tag in one run the share that has another in the other;
        `by_chance`, the rate of tags that are as frequent and know nothing of each other; `exchanges`, the three pairs
        of categories that make up the most of it, as shares of all flips.
    """
    both = _counts_of_pairs(tags, trained, len(names))
    names = [*names, "unsure"]
    total, same = float(both.sum()), float(np.trace(both))
    frequency = both.sum(axis=1) / total if total else both.sum(axis=1)
    times = np.sum(trained, axis=0)
    return {
        "num_runs": len(tags),
        "num_examples": int((times >= 2).sum()),
        "flip_rate": (total - same) / total if total else None,
        "by_category": {
            name: float(1 - both[number, number] / both[number].sum())
            for number, name in enumerate(names)
            if both[number].sum()
        },
        "by_chance": float(1 - np.square(frequency).sum()) if total else None,
        "exchanges": _exchanges(both, names),
    }


def floor_from_probes(
    runs: Sequence[Prepared],
    votes: Sequence[Probabilities],
    ks: Sequence[int],
    names: Sequence[str],
    sample: Rows,
    tagged: Tagged,
) -> float | None:
    """The flip rate of one training: between tags by its fit probes and tags by its held-out ones in their place.

    Two runs have different probes, so that their tags would differ about as often even if they had learned alike.

    Parameters
    ----------
    runs, votes, ks
        Per run, with the votes of the examples (N, categories), by the fit probes, and its k.
    sample : int64 array
        Examples (`draw_sample`).
    tagged : callable
        Probabilities to tags.

    Returns
    -------
    float or None
        0…1, mean over runs; None where nothing is held out of some category. Where fewer are held out than are for
        fitting it is somewhat too high.
    """
    rates = []
    for run, of_run, k in zip(runs, votes, ks, strict=True):
        rows = sample[run.trained[sample]]
        held = run.probes.take(run.probes.role == "held_out")
        if set(held.category.tolist()) != set(names) or not len(rows):
            continue
        loss = run.curves["loss"]
        other = ReferenceTagger(min(k, len(held)), names).fit(loss[held.row], held.category)
        rates.append(float((tagged(of_run[rows]) != tagged(other.predict_proba(loss[rows]))).mean()))
    return float(np.mean(rates)) if rates else None


def _counts_of_pairs(tags: Sequence[AnyArray], trained: Sequence[Mask], num_categories: int) -> AnyArray:
    """Ordered pairs of runs by the tags they give the same example; the last number is `unsure`. Symmetric."""
    size = num_categories + 1
    out = np.zeros((size, size))
    for start in range(0, len(trained[0]), _CHUNK_ROWS):
        block = slice(start, start + _CHUNK_ROWS)
        there = [mask[block] for mask in trained]
        given = [np.where(tag[block] < 0, num_categories, tag[block]) for tag in tags]
        # Per example, how many runs say each category: all pairs of runs at once.
        said = np.stack(
            [
                np.sum([mask & (tag == code) for mask, tag in zip(there, given, strict=True)], axis=0)
                for code in range(size)
            ],
            axis=1,
        ).astype(np.float64)
        out += said.T @ said - np.diag(said.sum(axis=0))
    return out


def _exchanges(both: AnyArray, names: Sequence[str]) -> list[dict[str, Any]]:
    """The three most frequent pairs of different tags."""
    upper = np.triu(both, 1)
    flipped = upper.sum()
    order = np.argsort(-upper, axis=None, kind="stable")[:3]
    found = [(names[place // len(names)], names[place % len(names)], upper.flat[place]) for place in order]
    return [
        {"categories": [one, other], "share": float(number / flipped)}
        for one, other, number in found
        if number
    ]
