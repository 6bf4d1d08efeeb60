"""Samples to review, what they said of a tagging, and the decisions on examples."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, created_now, identity, of_project, one_of


class ReviewAsked(Base):
    """An example of the stratified sample that a tagging is calibrated by."""

    __tablename__ = "reviews_asked"
    __table_args__ = (UniqueConstraint("tagging_id", "place"),)

    tagging_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("taggings.id", ondelete="CASCADE"), primary_key=True
    )
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(Integer)
    """In the order to review in, from 0."""
    position: Mapped[int] = mapped_column(BigInteger)
    """In the suspicious list."""
    round: Mapped[int] = mapped_column(Integer)
    """Which extension of the sample it came with, from 0."""
    after_decision: Mapped[int] = mapped_column(BigInteger)
    """The dataset's newest decision when it was drawn, 0 without one."""


class CalibrationMade(Base):
    """What the reviews of a sample said of a tagging at one time. The newest version counts."""

    __tablename__ = "calibrations"

    tagging_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("taggings.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    newest_decision: Mapped[int] = mapped_column(BigInteger)
    """Of the dataset, when it was made: reviews up to it were counted."""
    summary: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """Estimates, top lists, knots of the curve; see `sondage/tagging/calibration_summary.py`."""
    created_at: Mapped[datetime] = created_now()


class Decision(Base):
    """What a reviewer said of one example. Append-only; the newest counts."""

    __tablename__ = "decisions"
    __table_args__ = (
        Index("ix_decisions__dataset_id_index", "dataset_id", "index", text("id DESC")),
        CheckConstraint(
            one_of("decision", ("keep", "relabel", "exclude", "unsure")), name="decision_is_known"
        ),
        CheckConstraint("(decision = 'relabel') = (label IS NOT NULL)", name="relabel_has_a_label"),
    )

    id: Mapped[int] = identity()
    project_id: Mapped[int] = of_project()
    dataset_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("datasets.id", ondelete="CASCADE"))
    index: Mapped[int] = mapped_column(BigInteger)
    decision: Mapped[str] = mapped_column(Text)
    label: Mapped[int | None] = mapped_column(Integer)
    note: Mapped[str] = mapped_column(Text, server_default="")
    reviewer: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = created_now()
