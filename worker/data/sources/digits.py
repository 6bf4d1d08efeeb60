"""① The handwritten digits that ship with scikit-learn: 1,797 grey pictures of 8 × 8 pixels."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa

from sondage.errors import InvalidInput
from worker.data.sources.arrays import ArrayInputs, as_blocks
from worker.data.sources.model import Opened

_TOP = 16  # their pixels run from 0 to 16


def open_digits() -> Opened:
    """Source: `sklearn.datasets.load_digits`, the test part of UCI's optical recognition of handwritten digits."""
    table = _table()
    pixels = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / _TOP)).astype(np.uint8)[..., None]
    return Opened(
        inputs=ArrayInputs("image", pixels.shape[1:], lambda: as_blocks(pixels)),
        labels=pa.chunked_array([pa.array(table[:, -1].astype(np.int64))]),
        parts=[("train", len(pixels))],
        label_names=[str(digit) for digit in range(10)],
    )


def _table() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """[1,797, 65]: 64 pixels and the digit, from scikit-learn's own file.

    Read without importing scikit-learn, whose data sets take 1.4 s to import: pandas, and most of scipy.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise InvalidInput(
            "scikit-learn, which brings the digits, is not installed: pip install scikit-learn"
        )
    with gzip.open(Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz", "rt") as file:
        return np.loadtxt(file, delimiter=",", ndmin=2)
