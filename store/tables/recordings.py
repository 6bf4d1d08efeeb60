"""Runs that are trained elsewhere: what they announced, and what their ranks have sent."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, one_of
from store.tables.curves import DTYPES


class Recording(Base):
    """What a run that is trained elsewhere has announced. Runs that jobs train have none."""

    __tablename__ = "recordings"
    __table_args__ = (
        CheckConstraint("world_size > 0", name="world_size_is_positive"),
        CheckConstraint("num_epochs > 0", name="num_epochs_is_positive"),
    )

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    channels: Mapped[dict[str, str]] = mapped_column(JSONB)
    """The dtype of each."""
    world_size: Mapped[int] = mapped_column(Integer)
    num_epochs: Mapped[int | None] = mapped_column(Integer)
    """As announced; null where `runs.num_epochs` grows with the epochs that close."""
    client_version: Mapped[str] = mapped_column(Text)
    session: Mapped[str | None] = mapped_column(Text)
    """The training process that records now, in its own word."""
    message: Mapped[str | None] = mapped_column(Text)
    """What it was finished with."""


class EpochPart(Base):
    """One of several ranks has sent all its parts of an epoch. Kept when the epoch has closed."""

    __tablename__ = "epoch_parts"

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    rank: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    metrics: Mapped[dict[str, Any]] = mapped_column(JSONB)
    digests: Mapped[dict[str, str]] = mapped_column(JSONB)
    """Per `channel/shard`, the SHA-256 of what it had sent: sent once more, it is known again."""


class CurvePart(Base):
    """What one of several ranks saw of a block, until its epoch closes and the parts become `curve_blocks`."""

    __tablename__ = "curve_parts"
    __table_args__ = (CheckConstraint(one_of("dtype", DTYPES), name="dtype_is_known"),)

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    shard: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    rank: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    dtype: Mapped[str] = mapped_column(Text)
    num_rows: Mapped[int] = mapped_column(Integer)
    data: Mapped[bytes] = mapped_column(LargeBinary)  # STORAGE EXTERNAL, set in the migration
