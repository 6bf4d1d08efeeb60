"""④ Making probes: wrong labels, and for each modality damaged and foreign inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sondage.errors import InvalidInput, Unsupported
from sondage.probes.images import corrupt_images, scramble_images
from sondage.probes.suite import Generator
from sondage.probes.tables import corrupt_table, corrupt_vectors, scramble_table, scramble_vectors
from sondage.probes.texts import corrupt_texts, scramble_texts
from sondage.types import Labels, Rows

MakeInputs = Callable[[Any, Any, np.random.Generator, dict[str, Any]], Any]
"""(source inputs, reference inputs, rng, the generator's parameters) → as many inputs of the same form."""

MAKERS: dict[tuple[str, str], MakeInputs] = {
    ("image", "corrupt"): lambda source, _, rng, how: corrupt_images(source, rng, **how),
    ("image", "scramble"): lambda source, _, rng, how: scramble_images(source, rng),
    ("text", "corrupt"): lambda source, _, rng, how: corrupt_texts(source, rng, strength=how["strength"]),
    ("text", "scramble"): lambda source, other, rng, how: scramble_texts(source, other, rng),
    ("table", "corrupt"): lambda source, other, rng, how: corrupt_table(
        source, other, rng, strength=how["strength"]
    ),
    ("table", "scramble"): lambda source, other, rng, how: scramble_table(source, other, rng),
    ("vector", "corrupt"): lambda source, other, rng, how: corrupt_vectors(
        source, other, rng, strength=how["strength"]
    ),
    ("vector", "scramble"): lambda source, other, rng, how: scramble_vectors(source, other, rng),
}
"""By modality and generator. `flip` changes the label alone and has no entry."""
MODALITIES = ("image", "text", "table", "vector")


def make_probe_inputs(
    modality: str, generator: Generator, source: Any, reference: Any, rng: np.random.Generator
) -> Any:
    """The inputs of the probes that a generator makes of its sources.

    Parameters
    ----------
    modality : {"image", "text", "table", "vector"}
    generator : Generator
        A planted one: flip, corrupt or scramble.
    source : inputs of n examples
        Image: uint8 (n, height, width, channels). Text: list of str. Table: `TableInputs`. Vector: float32 (n, d).
    reference : inputs of some train examples, in the same form
        What statistics are taken of: words, columns. A sample of a few thousand is enough.
    rng : numpy.random.Generator

    Returns
    -------
    inputs of n probes, in the form of `source`; for `flip` the source itself

    Raises
    ------
    Unsupported
        For another modality.
    InvalidInput
        For a generator that makes nothing, or inputs it cannot work on.
    """
    if modality not in MODALITIES:
        raise Unsupported(
            f"There are no probes for {modality!r}, only for {', '.join(MODALITIES)}.", field="modality"
        )
    if not generator.planted:
        raise InvalidInput(f"{generator.name} probes are chosen after training, not made.", field="generator")
    if generator.name == "flip":
        return source
    return MAKERS[modality, generator.name](source, reference, rng, dict(generator.parameters))


def flip_labels(labels: Labels, num_classes: int, rng: np.random.Generator) -> Rows:
    """A wrong label for each, uniform over the other classes. Shape (n,)."""
    if num_classes < 2:
        raise InvalidInput("Labels cannot be flipped with fewer than two classes.", field="num_classes")
    moves = rng.integers(1, num_classes, size=len(labels))
    return np.asarray((labels + moves) % num_classes, dtype=np.int64)


def random_labels(num: int, num_classes: int, rng: np.random.Generator) -> Rows:
    """Labels uniform over all classes. Shape (num,)."""
    return rng.integers(num_classes, size=num, dtype=np.int64)
