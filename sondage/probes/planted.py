"""④ A planted probe, as a run is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sondage.probes.own import OwnSuite
from sondage.probes.plan import ProbePlan
from sondage.types import Rows


@dataclass(frozen=True)
class PlantedProbe:
    """A row of a run that was made, and what it stands for.

    Parameters
    ----------
    row : int
        N or above.
    category, role : str
    source_row : int or None
        The example it was made from, whose place it takes; None for one of the user's own, which takes nobody's.
    label : int
        The label the training is told.
    generator : str
    example_index : int, optional
        Of the user's own: its place among the suite's on the server.
    """

    row: int
    category: str
    role: str
    source_row: int | None
    label: int
    generator: str
    example_index: int | None = None

    def as_dict(self) -> dict[str, int | str | None]:
        """As it is sent: an example_index only where there is one."""
        told = asdict(self)
        return {name: value for name, value in told.items() if name != "example_index" or value is not None}


OWN = "own"
"""Stands where another probe has its generator."""


def planted_examples(suite: OwnSuite, labels: Sequence[int], first_row: int) -> list[PlantedProbe]:
    """The user's own examples from this row on, with these labels."""
    return [
        PlantedProbe(
            row=first_row + place,
            category=suite.examples.categories[place],
            role=str(suite.roles[place]),
            source_row=None,
            label=label,
            generator=OWN,
            example_index=None if suite.suite_id is None else place,
        )
        for place, label in enumerate(labels)
    ]


def planted_probes(plan: ProbePlan, rows: Rows, num_examples: int) -> list[PlantedProbe]:
    """The probes of a plan over a part of a dataset: `rows` says where each of its examples is in the whole."""
    return [
        PlantedProbe(
            row=num_examples + position,
            category=str(plan.category[position]),
            role=str(plan.role[position]),
            source_row=int(rows[plan.source_row[position]]),
            label=int(plan.label[position]),
            generator=plan.generators[int(plan.generator[position])].name,
        )
        for position in range(len(plan))
    ]
