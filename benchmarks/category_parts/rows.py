"""Data whose nature is known from outside: C-scores of CIFAR-10, and foreign pictures among handwritten digits."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.truth_parts.labellers import WEAK, judge
from benchmarks.truth_parts.rows import DataRow, load_row
from sondage.types import AnyArray, Labels, Mask, Rows
from worker.data.noise import plant_noise

SUBSET_SEED = 20261121
NUM_TYPICAL = 8_000
NUM_HELD_OUT = 500
NUM_EPOCHS = 12
SHARE_FOREIGN = SHARE_WRONG = 0.05
NUM_DIGITS = 10
FOREIGN = NUM_DIGITS
"""The true class of what is no digit."""
SOURCES = ("letters", "fashion")
LABELS = ("random", "plausible")
FILES = {
    "typical": ("cifar10_train.parquet", "cifar10_test.parquet", "cscores.npz"),
    "foreign": ("mnist.npz", "emnist_letters_test.npz", "fashion_mnist.npz"),
}


@dataclass(frozen=True)
class Planted:
    """A data row with labels and their truth: equal to the given label, another class, or `FOREIGN`."""

    row: DataRow
    given: Labels
    truth: Labels


def typical(folder: Path, *, num_examples: int = NUM_TYPICAL) -> tuple[Planted, AnyArray]:
    """A random part of CIFAR-10's train pictures with the published labels, and the C-scores of these pictures.

    C-scores (Jiang et al. 2021): expected accuracy on the example of models trained on random subsets without it; 1 is
    regular.
    """
    rng = np.random.Generator(np.random.Philox(SUBSET_SEED))
    pictures, labels, rows = _pictures(folder / "cifar10_train.parquet", rng, num_examples)
    held_out, held_out_labels, _ = _pictures(folder / "cifar10_test.parquet", rng, NUM_HELD_OUT)
    with np.load(folder / "cscores.npz") as stored:
        scores, theirs = stored["cifar10_scores"][rows], stored["cifar10_labels"][rows]
    if not np.array_equal(theirs, labels):
        raise ValueError("The C-scores are of pictures in another order than those of cifar10_train.parquet.")
    row = DataRow("typical", "image", pictures, labels, 10, held_out, held_out_labels, num_epochs=NUM_EPOCHS)
    return Planted(row, labels, labels), scores.astype(np.float64)


def foreign(folder: Path, source: str, labels: str, seed: int) -> Planted:
    """4,000 digits, 5 % of them with uniformly wrong labels, and 5 % as many pictures that are no digits behind them.

    Parameters
    ----------
    source : {"letters", "fashion"}
        EMNIST's letters, or Fashion-MNIST.
    labels : {"random", "plausible"}
        What the foreign ones are labelled: any digit, all alike; or what a weak classifier of digits takes them for.
    """
    digits = load_row("mnist", folder)
    rng = np.random.default_rng([seed, SOURCES.index(source), LABELS.index(labels)])
    strangers = _strangers(folder, source, round(SHARE_FOREIGN * len(digits)), rng)
    everywhere = np.ones(len(digits), dtype=np.bool_)
    noisy = plant_noise(digits.labels, everywhere, NUM_DIGITS, SHARE_WRONG, int(rng.integers(2**31)))[0]
    said = (
        rng.integers(NUM_DIGITS, size=len(strangers))
        if labels == "random"
        else _taken_for(digits, strangers, seed)
    )
    given = np.concatenate([noisy, said.astype(np.int64)])
    truth = np.concatenate([digits.labels, np.full(len(strangers), FOREIGN)])
    row = DataRow(
        f"digits-{source}",
        "image",
        np.concatenate([digits.inputs, strangers]),
        given,
        NUM_DIGITS,
        digits.held_out,
        digits.held_out_labels,
        num_epochs=NUM_EPOCHS,
    )
    return Planted(row, given, truth)


def kinds(given: Labels, truth: Labels) -> dict[str, Mask]:
    """The examples by what they are. Each bool, shape (N,)."""
    stranger = np.asarray(truth == FOREIGN)
    return {"right": given == truth, "wrong": (given != truth) & ~stranger, "foreign": stranger}


def _strangers(folder: Path, source: str, count: int, rng: np.random.Generator) -> AnyArray:
    name, key = (
        ("emnist_letters_test.npz", "x_test") if source == "letters" else ("fashion_mnist.npz", "x_train")
    )
    with np.load(folder / name) as stored:
        pictures: AnyArray = stored[key]
    return pictures[rng.permutation(len(pictures))[:count]][..., None]


def _taken_for(digits: DataRow, strangers: AnyArray, seed: int) -> Labels:
    """What a weak classifier, which learned from other digits, says of them."""
    asked = DataRow(
        "strangers",
        "image",
        strangers,
        np.zeros(len(strangers), dtype=np.int64),
        NUM_DIGITS,
        digits.held_out,
        digits.held_out_labels,
        digits.outside,
        digits.outside_labels,
    )
    return np.asarray(judge(asked, WEAK["image"], seed).argmax(axis=1))


def _pictures(path: Path, rng: np.random.Generator, count: int) -> tuple[AnyArray, Labels, Rows]:
    """A random draw of them, decoded, with their labels and their places in the file."""
    frame = pd.read_parquet(path)
    rows = np.sort(rng.permutation(len(frame))[:count])
    drawn = frame.iloc[rows]
    pixels = [np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB")) for cell in drawn["image"]]
    return np.stack(pixels), drawn["label"].to_numpy(np.int64), rows
