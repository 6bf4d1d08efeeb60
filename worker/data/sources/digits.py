"""① The handwritten digits that ship with scikit-learn: 1,797 grey pictures of 8 × 8 pixels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from worker.data.sources.arrays import ArrayInputs, as_blocks
from worker.data.sources.model import Opened

_TOP = 16  # their pixels run from 0 to 16


def open_digits() -> Opened:
    """Source: `sklearn.datasets.load_digits`, the test part of UCI's optical recognition of handwritten digits."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / _TOP)).astype(np.uint8)[..., None]
    return Opened(
        inputs=ArrayInputs("image", pixels.shape[1:], lambda: as_blocks(pixels)),
        labels=pa.chunked_array([pa.array(digits.target.astype(np.int64))]),
        parts=[("train", len(pixels))],
        label_names=[str(name) for name in digits.target_names],
    )
