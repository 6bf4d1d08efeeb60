"""④ Planning: which examples become which probes in which run, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sondage.errors import InvalidInput
from sondage.probes.generators import flip_labels, random_labels
from sondage.probes.suite import Generator, SuiteDefinition
from sondage.types import Labels, Rows, Words

DISPLACED_SHARE = 0.15
"""At most this share of the train examples gives its place to probes in one run. Random labels among the probes are
noise to the training too: with 0.25 of the digits displaced, fewer planted errors were found than with 0.15."""


_KNOWN = 0x50D46E
NO_SOURCE = -1
"""Source row of an example of the user's own."""


@dataclass(frozen=True)
class Probes:
    """Rows of a run whose category is known, in any order.

    Parameters
    ----------
    row : int64 array, shape (n,)
        Below N an example serves as it is; from N on the probe was made.
    category, role : str arrays, shape (n,)
        Role is `fit` or `held_out`.
    source_row : int64 array, shape (n,)
        The example it was made from, or `row` itself; −1 for one of the user's own, which takes nobody's place.
    """

    row: Rows
    category: Words
    role: Words
    source_row: Rows

    def __len__(self) -> int:
        return len(self.row)

    def take(self, chosen: np.ndarray) -> Probes:
        """Those at these positions, or where a mask is true."""
        return Probes(self.row[chosen], self.category[chosen], self.role[chosen], self.source_row[chosen])

    @classmethod
    def of(cls, *parts: Probes) -> Probes:
        """All of them, one part after the other."""
        empty = np.zeros(0, dtype=np.int64)
        words = np.zeros(0, dtype=np.str_)
        return cls(
            np.concatenate([empty, *(part.row for part in parts)]),
            np.concatenate([words, *(part.category for part in parts)]),
            np.concatenate([words, *(part.role for part in parts)]),
            np.concatenate([empty, *(part.source_row for part in parts)]),
        )


@dataclass(frozen=True)
class ProbePlan:
    """The probes to make for one run; probe i gets row N + i.

    Parameters
    ----------
    generators : tuple of Generator
    generator : int64 array, shape (n,)
        Position in `generators`.
    source_row : int64 array, shape (n,)
        The example that each is made from and whose place it takes; all different.
    category, role : str arrays, shape (n,)
    label : int64 array, shape (n,)
        The label the training is given for it.
    """

    generators: tuple[Generator, ...]
    generator: Rows
    source_row: Rows
    category: Words
    role: Words
    label: Rows

    def __len__(self) -> int:
        return len(self.source_row)

    def groups(self) -> Iterator[tuple[Generator, Rows]]:
        """Each generator with the positions of its probes."""
        for number, generator in enumerate(self.generators):
            positions = np.flatnonzero(self.generator == number)
            if len(positions):
                yield generator, positions

    def probes(self, num_examples: int) -> Probes:
        """The same as rows of a run over `num_examples` examples."""
        return Probes(num_examples + np.arange(len(self)), self.category, self.role, self.source_row)


def plan_probes(
    definition: SuiteDefinition,
    labels: Labels,
    train_rows: Rows,
    num_classes: int,
    *,
    seed: int,
    slot: int = 0,
    num_slots: int = 1,
) -> ProbePlan:
    """Decide the probes of one run.

    One shuffle of the train rows, in which the classes are evenly mixed, is dealt out in slices: one per slot, in
    it one per generator. So different slots displace different examples, and every generator gets all classes.

    Parameters
    ----------
    definition : SuiteDefinition
    labels : int array, shape (N,)
        Given labels.
    train_rows : int array
        Indices of the train examples.
    seed : int
        Of the planting: the same for all slots, or their sources are not disjoint.
    slot, num_slots : int
        Which of the runs that are trained together this is.

    Returns
    -------
    ProbePlan
        Empty when the suite plants nothing. Equal for equal arguments.

    Raises
    ------
    InvalidInput
        When there are too few train examples for two probes per generator.
    """
    if not 0 <= slot < num_slots:
        raise InvalidInput(
            f"slot is {slot}; with {num_slots} slots it runs from 0 to {num_slots - 1}.", field="slot"
        )
    planted = [(number, g) for number, g in enumerate(definition.generators) if g.planted]
    counts = scaled_counts(definition, len(train_rows), num_slots=num_slots)
    sizes = [counts[number] for number, _ in planted]
    key = int(definition.digest()[:16], 16)
    order = _mixed_order(labels, np.sort(train_rows), np.random.default_rng([key, seed]))
    start = slot * sum(sizes)
    rng = np.random.default_rng([key, seed, slot])
    parts = []
    for (number, generator), size in zip(planted, sizes, strict=True):
        source = order[start : start + size]
        parts.append(_deal(generator, number, source, labels, num_classes, definition.fit_share, rng))
        start += size
    return _join(definition.generators, parts)


