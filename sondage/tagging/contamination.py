"""⑤ Were the examples that probes are made of wrongly labelled before? Then probes are not what they are called.

Of a wrongly labelled source, a flip may hit the true label: a `noisy` probe that is right; and what was only damaged
carries a wrong label besides. Both teach the tagger the wrong curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sondage.probes.plan import NO_SOURCE
from sondage.probes.suite import Category
from sondage.tagging.per_class import SUSPECT_ABOVE
from sondage.tagging.prepare import Prepared
from sondage.tagging.shares import interval
from sondage.types import Mask, PerRow, Probabilities, Rows

MOST_WRONG = 0.1
"""Of the sources, and of the flips: 90 % bound. From there on a tenth of a category's probes stands for another."""
CLEAN_FIRST = (
    "Review the top of the list, train and tag a cleaned version, or tag by known examples of your own."
)


@dataclass(frozen=True)
class Contamination:
    """What is known of the sources of made probes.

    Parameters
    ----------
    num_sources, num_suspects : int
        Sources that another run trained as they were, and those of them that it suspects.
    num_agreed : int
        Flips of these whose label is the one that the other runs suggest for the source: the flip hit the truth, if
        they are right.
    num_flips, num_look_right : int
        Held-out flips of all runs, and those of them with the tag of learned, right examples (`prototypical`).
    """

    num_sources: int
    num_suspects: int
    num_agreed: int
    num_flips: int
    num_look_right: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "num_sources": self.num_sources,
            "share_suspect": _share(self.num_suspects, self.num_sources),
            "num_flips_as_suggested": self.num_agreed,
            "num_flips": self.num_flips,
            "share_look_right": _share(self.num_look_right, self.num_flips),
        }

    @property
    def warnings(self) -> list[str]:
        found = []
        if _least(self.num_suspects, self.num_sources) > MOST_WRONG:
            share = self.num_suspects / self.num_sources
            found.append(
                f"{share:.0%} of the examples that probes were made of looked wrong before, by the runs that trained "
                f"them as they were: so many damaged probes may carry a wrong label too, and {self.num_agreed} flips "
                f"hit the label that these runs suggest. {CLEAN_FIRST}"
            )
        if _least(self.num_look_right, self.num_flips) > MOST_WRONG:
            share = self.num_look_right / self.num_flips
            found.append(
                f"{share:.0%} of the held-out flips look like right labels (tag prototypical). Either the flip hit the "
                "true label of an example that was wrong before, which is likely with few classes and many errors, or "
                f"the training learned wrong labels as fast as right ones. {CLEAN_FIRST}"
            )
        return found


def contamination(
    runs: Sequence[Prepared],
    votes: Sequence[Probabilities],
    categories: Sequence[Category],
    suspicion: PerRow,
    suggested: Rows,
    displaced: Mask,
) -> Contamination:
    """Count, over all runs.

    Parameters
    ----------
    runs, votes
        Per run with the probabilities of its probes, shape (probes, categories).
    suspicion, suggested, displaced : arrays, shape (N,)
        Of the examples, by all runs; displaced where no run trained it.
    """
    num_examples = len(suspicion)
    sources = suspects = agreed = flips = look_right = 0
    names = [category.name for category in categories]
    wrong = [category.name for category in categories if category.wrong_label]
    right = names.index("prototypical") if "prototypical" in names else -1
    for run, of_probes in zip(runs, votes, strict=True):
        probes = run.probes
        made = (probes.row >= num_examples) & (probes.source_row != NO_SOURCE)
        flip = made & np.isin(probes.category, wrong)
        tested = flip & (probes.role == "held_out")
        flips += int(tested.sum())
        look_right += int((of_probes[tested].argmax(axis=1) == right).sum()) if tested.any() else 0
        row, source, flip = probes.row[made], probes.source_row[made], flip[made]
        known = np.isfinite(suspicion[source]) & ~displaced[source]
        looked_wrong = known & (suspicion[source] > SUSPECT_ABOVE)
        sources += int(known.sum())
        suspects += int(looked_wrong.sum())
        hit = looked_wrong & flip & (np.asarray(run.labels)[row] == suggested[source])
        agreed += int(hit.sum())
    return Contamination(sources, suspects, agreed, flips, look_right)


def _least(part: int, whole: int) -> float:
    return float(interval(np.array(part), np.array(whole))[0])


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
