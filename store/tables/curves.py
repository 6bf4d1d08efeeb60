"""Closed epochs and their blocks of curves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Integer, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, one_of

SHARD_ROWS = 65_536
"""Rows of one curve or score block: 256 KiB of float32."""
DTYPES = ("float32", "float16", "int8", "int16", "int32")


class Epoch(Base):
    """A closed epoch of a run: it exists exactly when all its blocks do."""

    __tablename__ = "epochs"
    __table_args__ = (CheckConstraint("epoch >= 0", name="epoch_is_not_negative"),)

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    attempt: Mapped[int] = mapped_column(Integer)
    metrics: Mapped[dict[str, Any]] = mapped_column(JSONB)
    closed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class CurveBlock(Base):
    """One channel of one epoch for `SHARD_ROWS` rows: little-endian values, uncompressed, so that a value is
    one `substring` away. Written again, it is replaced."""

    __tablename__ = "curve_blocks"
    __table_args__ = (CheckConstraint(one_of("dtype", DTYPES), name="dtype_is_known"),)

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    shard: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    dtype: Mapped[str] = mapped_column(Text)
    num_rows: Mapped[int] = mapped_column(Integer)
    data: Mapped[bytes] = mapped_column(LargeBinary)  # STORAGE EXTERNAL, set in the migration
