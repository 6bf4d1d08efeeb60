"""Examples of the user's own as probes: suites that have a dataset of them, probes that take nobody's place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "3f6c0d9e51b7"
down_revision = "c41f0e6ab7d2"
branch_labels = None
depends_on = None

KIND_CHECK = "ck_suites__kind_is_known"
DATASET_KEY = "fk_suites__examples_dataset_id__datasets"
DATASET_INDEX = "ix_suites__examples_dataset_id"


def upgrade() -> None:
    op.add_column("suites", sa.Column("examples_dataset_id", sa.BigInteger(), nullable=True))
    op.add_column(
        "suites",
        sa.Column("notes", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
    )
    op.create_index(op.f(DATASET_INDEX), "suites", ["examples_dataset_id"])
    op.create_foreign_key(
        op.f(DATASET_KEY), "suites", "datasets", ["examples_dataset_id"], ["id"], ondelete="RESTRICT"
    )
    _allow_kinds("'generated', 'uploaded', 'examples'")
    op.create_check_constraint(
        op.f("ck_suites__examples_have_a_dataset"),
        "suites",
        "(kind = 'examples') = (examples_dataset_id IS NOT NULL)",
    )
    op.add_column("run_probes", sa.Column("example_index", sa.BigInteger(), nullable=True))
    op.create_check_constraint(
        op.f("ck_run_probes__made_or_own"), "run_probes", "source_row IS NULL OR example_index IS NULL"
    )
    for table in ("run_probes", "tagging_probes"):
        op.alter_column(table, "source_row", nullable=True)


def downgrade() -> None:
    """Refused by the constraints while there are examples of the user's own: no data is dropped to make it fit."""
    for table in ("tagging_probes", "run_probes"):
        op.alter_column(table, "source_row", nullable=False)
    op.drop_constraint(op.f("ck_run_probes__made_or_own"), "run_probes", type_="check")
    op.drop_column("run_probes", "example_index")
    op.drop_constraint(op.f("ck_suites__examples_have_a_dataset"), "suites", type_="check")
    _allow_kinds("'generated', 'uploaded'")
    op.drop_constraint(op.f(DATASET_KEY), "suites", type_="foreignkey")
    op.drop_index(op.f(DATASET_INDEX), table_name="suites")
    op.drop_column("suites", "notes")
    op.drop_column("suites", "examples_dataset_id")


def _allow_kinds(words: str) -> None:
    op.drop_constraint(op.f(KIND_CHECK), "suites", type_="check")
    op.create_check_constraint(op.f(KIND_CHECK), "suites", f"kind IN ({words})")
