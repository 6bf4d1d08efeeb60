"""Projects and the keys that open them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, created_now, identity

SCOPES = ("read", "record", "review", "admin")


class Project(Base):
    """What a key opens."""

    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint("name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'", name="name_is_a_slug"),
    )

    id: Mapped[int] = identity()
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = created_now()


class Key(Base):
    """A bearer key: its SHA-256, never itself. Without a project it opens all of them."""

    __tablename__ = "keys"
    __table_args__ = (
        UniqueConstraint("digest"),
        CheckConstraint(
            "scopes <@ ARRAY['read', 'record', 'review', 'admin']::text[] AND cardinality(scopes) > 0",
            name="scopes_are_known",
        ),
    )

    id: Mapped[int] = identity()
    project_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = created_now()
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
