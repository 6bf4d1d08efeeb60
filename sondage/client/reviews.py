"""⑤ Reviews of one tagging's sample, and the calibration that they give. Part of `client.taggings`."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field

from sondage.client.http import Http
from sondage.client.problems import checked
from sondage.wire import ReviewSample, ReviewSampleCreate, TaggingCalibration

COLUMNS = ("index", "key", "label_name", "suggested_label_name", "decision", "label", "note")
"""Of the file to fill in: `decision` is keep, relabel, exclude or unsure; `label` the right class of a relabel."""


@dataclass(frozen=True)
class Reviews:
    """`client.taggings.reviews(tagging)`."""

    tagging_id: int
    _http: Http = field(repr=False, compare=False)

    def draw(self, size: int = 100) -> ReviewSample:
        """Draw a stratified random sample of the ranking, or extend it to `size`.

        An extension goes where what was decided leaves most in doubt. Asked again with no larger size, the sample is
        the same.

        Raises
        ------
        Conflict
            The sample there is must be decided before it is extended; `unsure` is a decision too.
        """
        return self._http.post(
            ReviewSample, self._path("review-sample"), checked(ReviewSampleCreate, size=size)
        )

    def sample(self) -> ReviewSample:
        """What was drawn, in the order to review it in, with the decisions there are."""
        return self._http.get(ReviewSample, self._path("review-sample"))

    def calibrate(self) -> TaggingCalibration:
        """Estimate from the decisions on the sample.

        Raises
        ------
        Conflict
            With fewer than 30 decisions.
        """
        return self._http.post(TaggingCalibration, self._path("calibrate"))

    def calibration(self) -> TaggingCalibration:
        """The newest calibration.

        Raises
        ------
        NotFound
            Before there is any.
        """
        return self._http.get(TaggingCalibration, self._path("calibration"))

    def _path(self, *parts: object) -> str:
        return self._http.of_project("taggings", self.tagging_id, *parts)


def sample_csv(sample: ReviewSample) -> str:
    """The sample as a file to fill in, `COLUMNS`; decisions that are there are filled in already."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for one in sample.items:
        shown = (one.index, one.key, one.label_name, one.suggested_label_name or "", one.decision or "")
        writer.writerow([*shown, "", ""])
    return out.getvalue()
