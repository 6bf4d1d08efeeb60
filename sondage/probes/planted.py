"""④ A planted probe, as a run is told of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

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
    source_row : int
        The example it was made from, whose place it takes.
    label : int
        The label the training is told.
    generator : str
    """

    row: int
    category: str
    role: str
    source_row: int
    label: int
    generator: str

    def as_dict(self) -> dict[str, int | str]:
        return asdict(self)


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
