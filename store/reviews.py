"""⑤ Reviews: the stratified sample a tagging is calibrated by, the decisions on it that count, what they said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from store import decisions
from store.tables import CalibrationMade, Decision, ReviewAsked, Tag, Tagging

WRONG = {"relabel": True, "exclude": True, "keep": False}
"""Which decision says that the given label is wrong; `unsure` says nothing."""


@dataclass(frozen=True)
class Reviews:
    """The outcomes that count.

    Parameters
    ----------
    position : int64 array, shape (n,)
        In the suspicious list.
    wrong : bool array, shape (n,)
    num_unsure, num_open : int
        Of the sample: left out as undecidable, and not decided yet (or decided before it was asked for).
    newest_decision : int
    """

    position: NDArray[np.int64]
    wrong: NDArray[np.bool_]
    num_unsure: int
    num_open: int
    newest_decision: int


def num_ranked(session: Session, *, tagging_id: int) -> int:
    """How many tags have a suspicion: positions 0 to that number are the ranking."""
    statement = select(func.count()).select_from(Tag)
    return session.scalar(statement.where(Tag.tagging_id == tagging_id, Tag.suspicion.is_not(None))) or 0


def asked(session: Session, *, tagging_id: int) -> Sequence[ReviewAsked]:
    """The sample, in the order to review it in."""
    statement = select(ReviewAsked).where(ReviewAsked.tagging_id == tagging_id)
    return session.scalars(statement.order_by(ReviewAsked.place)).all()


def hold(session: Session, *, tagging_id: int) -> None:
    """Only one extends the sample or calibrates at a time."""
    session.execute(select(Tagging.id).where(Tagging.id == tagging_id).with_for_update(key_share=True))


def ask(
    session: Session, *, tagging: Tagging, positions: Sequence[int], round_: int, first_place: int
) -> None:
    """Add the examples at these positions to the sample."""
    statement = select(Tag.position, Tag.index).where(
        Tag.tagging_id == tagging.id, Tag.position.in_(positions)
    )
    index: dict[int, int] = {row[0]: row[1] for row in session.execute(statement)}
    after = newest_decision(session, dataset_id=tagging.dataset_id)
    rows = [
        {
            "tagging_id": tagging.id,
            "index": index[position],
            "place": first_place + place,
            "position": position,
            "round": round_,
            "after_decision": after,
        }
        for place, position in enumerate(positions)
    ]
    if rows:
        session.execute(insert(ReviewAsked), rows)


def newest_decision(session: Session, *, dataset_id: int) -> int:
    """The number of the dataset's newest decision, 0 without one."""
    return session.scalar(select(func.max(Decision.id)).where(Decision.dataset_id == dataset_id)) or 0


def counted(session: Session, *, tagging: Tagging, edges: NDArray[np.int64]) -> Reviews:
    """The decisions that say something of the whole ranking.

    Those of the sample count. One that was made before its example was asked for counts when its round is complete:
    until then such decisions, often made on the worst of the list, would stand for those that are still open. Of
    decisions outside of the sample only those of strata in which every example is decided count; others were chosen
    by whoever made them, and would bias every number.
    """
    sample = asked(session, tagging_id=tagging.id)
    newest = newest_decision(session, dataset_id=tagging.dataset_id)
    found = decisions.newest(session, dataset_id=tagging.dataset_id, indices=[one.index for one in sample])
    open_rounds = {one.round for one in sample if one.index not in found}
    words: dict[int, str] = {}
    num_open = 0
    for one in sample:
        decision = found.get(one.index)
        if decision is None or (one.round in open_rounds and decision.id <= one.after_decision):
            num_open += 1
        else:
            words[one.position] = decision.decision
    num_unsure = sum(word not in WRONG for word in words.values())
    words |= _whole_strata(session, tagging, edges)
    certain = {position: WRONG[word] for position, word in words.items() if word in WRONG}
    return Reviews(
        np.array(list(certain), dtype=np.int64),
        np.array(list(certain.values()), dtype=bool),
        num_unsure,
        num_open,
        newest,
    )


def _whole_strata(session: Session, tagging: Tagging, edges: NDArray[np.int64]) -> dict[int, str]:
    """Per position the decision, of strata that are decided throughout."""
    newest_ones = decisions.newest_words(dataset_id=tagging.dataset_id).subquery()
    statement = (
        select(Tag.position, newest_ones.c.decision)
        .join(newest_ones, newest_ones.c.index == Tag.index)
        .where(Tag.tagging_id == tagging.id, Tag.position < int(edges[-1]))
    )
    words: dict[int, str] = {row[0]: row[1] for row in session.execute(statement)}
    positions = np.fromiter(words, np.int64)
    whole = np.histogram(positions, edges)[0] == np.diff(edges)
    stratum = np.searchsorted(edges, positions, side="right") - 1
    return {position: words[position] for position in positions[whole[stratum]].tolist()}


def save(session: Session, *, tagging: Tagging, newest: int, summary: dict[str, Any]) -> CalibrationMade:
    """A new version; from now on the tagging is calibrated by reviews."""
    before = latest(session, tagging_id=tagging.id)
    made = CalibrationMade(
        tagging_id=tagging.id,
        version=1 if before is None else before.version + 1,
        newest_decision=newest,
        summary=summary,
    )
    session.add(made)
    session.execute(update(Tagging).where(Tagging.id == tagging.id).values(calibration="reviews"))
    session.flush()
    session.refresh(made)
    return made


def latest(session: Session, *, tagging_id: int) -> CalibrationMade | None:
    """The version that counts."""
    statement = select(CalibrationMade).where(CalibrationMade.tagging_id == tagging_id)
    return session.scalars(statement.order_by(CalibrationMade.version.desc()).limit(1)).one_or_none()


def num_decisions_after(session: Session, *, dataset_id: int, number: int) -> int:
    """Decisions on a dataset that are newer than this one."""
    statement = select(func.count()).select_from(Decision)
    return session.scalar(statement.where(Decision.dataset_id == dataset_id, Decision.id > number)) or 0
