"""⑤ Calibration by reviews: a stratified sample to decide on, and what the decisions say of the whole ranking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter
from sqlalchemy.orm import Session

from app.api.problems import problems
from app.api.tag_views import TagView
from app.api.taggings import finished_tagging
from app.deps import Number, ReadProject, ReviewProject, ServerDep, SessionDep
from sondage.errors import Conflict, NotFound
from sondage.tagging.calibrate import calibrate_by_reviews
from sondage.tagging.calibration_summary import summarise
from sondage.tagging.review_sample import Strata, draw, first_allocation, next_allocation
from sondage.types import Rows
from sondage.wire import ReviewSample, ReviewSampleCreate, SampledTag, TaggingCalibration
from store import reviews, tags
from store import tables as t

router = APIRouter(prefix="/taggings/{tagging_id}", tags=["reviews"], responses=problems(409))
FEWEST_REVIEWS = 30
"""Fewer leave intervals so wide that they say nothing."""


@router.get("/review-sample")
def get_review_sample(
    project: ReadProject, session: SessionDep, server: ServerDep, tagging_id: Number
) -> ReviewSample:
    """The sample that was drawn, in the order to review it in, with the decisions there are; empty before."""
    return _answer(TagView.open(session, server, project, tagging_id))


@router.post("/review-sample")
def draw_review_sample(
    body: ReviewSampleCreate,
    project: ReviewProject,
    session: SessionDep,
    server: ServerDep,
    tagging_id: Number,
) -> ReviewSample:
    """Draw a stratified sample, or extend it to `size`; asked for no more than there is, nothing changes.

    An extension goes where what was decided leaves most in doubt; so it is refused with 409 until all of the sample is
    decided.
    """
    view = TagView.open(session, server, project, tagging_id)
    reviews.hold(session, tagging_id=tagging_id)
    sample = reviews.asked(session, tagging_id=tagging_id)
    num_ranked = reviews.num_ranked(session, tagging_id=tagging_id)
    if len(sample) < min(body.size, num_ranked):
        _extend(session, view.tagging, sample, Strata.over(num_ranked), body.size)
    return _answer(view)


@router.post("/calibrate")
def calibrate(
    project: ReviewProject, session: SessionDep, server: ServerDep, tagging_id: Number
) -> TaggingCalibration:
    """Estimate from the decisions on the sample; 409 while there are too few. Takes a fraction of a second."""
    view = TagView.open(session, server, project, tagging_id)
    reviews.hold(session, tagging_id=tagging_id)
    strata = Strata.over(reviews.num_ranked(session, tagging_id=tagging_id))
    found = reviews.counted(session, tagging=view.tagging, edges=strata.edges)
    if len(found.position) < min(FEWEST_REVIEWS, strata.num_examples):
        raise Conflict(
            f"{len(found.position)} decisions of the sample count so far; {FEWEST_REVIEWS} at least are needed. Draw "
            f"one (POST /taggings/{tagging_id}/review-sample) and decide on its examples."
        )
    made = calibrate_by_reviews(strata, found.position, found.wrong, seed=tagging_id)
    summary = summarise(made) | {"num_unsure": found.num_unsure, "num_open": found.num_open}
    summary["warnings"] = _warnings(found)
    saved = reviews.save(session, tagging=view.tagging, newest=found.newest_decision, summary=summary)
    return _calibration(session, view.tagging, saved)


@router.get("/calibration")
def get_calibration(project: ReadProject, session: SessionDep, tagging_id: Number) -> TaggingCalibration:
    """The newest one by reviews; 404 before there is any. What probes say is in the report, as `wrong_labels`."""
    tagging = finished_tagging(session, project, tagging_id)
    made = reviews.latest(session, tagging_id=tagging.id)
    if made is None:
        raise NotFound(
            f"Tagging {tagging.id} is not calibrated by reviews: draw a sample of 100, decide on it, and calibrate."
        )
    return _calibration(session, tagging, made)


def _extend(
    session: Session, tagging: t.Tagging, sample: Sequence[t.ReviewAsked], strata: Strata, size: int
) -> None:
    position = np.array([one.position for one in sample], dtype=np.int64)
    taken = np.bincount(strata.of(position), minlength=len(strata.sizes)).astype(np.int64)
    wanted = _allocation(session, tagging, strata, size, taken)
    drawn = draw(strata, wanted, seed=tagging.id, taken=taken)
    reviews.ask(
        session,
        tagging=tagging,
        positions=drawn.position.tolist(),
        round_=max((one.round for one in sample), default=-1) + 1,
        first_place=len(sample),
    )


def _allocation(session: Session, tagging: t.Tagging, strata: Strata, size: int, taken: Rows) -> Rows:
    if not taken.any():
        return first_allocation(strata, size)
    found = reviews.counted(session, tagging=tagging, edges=strata.edges)
    if found.num_open:
        raise Conflict(
            f"{found.num_open} of the {int(taken.sum())} examples of the sample are not decided yet; more are drawn by "
            "what was decided. `unsure` is a decision too."
        )
    so_far = calibrate_by_reviews(strata, found.position, found.wrong, seed=tagging.id)
    return next_allocation(strata, size, taken, so_far.uncertainty())


def _answer(view: TagView) -> ReviewSample:
    sample = reviews.asked(view.session, tagging_id=view.tagging.id)
    if not sample:
        return ReviewSample(tagging_id=view.tagging.id, size=0, num_decided=0, items=[])
    strata = Strata.over(reviews.num_ranked(view.session, tagging_id=view.tagging.id))
    stratum = strata.of(np.array([one.position for one in sample], dtype=np.int64))
    inclusion = (np.bincount(stratum, minlength=len(strata.sizes)) / strata.sizes)[stratum]
    found = tags.of_indices(view.session, tagging_id=view.tagging.id, indices=[one.index for one in sample])
    items = [
        SampledTag(**tag.model_dump(), place=one.place, round=one.round, inclusion=float(chance))
        for tag, one, chance in zip(view.answers(found), sample, inclusion, strict=True)
    ]
    num_decided = sum(item.decision is not None for item in items)
    return ReviewSample(tagging_id=view.tagging.id, size=len(items), num_decided=num_decided, items=items)


def _calibration(session: Session, tagging: t.Tagging, made: t.CalibrationMade) -> TaggingCalibration:
    newer = reviews.num_decisions_after(session, dataset_id=tagging.dataset_id, number=made.newest_decision)
    return TaggingCalibration.model_validate(
        made.summary
        | {
            "tagging_id": tagging.id,
            "version": made.version,
            "num_newer_decisions": newer,
            "created_at": made.created_at,
        }
    )


def _warnings(found: reviews.Reviews) -> list[str]:
    warnings = []
    if found.num_open:
        warnings.append(
            f"{found.num_open} examples of the sample are not decided: they are taken to be like those near them that "
            "are. Decide on all of them, in their order, and calibrate again."
        )
    if found.num_unsure > 0.1 * max(1, len(found.position)):
        warnings.append(
            f"{found.num_unsure} reviews are unsure and left out: the numbers are of labels that can be judged."
        )
    return warnings
