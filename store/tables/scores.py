"""Scores and their blocks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, created_now, identity, of_project, one_of

score_runs = Table(
    "score_runs",
    Base.metadata,
    Column("score_id", BigInteger, ForeignKey("scores.id", ondelete="CASCADE"), primary_key=True),
    Column("run_id", BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, index=True),
)
"""Which runs a score was averaged over."""


class Score(Base):
    """A number per example by a named method, averaged over `score_runs`."""

    __tablename__ = "scores"
    __table_args__ = (
        UniqueConstraint("dataset_id", "method", "runs_digest"),
        CheckConstraint(one_of("bad_end", ("high", "low")), name="bad_end_is_known"),
    )

    id: Mapped[int] = identity()
    project_id: Mapped[int] = of_project()
    dataset_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("datasets.id", ondelete="CASCADE"), index=True
    )
    method: Mapped[str] = mapped_column(Text)
    bad_end: Mapped[str] = mapped_column(Text)
    runs_digest: Mapped[str] = mapped_column(Text)
    """The run numbers, ascending, joined by commas; `@5` behind them where it is of the first five epochs alone."""
    created_at: Mapped[datetime] = created_now()


class ScoreBlock(Base):
    """`SHARD_ROWS` float32 values of a score; NaN where the example has none."""

    __tablename__ = "score_blocks"

    score_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("scores.id", ondelete="CASCADE"), primary_key=True
    )
    shard: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary)  # STORAGE EXTERNAL, set in the migration
