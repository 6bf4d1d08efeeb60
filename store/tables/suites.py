"""Suites of probes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Integer, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, created_now, identity, of_project, one_of


class Suite(Base):
    """A named, versioned set of probes.

    `generated`: by generators. `uploaded`: keys of examples that a dataset has (`suite_members`), which serve as they
    are. `examples`: the user's own, which are a small dataset version (`suite_members` say which is what) and are
    planted beside the dataset's; generators may come with them.
    """

    __tablename__ = "suites"
    __table_args__ = (
        UniqueConstraint("project_id", "name", "version"),
        UniqueConstraint("project_id", "name", "digest"),
        CheckConstraint(one_of("kind", ("generated", "uploaded", "examples")), name="kind_is_known"),
        CheckConstraint("(kind = 'uploaded') = (dataset_id IS NOT NULL)", name="uploaded_has_a_dataset"),
        CheckConstraint(
            "(kind = 'examples') = (examples_dataset_id IS NOT NULL)", name="examples_have_a_dataset"
        ),
    )

    id: Mapped[int] = identity()
    project_id: Mapped[int] = of_project()
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    definition: Mapped[dict[str, Any]] = mapped_column(JSONB)
    dataset_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("datasets.id", ondelete="RESTRICT"), index=True
    )
    """Of an uploaded one: whose examples its keys name."""
    examples_dataset_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("datasets.id", ondelete="RESTRICT"), index=True
    )
    """The user's own examples that are planted."""
    notes: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    """What was noticed when it was made."""
    created_at: Mapped[datetime] = created_now()


class SuiteMember(Base):
    """One example of a suite, known or of the user's own."""

    __tablename__ = "suite_members"
    __table_args__ = (CheckConstraint(one_of("role", ("fit", "held_out")), name="role_is_known"),)

    suite_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("suites.id", ondelete="CASCADE"), primary_key=True
    )
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Of the dataset that the suite names, or of that of its own examples."""
    category: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
