"""⑥ Curves, one by one and as bands."""

from __future__ import annotations

from pydantic import Field

from sondage.wire.bodies import Answer


class Curve(Answer):
    """One channel of one row; null where the row was not seen."""

    row: int
    values: list[float | None]


class Curves(Answer):
    run_id: int
    channel: str
    epochs: int
    curves: list[Curve]


class Band(Answer):
    """Per epoch, quantiles of a category's probe curves."""

    category: str
    low: list[float | None] = Field(description="10 %")
    median: list[float | None]
    high: list[float | None] = Field(description="90 %")
