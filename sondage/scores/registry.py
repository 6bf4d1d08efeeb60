"""⑤ All scores by name: what each needs and which end is bad."""

from __future__ import annotations

from collections.abc import Sequence

from sondage.curves import Curves
from sondage.errors import InvalidInput
from sondage.scores import aum, certainty, distance, label_odds, last_loss, learnability, mean_loss
from sondage.scores.base import Score, mean_over_runs
from sondage.types import PerRow

SCORES: dict[str, Score] = {
    module.SCORE.name: module.SCORE
    for module in (mean_loss, last_loss, aum, learnability, certainty, distance, label_odds)
}


def get_score(name: str) -> Score:
    """The method of this name."""
    if name not in SCORES:
        raise InvalidInput(f"There is no score {name!r}; there are: {', '.join(SCORES)}.", field="method")
    return SCORES[name]


def available(runs: Sequence[Curves]) -> list[Score]:
    """The methods whose channels all these runs have."""
    return [score for score in SCORES.values() if all(need in run for run in runs for need in score.needs)]


def score_runs(name: str, runs: Sequence[Curves]) -> PerRow:
    """One method, averaged per row over the runs in which the row was seen.

    Parameters
    ----------
    name : str
    runs : sequence of Curves
        With the same rows; cut to the examples, `take(slice(num_examples))`, when probes were made.

    Returns
    -------
    float32 array, shape (rows,)
        NaN where no run has the row.

    Raises
    ------
    InvalidInput
        For an unknown method, no runs, or a channel that was not recorded.
    """
    method = get_score(name)
    if not runs:
        raise InvalidInput("A score needs at least one run.", field="runs")
    return mean_over_runs([method(run) for run in runs])
