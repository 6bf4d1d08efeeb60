"""⑤ Which tags say that a label is wrong, at the threshold that is asked for, and how far to trust them there.

P(wrong) along the list is kept with the tagging, by its planted flips, or with its newest calibration by reviews. So
the threshold is a matter of reading: the list, its counts, files and single tags all go by the one of their request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from sondage.errors import InvalidInput
from sondage.tagging.calibration_summary import probability_wrong
from sondage.tagging.cut import THRESHOLD, Cut, cut_at
from sondage.wire import ThresholdEffect
from store import reviews
from store import tables as t
from store.moved_tags import Moved


@dataclass(frozen=True)
class TagThreshold:
    """One tagging at one threshold.

    Parameters
    ----------
    estimate : mapping, optional
        P(wrong) along the list: of the newest reviews, or else what the tagging itself found. None for a tagger that
        only votes.
    calibration : str
        Of the tagging: `none`, `probes` or `reviews`.
    threshold : float, optional
        None for tags by votes.
    moved : Moved, optional
        Where tags differ from those that were written.
    """

    estimate: Mapping[str, Any] | None
    calibration: str
    threshold: float | None
    moved: Moved | None

    @classmethod
    def of(cls, session: Session, tagging: t.Tagging, asked: float | None) -> TagThreshold:
        """Without a threshold the tags are those that were written, unless reviews know better since.

        Raises
        ------
        InvalidInput
            A threshold where nothing says how likely a label is wrong.
        """
        report = tagging.report or {}
        written = report.get("wrong_labels")
        reviewed = reviews.latest(session, tagging_id=tagging.id)
        estimate = written if reviewed is None else reviewed.summary
        if asked is not None and estimate is None:
            raise InvalidInput(
                f"Tagging {tagging.id} ({tagging.tagger}) only votes, so there is nothing to hold a threshold against: "
                "review a sample of 100 and calibrate, or tag again with the tagger evidence.",
                field="threshold",
            )
        if estimate is None or (asked is None and written is None):
            return cls(estimate, tagging.calibration, None, None)
        threshold = THRESHOLD if asked is None else asked
        as_written = written is not None and reviewed is None and threshold == written["threshold"]
        moved = None if as_written else _moved(_cut(estimate, threshold), report, tagging)
        return cls(estimate, tagging.calibration, threshold, moved)

    @property
    def moves(self) -> bool:
        """Tags may differ from those that were written."""
        return self.moved is not None and bool(self.moved.wrong)

    def number(self, tag: t.Tag) -> int:
        """The category that a tag counts as; −1 is `unsure`."""
        return tag.tag if self.moved is None else self.moved.of(tag)

    def chances(self, found: Sequence[t.Tag]) -> list[float | None]:
        """P(wrong); None without a calibration, and for examples that are not ranked."""
        if self.calibration == "none" or self.estimate is None:
            return [None] * len(found)
        positions = np.array([tag.position for tag in found], dtype=np.int64)
        chances = probability_wrong(self.estimate, positions).tolist()
        return [
            None if tag.suspicion is None else round(chance, 5)
            for tag, chance in zip(found, chances, strict=True)
        ]

    def effect(self) -> ThresholdEffect | None:
        """In numbers; None for tags by votes."""
        if self.estimate is None or self.threshold is None:
            return None
        cut = _cut(self.estimate, self.threshold)
        return ThresholdEffect(
            threshold=cut.threshold,
            num_wrong=cut.num,
            precision=cut.precision,
            precision_low=cut.precision_low,
            precision_high=cut.precision_high,
            recall=cut.recall,
        )


def _cut(estimate: Mapping[str, Any], threshold: float) -> Cut:
    return cut_at(estimate, threshold, int(estimate["num_examples"]))


def _moved(cut: Cut, report: Mapping[str, Any], tagging: t.Tagging) -> Moved:
    wrong_label = {one["name"]: one["wrong_label"] for one in report.get("categories", [])}
    wrong = [number for number, name in enumerate(tagging.categories) if wrong_label.get(name)]
    others = [number for number in range(len(tagging.categories)) if number not in wrong]
    return Moved(cut.ranges, tuple(wrong), tuple(others))
