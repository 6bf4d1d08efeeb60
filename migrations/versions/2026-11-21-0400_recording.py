"""Recording from a user's own loop: datasets without inputs, what a recorded run announced, parts of several ranks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "8d3f5b7a9c21"
down_revision = "664a41b258d4"
branch_labels = None
depends_on = None

MODALITY_CHECK = "ck_datasets__modality_is_known"


def upgrade() -> None:
    _allow_modalities("'image', 'text', 'table', 'vector', 'none'")
    op.create_table(
        "recordings",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("channels", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("world_size", sa.Integer(), nullable=False),
        sa.Column("num_epochs", sa.Integer(), nullable=True),
        sa.Column("client_version", sa.Text(), nullable=False),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint("num_epochs > 0", name=op.f("ck_recordings__num_epochs_is_positive")),
        sa.CheckConstraint("world_size > 0", name=op.f("ck_recordings__world_size_is_positive")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_recordings__run_id__runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_recordings")),
    )
    op.create_table(
        "epoch_parts",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("metrics", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digests", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_epoch_parts__run_id__runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "epoch", "rank", name=op.f("pk_epoch_parts")),
    )
    op.create_table(
        "curve_parts",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dtype", sa.Text(), nullable=False),
        sa.Column("num_rows", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "dtype IN ('float32', 'float16', 'int8', 'int16', 'int32')",
            name=op.f("ck_curve_parts__dtype_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_curve_parts__run_id__runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "epoch", "channel", "shard", "rank", name=op.f("pk_curve_parts")),
    )
    # Float losses do not compress, and a part is read once: the time would be lost twice.
    op.execute("ALTER TABLE curve_parts ALTER COLUMN data SET STORAGE EXTERNAL")


def downgrade() -> None:
    """Refused by the check while there are datasets without inputs: no data is dropped to make it fit."""
    op.drop_table("curve_parts")
    op.drop_table("epoch_parts")
    op.drop_table("recordings")
    _allow_modalities("'image', 'text', 'table', 'vector'")


def _allow_modalities(words: str) -> None:
    op.drop_constraint(op.f(MODALITY_CHECK), "datasets", type_="check")
    op.create_check_constraint(op.f(MODALITY_CHECK), "datasets", f"modality IN ({words})")
