"""④ Examples of the user's own that are planted as probes: what they are, and the suite that they make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sondage.errors import InvalidInput
from sondage.probes.categories import Category
from sondage.probes.plan import known_roles
from sondage.probes.suite import Generator, SuiteDefinition


class TableRow(dict[str, Any]):
    """A row of a table, as the server holds it: whole or floating numbers, words, None where a category is missing."""


@dataclass(frozen=True)
class OwnExamples:
    """Inputs that the train set does not hold, each with the label that the training is told, and what it is.

    Parameters
    ----------
    inputs : sequence, length n
        In the form that the train set has: or uint8 pictures (height, width[, channels]), texts, vectors of floats,
        `TableRow` for a train set whose inputs are mappings of column to value.
    labels : sequence of int
        From 0, in the order of `class_names`, or else of the train set's classes.
    categories : sequence of str
    keys : sequence of str, optional
        The user's own ids; their numbers when not given.
    class_names : sequence of str, optional

    Raises
    ------
    InvalidInput
        The lengths differ, a key comes twice, or a label is no class number.
    """

    inputs: Sequence[Any]
    labels: Sequence[int]
    categories: Sequence[str]
    keys: Sequence[str] = ()
    class_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        keys = self.keys if len(self.keys) else range(len(self.inputs))
        object.__setattr__(self, "keys", [str(key) for key in keys])
        object.__setattr__(self, "labels", _class_numbers(self.labels))
        object.__setattr__(self, "categories", [str(category) for category in self.categories])
        lengths = {
            "inputs": len(self.inputs),
            "labels": len(self.labels),
            "categories": len(self.categories),
            "keys": len(self.keys),
        }
        if len(set(lengths.values())) > 1 or not len(self.inputs):
            raise InvalidInput(f"One of each is needed for every example; got {lengths}.", field="inputs")

    def __len__(self) -> int:
        return len(self.inputs)

    def suite(
        self,
        name: str,
        *,
        generators: Sequence[Generator] = (),
        categories: Sequence[Category] = (),
        seed: int = 0,
    ) -> OwnSuite:
        """A suite of them, for `sondage.torch.plant`. They stay on this machine.

        Parameters
        ----------
        generators : sequence of Generator
            Planted or chosen beside them.
        categories : sequence of Category
            Those of the user's own.
        seed : int
            Of the halves, fit and held out.

        Raises
        ------
        InvalidRows
            A category is not known, or a key comes twice.
        InvalidInput
            There are fewer than two categories to choose between.
        """
        told = json.dumps([list(self.keys), list(self.labels)])
        definition = SuiteDefinition(
            name,
            generators=tuple(generators),
            examples=tuple(zip(self.keys, self.categories, strict=True)),
            examples_fingerprint=f"local-{hashlib.sha256(told.encode()).hexdigest()}",
            categories=tuple(categories),
            seed=seed,
        )
        return OwnSuite(definition, self)


@dataclass(frozen=True)
class OwnSuite:
    """A suite with the user's own examples at hand. `suite_id` where it is on the server."""

    definition: SuiteDefinition
    examples: OwnExamples
    suite_id: int | None = None
    roles: Sequence[str] = ()
    """fit or held_out, in the order of the examples; drawn by the suite's seed when not given."""

    def __post_init__(self) -> None:
        if not len(self.roles):
            categories = np.array(self.examples.categories, dtype=np.str_)
            object.__setattr__(self, "roles", known_roles(categories, self.definition).tolist())

    def labels_in(self, class_names: Sequence[str] | None, num_classes: int) -> list[int]:
        """Labels as numbers of the classes that are trained: by name where both sides have names.

        Raises
        ------
        InvalidInput
            There is no such class.
        """
        names = self.examples.class_names
        number = {name: place for place, name in enumerate(class_names or ())}
        found = []
        for key, label in zip(self.examples.keys, self.examples.labels, strict=True):
            if names is not None and class_names is not None:
                name = names[label] if label < len(names) else str(label)
                if name not in number:
                    raise InvalidInput(
                        f"Example {key!r} is labelled {name!r}, which is none of class_names.", field="labels"
                    )
                label = number[name]
            elif label >= num_classes:
                raise InvalidInput(
                    f"Example {key!r} has the label {label}; there are {num_classes} classes (num_classes=).",
                    field="labels",
                )
            found.append(label)
        return found


def _class_numbers(labels: Sequence[int]) -> list[int]:
    given = np.asarray(labels)
    if given.ndim != 1 or given.dtype.kind not in "iu" or (len(given) and given.min() < 0):
        raise InvalidInput("labels are class numbers from 0, one for each example.", field="labels")
    return [int(label) for label in given]
