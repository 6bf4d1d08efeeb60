"""Tags in bulk: the foreign key to their tagging, which is looked up row by row, gives way to one statement's trigger."""

from __future__ import annotations

from alembic import op

revision = "c41f0e6ab7d2"
down_revision = "8d3f5b7a9c21"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("fk_tags__tagging_id__taggings", "tags", type_="foreignkey")
    op.execute(
        "CREATE FUNCTION delete_tags_of_taggings() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " DELETE FROM public.tags USING gone WHERE tags.tagging_id = gone.id; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER tags_go_with_their_tagging AFTER DELETE ON taggings REFERENCING OLD TABLE AS gone"
        " FOR EACH STATEMENT EXECUTE FUNCTION delete_tags_of_taggings()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER tags_go_with_their_tagging ON taggings")
    op.execute("DROP FUNCTION delete_tags_of_taggings()")
    op.create_foreign_key(
        "fk_tags__tagging_id__taggings", "tags", "taggings", ["tagging_id"], ["id"], ondelete="CASCADE"
    )
