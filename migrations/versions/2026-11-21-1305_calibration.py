"""Calibration by reviews: the sample that is asked for, and what its reviews said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "5b0e7c2d94aa"
down_revision = "3f6c0d9e51b7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reviews_asked",
        sa.Column("tagging_id", sa.BigInteger(), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("after_decision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tagging_id"],
            ["taggings.id"],
            name=op.f("fk_reviews_asked__tagging_id__taggings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tagging_id", "index", name=op.f("pk_reviews_asked")),
        sa.UniqueConstraint("tagging_id", "place", name=op.f("uq_reviews_asked__tagging_id_place")),
    )
    op.create_table(
        "calibrations",
        sa.Column("tagging_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("newest_decision", sa.BigInteger(), nullable=False),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tagging_id"],
            ["taggings.id"],
            name=op.f("fk_calibrations__tagging_id__taggings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tagging_id", "version", name=op.f("pk_calibrations")),
    )


def downgrade() -> None:
    op.drop_table("calibrations")
    op.drop_table("reviews_asked")
