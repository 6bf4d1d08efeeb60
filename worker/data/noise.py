"""① Wrong labels planted on purpose, for demonstrations and benchmarks; the truth is kept aside."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sondage.errors import InvalidInput, NotFound
from sondage.types import Labels, Mask, Rows

TRUTH = "truth.npz"
"""In the folder of a dataset's payload; read by the demonstration and the benchmarks, never served."""


@dataclass(frozen=True)
class Truth:
    """What was planted.

    Attributes
    ----------
    rows : int64 array, shape (n,), ascending
        Indices of the examples whose label was set wrong.
    labels : int64 array, shape (n,)
        Their true labels.
    """

    rows: Rows
    labels: Labels

    def to_bytes(self) -> bytes:
        """As an `.npz` of `rows` and `labels`."""
        out = io.BytesIO()
        np.savez(out, rows=self.rows, labels=self.labels)
        return out.getvalue()


def plant_noise(
    labels: Labels, train_mask: Mask, num_classes: int, share: float, seed: int
) -> tuple[Labels, Mask]:
    """Set a share of the training labels wrong, each to another class drawn uniformly.

    Parameters
    ----------
    labels : integer array, shape (N,)
        True labels, 0…num_classes−1.
    train_mask : bool array, shape (N,)
        Where labels may be changed.
    num_classes : int
        At least 2.
    share : float
        In (0, 1). Exactly `round(share * number of train rows)` labels are changed, at least one.
    seed : int

    Returns
    -------
    labels : int64 array, shape (N,)
    planted : bool array, shape (N,)
        True where the label is now wrong.

    Raises
    ------
    InvalidInput
        There are fewer than two classes, or no train rows.
    """
    rows = np.flatnonzero(train_mask)
    if num_classes < 2 or not rows.size:
        raise InvalidInput("Wrong labels need two classes and a train split to be planted in.", field="noise")
    rng = np.random.Generator(np.random.Philox(seed))
    chosen = rng.choice(rows, max(1, round(share * rows.size)), replace=False)
    noisy = np.asarray(labels, dtype=np.int64).copy()
    noisy[chosen] = (noisy[chosen] + rng.integers(1, num_classes, chosen.size)) % num_classes
    planted = np.zeros(len(noisy), dtype=bool)
    planted[chosen] = True
    return noisy, planted


def read_truth(folder: Path) -> Truth:
    """The truth beside the payload in a dataset's folder.

    Raises
    ------
    NotFound
        Nothing was planted in this dataset.
    """
    if not (folder / TRUTH).is_file():
        raise NotFound("No wrong labels were planted in this dataset: register it with `noise`.")
    with np.load(folder / TRUTH, allow_pickle=False) as stored:
        return Truth(stored["rows"], stored["labels"])
