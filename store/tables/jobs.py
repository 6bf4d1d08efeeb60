"""Long work, and requests that are not to be done twice."""

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
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, created_now, identity, one_of

JOB_STATES = ("queued", "running", "succeeded", "failed", "aborted")
OPEN_JOB_STATES = ("queued", "running")


class IdempotencyKey(Base):
    """A request that made something, by the key its client gave it, with the answer: asked again, it is repeated."""

    __tablename__ = "idempotency_keys"

    project_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_digest: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = created_now()


class Job(Base):
    """The truth about a piece of long work. Procrastinate only carries its number to a worker."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(one_of("state", JOB_STATES), name="state_is_known"),
        CheckConstraint(one_of("kind", ("register", "train", "tag")), name="kind_is_known"),
        CheckConstraint("num_nonnulls(dataset_id, run_id, tagging_id) <= 1", name="one_subject"),
        Index("ix_jobs__project_id_id", "project_id", text("id DESC")),
        Index("ix_jobs__open", "state", postgresql_where=text("state IN ('queued', 'running')")),
    )

    id: Mapped[int] = identity()
    project_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("projects.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    arguments: Mapped[dict[str, Any]] = mapped_column(JSONB)
    dataset_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("datasets.id", ondelete="CASCADE"), index=True
    )
    run_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), index=True
    )
    tagging_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("taggings.id", ondelete="CASCADE"), index=True
    )
    attempt: Mapped[int] = mapped_column(Integer, server_default="0")
    """Counts pick-ups. Whoever writes for a job names its attempt, and an older one is refused."""
    abort_requested: Mapped[bool] = mapped_column(Boolean, server_default="false")
    progress: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    error: Mapped[str | None] = mapped_column(Text)
    worker: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = created_now()
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    heartbeat_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
