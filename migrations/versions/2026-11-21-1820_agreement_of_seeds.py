"""Agreement of seeds: of the runs that trained an example, how many give it its tag alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "e27c5b90d3f4"
down_revision = "5b0e7c2d94aa"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Empty in the tags that are there: no table is rewritten.
    op.add_column("tags", sa.Column("runs_trained", sa.SmallInteger(), nullable=True))
    op.add_column("tags", sa.Column("runs_agreeing", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("tags", "runs_agreeing")
    op.drop_column("tags", "runs_trained")
