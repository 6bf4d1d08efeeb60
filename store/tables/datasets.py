"""Dataset versions and their examples."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, created_now, identity, of_project, one_of

MODALITIES = ("image", "text", "table", "vector", "none")


class Dataset(Base):
    """One immutable version of an ordered list of examples."""

    __tablename__ = "datasets"
    __table_args__ = (
        UniqueConstraint("project_id", "name", "version"),
        UniqueConstraint("project_id", "name", "fingerprint"),
        CheckConstraint(one_of("modality", MODALITIES), name="modality_is_known"),
        CheckConstraint("num_examples > 0 AND version > 0", name="counts_are_positive"),
    )

    id: Mapped[int] = identity()
    project_id: Mapped[int] = of_project()
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    fingerprint: Mapped[str] = mapped_column(Text)
    modality: Mapped[str] = mapped_column(Text)
    num_examples: Mapped[int] = mapped_column(BigInteger)
    class_names: Mapped[list[str]] = mapped_column(JSONB)
    splits: Mapped[dict[str, int]] = mapped_column(JSONB)
    """Examples per split."""
    source: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """Where it came from, and what was skipped on the way."""
    payload: Mapped[str] = mapped_column(Text)
    """Folder of the inputs, relative to the data folder; empty where modality is `none`."""
    created_at: Mapped[datetime] = created_now()


class Example(Base):
    """`index` 0…N−1 in its dataset, the user's own `key`, and the given label."""

    __tablename__ = "examples"
    __table_args__ = (
        UniqueConstraint("dataset_id", "key"),
        Index("ix_examples__dataset_id_label", "dataset_id", "label"),
        CheckConstraint(one_of("split", ("train", "validation", "test")), name="split_is_known"),
    )

    dataset_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Text)
    label: Mapped[int] = mapped_column(Integer)
    split: Mapped[str] = mapped_column(Text)
