"""① Texts as token numbers, stable over processes and machines."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"\w+|[^\w\s]", re.UNICODE)


def tokenise(texts: Iterable[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Split texts into lower-case words and signs; a word's number is its CRC-32 without the top bit.

    Returns
    -------
    offsets : int64 array, shape (N + 1,)
    tokens : int32 array
        Text i is `tokens[offsets[i]:offsets[i + 1]]`.
    """
    numbers: dict[str, int] = {}
    offsets, pieces = [0], [np.zeros(0, dtype=np.int32)]
    for text in texts:
        words = _WORD.findall(text.lower())
        for word in words:
            if word not in numbers:  # words repeat: hashing each once takes a third of the time
                numbers[word] = zlib.crc32(word.encode("utf-8", "surrogatepass")) & 0x7FFFFFFF
        pieces.append(np.array([numbers[word] for word in words], dtype=np.int32))
        offsets.append(offsets[-1] + len(words))
    return np.array(offsets, dtype=np.int64), np.concatenate(pieces)
