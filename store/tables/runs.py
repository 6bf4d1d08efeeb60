"""Runs and the rows in them whose category is known."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, created_now, identity, of_project, one_of

RUN_STATES = ("queued", "running", "finished", "failed", "aborted")


class Run(Base):
    """One training over one dataset version, with planted probes."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        CheckConstraint(one_of("state", RUN_STATES), name="state_is_known"),
        CheckConstraint("num_epochs > 0", name="num_epochs_is_positive"),
        CheckConstraint("num_rows >= 0", name="num_rows_is_not_negative"),
    )

    id: Mapped[int] = identity()
    project_id: Mapped[int] = of_project()
    dataset_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("datasets.id", ondelete="RESTRICT"), index=True
    )
    suite_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("suites.id", ondelete="RESTRICT"), index=True
    )
    """The suite whose probes are planted; none for a bare recording."""
    name: Mapped[str] = mapped_column(Text)
    recipe: Mapped[dict[str, Any]] = mapped_column(JSONB)
    protocol: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """What is recorded and when: pass, augmentation, dropout, dtype."""
    seed: Mapped[int] = mapped_column(BigInteger)
    slot: Mapped[int] = mapped_column(Integer)
    """Which of the `num_slots` disjoint sets of probe sources this run displaces."""
    num_slots: Mapped[int] = mapped_column(Integer)
    num_epochs: Mapped[int] = mapped_column(Integer)
    num_rows: Mapped[int] = mapped_column(BigInteger)
    """Examples and made probes; equals the dataset's size until the probes are planted."""
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = created_now()
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RunProbe(Base):
    """A row of a run whose category is known. From row N on it was made, below N it is an example as it is."""

    __tablename__ = "run_probes"
    __table_args__ = (
        Index("ix_run_probes__run_id_source_row", "run_id", "source_row"),
        CheckConstraint(one_of("role", ("fit", "held_out")), name="role_is_known"),
        CheckConstraint("source_row IS NULL OR example_index IS NULL", name="made_or_own"),
    )

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    row: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    category: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    generator: Mapped[str] = mapped_column(Text)
    source_row: Mapped[int | None] = mapped_column(BigInteger)
    """The example it was made from, whose place it takes; null for one of the user's own, which takes nobody's."""
    example_index: Mapped[int | None] = mapped_column(BigInteger)
    """Of the user's own: which of the run's suite's own examples it is; null where these are not on the server."""
    label: Mapped[int] = mapped_column(Integer)
    """The label the training was given for it."""
