"""⑤ How many labels are wrong if real errors are like this or that family of flips: the ends of a range.

One number needs to know what errors are like, which curves alone do not tell: a hard example that is right and an error
that people make because it is hard look alike. Each family names its assumption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sondage.curves import NOT_SEEN
from sondage.probes.plan import NO_SOURCE
from sondage.probes.suite import SuiteDefinition
from sondage.scores.base import mean_over_runs
from sondage.tagging.prepare import Prepared
from sondage.tagging.probe_calibration import (
    FEWEST_PROBES,
    ProbeCalibration,
    RunScores,
    calibrate_by_probes,
)
from sondage.tagging.suggest import most_frequent_other
from sondage.types import AnyArray, Mask, Rows

FIRST_LOOK, LAST_LOOK = 1 / 6, 1 / 3
"""Of the epochs: late enough that a model says something, early enough that it has not yet memorised its labels."""
UNIFORM = "True if errors are like labels flipped at random, whatever the input: as by a slip of the hand."
LIKELY = (
    "True if errors are like flips to the class that the model finds likeliest beside the given one: as by people who "
    "mistake one class for another, on any input."
)
HABIT = (
    "True if classes that are merely alike are confused as often one way as the other, so that what goes one way only "
    "among the worst tenth is wrong: as by people who label one class as another by habit."
)
CEILING = (
    "True if everything is wrong that the model called otherwise early in the training, and if no more errors escape "
    "it so than are caught. Hard examples that are right count as wrong here."
)
NO_PREDICTION = (
    "True whatever errors are like: no prediction was recorded in these runs, so nothing bounds how many labels are "
    "wrong. Record the channel `predicted`."
)
MOST_CAUGHT = 0.5
"""Flips are caught more often than errors that a model makes as people do: on development cells .5 to 1 of the likely
flips, and of wrong labels by simulated annotators and weak models .1 to .7."""


@dataclass(frozen=True)
class Family:
    """One assumption and the share of wrong labels under it.

    Parameters
    ----------
    name : {"uniform", "likely", "habit", "ceiling"}
    share : float
        0…1, of the examples.
    num_flips : int
        What it was estimated from.
    assumption : str
    """

    name: str
    share: float
    num_flips: int
    assumption: str


@dataclass(frozen=True)
class Contradiction:
    """What the model called otherwise, early in the training.

    Parameters
    ----------
    examples : float array, shape (N,)
        0 or 1, or between where runs differ; NaN where no run that trained the example tells.
    share : float
        Its mean.
    of_flips : float
        The same of flips to the likeliest class, or of all flips where these are too few.
    """

    examples: AnyArray
    share: float
    of_flips: float

    @property
    def ceiling(self) -> float:
        """Share of wrong labels, if at least so many of them are caught."""
        caught = min(self.of_flips, MOST_CAUGHT)
        return min(1.0, self.share / caught) if caught else 1.0


def flip_rows(run: Prepared, definition: SuiteDefinition) -> Mask:
    """Which of a run's probes are flips that were planted in the place of an example. Shape (probes,)."""
    names = [one.category for one in definition.generators if one.name == "flip"]
    made = (run.probes.row >= len(run.trained)) & (run.probes.source_row != NO_SOURCE)
    return np.asarray(made & np.isin(run.probes.category, names))


def likely_flips(runs: Sequence[Prepared], flips: Sequence[Mask]) -> list[Mask]:
    """Of the flips of each run those whose label the *other* runs predict most often beside the source's own.

    Sources whose own label the others do not believe are left out: their flips may be right. Shapes (probes,); none of
    them where there is no other run, or no prediction.
    """
    return [
        _likely_of_run(run, mine, [*runs[:number], *runs[number + 1 :]])
        for number, (run, mine) in enumerate(zip(runs, flips, strict=True))
    ]


def contradiction(runs: Sequence[Prepared], flips: Sequence[Mask], likely: Sequence[Mask]) -> Contradiction:
    """Of the examples and of the flips, what the model predicted otherwise in at least half of its early epochs."""
    said = [_contradicted(run) for run in runs]
    num = len(runs[0].trained)
    examples = mean_over_runs(
        [np.where(run.trained, of_run[:num], np.nan) for run, of_run in zip(runs, said, strict=True)]
    )
    chosen = likely if sum(int(mask.sum()) for mask in likely) >= FEWEST_PROBES else flips
    of_flips = np.concatenate(
        [of_run[run.probes.row[mask]] for run, of_run, mask in zip(runs, said, chosen, strict=True)]
    )
    return Contradiction(examples, _mean(examples), _mean(of_flips))


def families(
    found: ProbeCalibration,
    scores: Sequence[RunScores],
    likely: Sequence[AnyArray],
    told: Contradiction | None,
    share_by_habit: float = 0.0,
) -> list[Family]:
    """The families that there are enough probes for, from few assumptions on to the widest.

    Parameters
    ----------
    found : ProbeCalibration
        By all flips.
    scores : sequence of RunScores
        What it was found by.
    likely : sequence of float arrays
        Scores of the likely flips alone, per run.
    told : Contradiction, optional
        Not where no prediction was recorded: then the ceiling is 1.
    share_by_habit : float
        Mean of P(wrong) by one-way pairs, and by flips where these tell; 0 where no pair goes one way.
    """
    out = [Family("uniform", found.share_wrong, found.num_flips, UNIFORM)]
    num_likely = sum(len(of_run) for of_run in likely)
    if num_likely >= FEWEST_PROBES:
        restricted = [replace(run, flips=of_run) for run, of_run in zip(scores, likely, strict=True)]
        # Of sources that are believed: their flips are wrong, so nothing is to be corrected.
        by_likely = calibrate_by_probes(restricted, num_classes=found.num_classes).like_flips
        out.append(Family("likely", min(1.0, by_likely), num_likely, LIKELY))
    if share_by_habit > 0:
        out.append(Family("habit", share_by_habit, found.num_flips, HABIT))
    if told is None:
        return [*out, Family("ceiling", 1.0, found.num_flips, NO_PREDICTION)]
    highest = max(told.ceiling, *(family.share for family in out))
    return [*out, Family("ceiling", highest, num_likely or found.num_flips, CEILING)]


def _likely_of_run(run: Prepared, flips: Mask, others: Sequence[Prepared]) -> Mask:
    out = np.zeros(len(flips), dtype=bool)
    telling = [other for other in others if "predicted" in other.curves]
    chosen = np.flatnonzero(flips)
    if not telling or not len(chosen):
        return out
    source = run.probes.source_row[chosen]
    given = run.labels[source]
    predicted = [other.curves["predicted"][source] for other in telling]
    trained = [other.trained[source] for other in telling]
    likeliest, lead = most_frequent_other(predicted, given, trained)
    out[chosen] = (likeliest == run.labels[run.probes.row[chosen]]) & (lead <= 0)
    return out


def _contradicted(run: Prepared) -> AnyArray:
    """1 where another class was predicted in at least half of the early epochs, else 0; NaN where none is known."""
    early = run.curves["predicted"][:, _early(run.curves.num_epochs)]
    known = (early != NOT_SEEN).sum(axis=1)
    other = ((early != NOT_SEEN) & (early != np.asarray(run.labels)[:, None])).sum(axis=1)
    return np.where(known > 0, (2 * other >= known).astype(np.float64), np.nan)


def _early(num_epochs: int) -> slice:
    first = max(1, int(num_epochs * FIRST_LOOK)) if num_epochs > 1 else 0
    return slice(first, max(first + 1, int(num_epochs * LAST_LOOK) + 1))


def _mean(values: AnyArray | Rows) -> float:
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else 0.0