def scaled_counts(definition: SuiteDefinition, num_train: int, *, num_slots: int = 1) -> list[int]:
    """How many probes each generator gets on a train set of this size.

    The wished counts as long as the planted ones displace at most 15 % of the train examples in a run, and
    all slots together at most all of them; else every count, of planted and of selected ones, is scaled down
    alike. Where nothing is planted, all are scaled to that share.

    Raises
    ------
    InvalidInput
        When fewer than two probes of a generator remain.
    """
    wished = [generator.count for generator in definition.generators]
    planted = sum(generator.count for generator in definition.generators if generator.planted)
    room = num_train * min(DISPLACED_SHARE, 1 / num_slots)
    factor = min(1.0, room / max(planted or sum(wished), 1))
    counts = [int(count * factor) for count in wished]
    if counts and min(counts) < 2:
        raise InvalidInput(
            f"{num_train} train examples are too few for this suite: fewer than two probes of a category would "
            "remain. Use more examples, or a suite with fewer generators or known examples.",
            field="suite",
        )
    return counts


def assign_roles(categories: Words, fit_share: float, rng: np.random.Generator) -> Words:
    """Split each category at random into `fit` and `held_out`; the first of a category is always to fit.

    Shape (n,), in the order of `categories`.
    """
    roles = np.full(len(categories), "held_out", dtype="<U8")
    for category in np.unique(categories):
        members = rng.permutation(np.flatnonzero(categories == category))
        roles[members[: fit_count(len(members), fit_share)]] = "fit"
    return roles


def known_roles(categories: Words, definition: SuiteDefinition) -> Words:
    """The halves of known examples, or of the user's own, in the order of their index. By the suite's seed alone."""
    rng = np.random.default_rng([_KNOWN, definition.seed])
    return assign_roles(categories, definition.fit_share, rng)


def fit_count(num: int, fit_share: float) -> int:
    """How many of `num` probes are for fitting: the share rounded, at least one, all but one when there are two."""
    return min(max(1, round(num * fit_share)), max(1, num - 1))


def _mixed_order(labels: Labels, train_rows: Rows, rng: np.random.Generator) -> Rows:
    """Shuffled so that every stretch holds the classes in about their shares: each class is spread evenly."""
    given = np.asarray(labels)[train_rows]
    place = np.empty(len(train_rows))
    for label in np.unique(given):
        members = np.flatnonzero(given == label)
        place[rng.permutation(members)] = (np.arange(len(members)) + rng.random(len(members))) / len(members)
    return np.asarray(train_rows[np.argsort(place, kind="stable")], dtype=np.int64)


def _deal(
    generator: Generator,
    number: int,
    source: Rows,
    labels: Labels,
    num_classes: int,
    fit_share: float,
    rng: np.random.Generator,
) -> ProbePlan:
    category = np.full(len(source), generator.category)
    given = np.asarray(labels[source], dtype=np.int64)
    if generator.name == "flip":
        given = flip_labels(given, num_classes, rng)
    elif generator.name == "scramble":
        given = random_labels(len(source), num_classes, rng)
    role = assign_roles(category, fit_share, rng)
    return ProbePlan((generator,), np.full(len(source), number), source, category, role, given)


def _join(generators: tuple[Generator, ...], parts: list[ProbePlan]) -> ProbePlan:
    whole = np.zeros(0, dtype=np.int64)
    words = np.zeros(0, dtype=np.str_)
    return ProbePlan(
        generators,
        np.concatenate([whole, *(part.generator for part in parts)]),
        np.concatenate([whole, *(part.source_row for part in parts)]),
        np.concatenate([words, *(part.category for part in parts)]),
        np.concatenate([words, *(part.role for part in parts)]),
        np.concatenate([whole, *(part.label for part in parts)]),
    )
