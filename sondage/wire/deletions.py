"""⑥ What was deleted, and what stands in the way."""

from __future__ import annotations

from typing import Literal

from sondage.wire.bodies import Answer


class Dependant(Answer):
    """Something that cannot stay when another thing is deleted."""

    kind: Literal["run", "suite", "tagging", "score"]
    id: int
    name: str


class Deleted(Answer):
    """What was deleted, or with `dry_run` what would be."""

    kind: str
    id: int
    dependants: list[Dependant]
    dry_run: bool = False
