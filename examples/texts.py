"""What the two text examples share: reading a Parquet file of `text`, `label` and perhaps `split`; words as numbers."""

from __future__ import annotations

import re
import zlib

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

VOCABULARY = 8192
PAD = 0


def read_texts(file: str, limit: int | None = None) -> tuple[list[str], np.ndarray]:
    """Texts and class numbers of the train split."""
    table = pq.read_table(file)
    if "split" in table.column_names:
        table = table.filter(pc.equal(table["split"], "train"))
    table = table.slice(0, limit)
    _, labels = np.unique(np.array(table["label"].to_pylist()), return_inverse=True)
    return table["text"].to_pylist(), labels


def tokens_of(text: str, longest: int = 48) -> list[int]:
    """Words as hashed numbers: no vocabulary to build, nothing to download."""
    words = re.findall(r"\w+|[^\w\s]", text.lower())[:longest]
    return [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in words] or [PAD + 1]
