"""Taggings, what they looked at, and their tags."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, created_now, identity, of_project, one_of
from store.tables.runs import RUN_STATES


class Tagging(Base):
    """One application of one tagger to the curves of some runs against one suite."""

    __tablename__ = "taggings"
    __table_args__ = (
        CheckConstraint(one_of("state", RUN_STATES), name="state_is_known"),
        CheckConstraint(one_of("calibration", ("none", "probes", "reviews")), name="calibration_is_known"),
    )

    id: Mapped[int] = identity()
    project_id: Mapped[int] = of_project()
    dataset_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("datasets.id", ondelete="RESTRICT"), index=True
    )
    suite_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("suites.id", ondelete="RESTRICT"), index=True
    )
    tagger: Mapped[str] = mapped_column(Text)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    categories: Mapped[list[str]] = mapped_column(JSONB)
    """In the order of `tags.probabilities`; `tags.tag` counts from 0, −1 is `unsure`. Empty until finished."""
    calibration: Mapped[str] = mapped_column(Text)
    report: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = created_now()
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class TaggingRun(Base):
    """Which runs a tagging looked at, in order."""

    __tablename__ = "tagging_runs"

    tagging_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("taggings.id", ondelete="CASCADE"), primary_key=True
    )
    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    position: Mapped[int] = mapped_column(Integer)


class TaggingProbe(Base):
    """A probe that a tagging used: planted in the run, selected after training, or uploaded."""

    __tablename__ = "tagging_probes"
    __table_args__ = (CheckConstraint(one_of("role", ("fit", "held_out")), name="role_is_known"),)

    tagging_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("taggings.id", ondelete="CASCADE"), primary_key=True
    )
    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    row: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    category: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    source_row: Mapped[int | None] = mapped_column(BigInteger)
    """As in `run_probes`."""


class Tag(Base):
    """What one tagging says of one example."""

    __tablename__ = "tags"
    __table_args__ = (
        Index("ix_tags__tagging_id_position", "tagging_id", "position"),
        Index("ix_tags__tagging_id_tag_position", "tagging_id", "tag", "position"),
        # Without the position its entries are alike, and Postgres keeps equal ones once: a quarter of the size, and a
        # quarter less of a tagging's time in the database. The few tags of a class are sorted as they are read. The
        # index by tag has the position: categories at the list's end would be read past all of it.
        Index("ix_tags__tagging_id_label", "tagging_id", "label"),
    )

    tagging_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """No foreign key: it would look the tagging up for every row, which took half of the time of writing 200,000 tags
    (6.0 s with it, 3.0 s without). A trigger of the migration deletes tags with their tagging; who writes them locks
    the tagging first."""
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger)
    """Place in the suspicious list, 0 worst; ties in suspicion are broken by the mean loss."""
    tag: Mapped[int] = mapped_column(SmallInteger)
    suspicion: Mapped[float | None] = mapped_column(REAL)
    """0…1, 1 is bad; null where the example was never trained on (other splits, displaced in all runs)."""
    label: Mapped[int] = mapped_column(Integer)
    suggested_label: Mapped[int | None] = mapped_column(Integer)
    displaced: Mapped[bool] = mapped_column(Boolean)
    probabilities: Mapped[list[float] | None] = mapped_column(ARRAY(REAL))
    runs_trained: Mapped[int | None] = mapped_column(SmallInteger)
    """Runs of the tagging that trained the example; null in taggings from before this was counted."""
    runs_agreeing: Mapped[int | None] = mapped_column(SmallInteger)
    """Those of them whose votes alone give this tag."""
