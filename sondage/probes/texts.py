"""④ Probes made of texts: dropped words; and texts of words drawn at random from the corpus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sondage.errors import InvalidInput


def corrupt_texts(texts: Sequence[str], rng: np.random.Generator, *, strength: float) -> list[str]:
    """Drop each word with probability `strength`, in (0, 1]; at least one word stays, in its order."""
    return [_drop_words(text.split(), rng, strength) for text in texts]


def scramble_texts(texts: Sequence[str], reference: Sequence[str], rng: np.random.Generator) -> list[str]:
    """As many words as each text has, each drawn from all words of `reference`: often ones come often.

    The lengths of the texts and the frequencies of the words are kept; order and meaning are not.
    """
    words = np.array([word for text in reference for word in text.split()], dtype=object)
    if not len(words):
        raise InvalidInput("The reference texts hold no words to draw from.", field="reference")
    lengths = [max(1, len(text.split())) for text in texts]
    return [" ".join(words[rng.integers(len(words), size=length)]) for length in lengths]


def _drop_words(words: list[str], rng: np.random.Generator, strength: float) -> str:
    if not words:
        return ""
    keep = rng.random(len(words)) >= strength
    keep[rng.integers(len(words))] |= not keep.any()
    return " ".join(word for word, stays in zip(words, keep, strict=True) if stays)
