"""First tables: projects, keys, datasets, suites, runs, curves, taggings, scores, decisions, jobs, idempotency keys; procrastinate beside them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

revision = "664a41b258d4"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_tables()
    store_blocks_uncompressed()
    create_procrastinate()


def create_tables() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'", name=op.f("ck_projects__name_is_a_slug")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("name", name=op.f("uq_projects__name")),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("num_examples", sa.BigInteger(), nullable=False),
        sa.Column("class_names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("splits", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "modality IN ('image', 'text', 'table', 'vector')", name=op.f("ck_datasets__modality_is_known")
        ),
        sa.CheckConstraint("num_examples > 0 AND version > 0", name=op.f("ck_datasets__counts_are_positive")),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_datasets__project_id__projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint(
            "project_id", "name", "fingerprint", name=op.f("uq_datasets__project_id_name_fingerprint")
        ),
        sa.UniqueConstraint(
            "project_id", "name", "version", name=op.f("uq_datasets__project_id_name_version")
        ),
    )
    op.create_index(op.f("ix_datasets__project_id"), "datasets", ["project_id"], unique=False)
    op.create_table(
        "keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "scopes <@ ARRAY['read', 'record', 'review', 'admin']::text[] AND cardinality(scopes) > 0",
            name=op.f("ck_keys__scopes_are_known"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_keys__project_id__projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_keys__digest")),
    )
    op.create_index(op.f("ix_keys__project_id"), "keys", ["project_id"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("reviewer", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(decision = 'relabel') = (label IS NOT NULL)", name=op.f("ck_decisions__relabel_has_a_label")
        ),
        sa.CheckConstraint(
            "decision IN ('keep', 'relabel', 'exclude', 'unsure')",
            name=op.f("ck_decisions__decision_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name=op.f("fk_decisions__dataset_id__datasets"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_decisions__project_id__projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(
        "ix_decisions__dataset_id_index",
        "decisions",
        ["dataset_id", "index", sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(op.f("ix_decisions__project_id"), "decisions", ["project_id"], unique=False)
    op.create_table(
        "examples",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "split IN ('train', 'validation', 'test')", name=op.f("ck_examples__split_is_known")
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name=op.f("fk_examples__dataset_id__datasets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("dataset_id", "index", name=op.f("pk_examples")),
        sa.UniqueConstraint("dataset_id", "key", name=op.f("uq_examples__dataset_id_key")),
    )
    op.create_index("ix_examples__dataset_id_label", "examples", ["dataset_id", "label"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_idempotency_keys__project_id__projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "scores",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("bad_end", sa.Text(), nullable=False),
        sa.Column("runs_digest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("bad_end IN ('high', 'low')", name=op.f("ck_scores__bad_end_is_known")),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_scores__dataset_id__datasets"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_scores__project_id__projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scores")),
        sa.UniqueConstraint(
            "dataset_id", "method", "runs_digest", name=op.f("uq_scores__dataset_id_method_runs_digest")
        ),
    )
    op.create_index(op.f("ix_scores__dataset_id"), "scores", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_scores__project_id"), "scores", ["project_id"], unique=False)
    op.create_table(
        "suites",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(kind = 'uploaded') = (dataset_id IS NOT NULL)", name=op.f("ck_suites__uploaded_has_a_dataset")
        ),
        sa.CheckConstraint("kind IN ('generated', 'uploaded')", name=op.f("ck_suites__kind_is_known")),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_suites__dataset_id__datasets"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_suites__project_id__projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suites")),
        sa.UniqueConstraint("project_id", "name", "digest", name=op.f("uq_suites__project_id_name_digest")),
        sa.UniqueConstraint("project_id", "name", "version", name=op.f("uq_suites__project_id_name_version")),
    )
    op.create_index(op.f("ix_suites__dataset_id"), "suites", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_suites__project_id"), "suites", ["project_id"], unique=False)
    op.create_table(
        "runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("suite_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("recipe", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("protocol", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("num_slots", sa.Integer(), nullable=False),
        sa.Column("num_epochs", sa.Integer(), nullable=False),
        sa.Column("num_rows", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'finished', 'failed', 'aborted')",
            name=op.f("ck_runs__state_is_known"),
        ),
        sa.CheckConstraint("num_epochs > 0", name=op.f("ck_runs__num_epochs_is_positive")),
        sa.CheckConstraint("num_rows >= 0", name=op.f("ck_runs__num_rows_is_not_negative")),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_runs__dataset_id__datasets"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_runs__project_id__projects"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["suite_id"], ["suites.id"], name=op.f("fk_runs__suite_id__suites"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_runs__project_id_name")),
    )
    op.create_index(op.f("ix_runs__dataset_id"), "runs", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_runs__project_id"), "runs", ["project_id"], unique=False)
    op.create_index(op.f("ix_runs__suite_id"), "runs", ["suite_id"], unique=False)
    op.create_table(
        "score_blocks",
        sa.Column("score_id", sa.BigInteger(), nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["score_id"], ["scores.id"], name=op.f("fk_score_blocks__score_id__scores"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("score_id", "shard", name=op.f("pk_score_blocks")),
    )
    op.create_table(
        "suite_members",
        sa.Column("suite_id", sa.BigInteger(), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.CheckConstraint("role IN ('fit', 'held_out')", name=op.f("ck_suite_members__role_is_known")),
        sa.ForeignKeyConstraint(
            ["suite_id"], ["suites.id"], name=op.f("fk_suite_members__suite_id__suites"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("suite_id", "index", name=op.f("pk_suite_members")),
    )
    op.create_table(
        "taggings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("suite_id", sa.BigInteger(), nullable=False),
        sa.Column("tagger", sa.Text(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("categories", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("calibration", sa.Text(), nullable=False),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "calibration IN ('none', 'probes', 'reviews')", name=op.f("ck_taggings__calibration_is_known")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'finished', 'failed', 'aborted')",
            name=op.f("ck_taggings__state_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name=op.f("fk_taggings__dataset_id__datasets"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_taggings__project_id__projects"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["suite_id"], ["suites.id"], name=op.f("fk_taggings__suite_id__suites"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_taggings")),
    )
    op.create_index(op.f("ix_taggings__dataset_id"), "taggings", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_taggings__project_id"), "taggings", ["project_id"], unique=False)
    op.create_index(op.f("ix_taggings__suite_id"), "taggings", ["suite_id"], unique=False)
    op.create_table(
        "curve_blocks",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dtype", sa.Text(), nullable=False),
        sa.Column("num_rows", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "dtype IN ('float32', 'float16', 'int8', 'int16', 'int32')",
            name=op.f("ck_curve_blocks__dtype_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_curve_blocks__run_id__runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "channel", "epoch", "shard", name=op.f("pk_curve_blocks")),
    )
    op.create_table(
        "epochs",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("metrics", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("epoch >= 0", name=op.f("ck_epochs__epoch_is_not_negative")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_epochs__run_id__runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "epoch", name=op.f("pk_epochs")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("tagging_id", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("abort_requested", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("progress", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('register', 'train', 'tag')", name=op.f("ck_jobs__kind_is_known")),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'aborted')",
            name=op.f("ck_jobs__state_is_known"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(dataset_id, run_id, tagging_id) <= 1", name=op.f("ck_jobs__one_subject")
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_jobs__dataset_id__datasets"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_jobs__project_id__projects"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_jobs__run_id__runs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tagging_id"], ["taggings.id"], name=op.f("fk_jobs__tagging_id__taggings"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs__dataset_id"), "jobs", ["dataset_id"], unique=False)
    op.create_index(
        "ix_jobs__open",
        "jobs",
        ["state"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "ix_jobs__project_id_id", "jobs", ["project_id", sa.literal_column("id DESC")], unique=False
    )
    op.create_index(op.f("ix_jobs__run_id"), "jobs", ["run_id"], unique=False)
    op.create_index(op.f("ix_jobs__tagging_id"), "jobs", ["tagging_id"], unique=False)
    op.create_table(
        "run_probes",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("row", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("generator", sa.Text(), nullable=False),
        sa.Column("source_row", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.CheckConstraint("role IN ('fit', 'held_out')", name=op.f("ck_run_probes__role_is_known")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_probes__run_id__runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "row", name=op.f("pk_run_probes")),
    )
    op.create_index("ix_run_probes__run_id_source_row", "run_probes", ["run_id", "source_row"], unique=False)
    op.create_table(
        "score_runs",
        sa.Column("score_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_score_runs__run_id__runs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["score_id"], ["scores.id"], name=op.f("fk_score_runs__score_id__scores"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("score_id", "run_id", name=op.f("pk_score_runs")),
    )
    op.create_index(op.f("ix_score_runs__run_id"), "score_runs", ["run_id"], unique=False)
    op.create_table(
        "tagging_probes",
        sa.Column("tagging_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("row", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("source_row", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('fit', 'held_out')", name=op.f("ck_tagging_probes__role_is_known")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_tagging_probes__run_id__runs"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["tagging_id"],
            ["taggings.id"],
            name=op.f("fk_tagging_probes__tagging_id__taggings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tagging_id", "run_id", "row", name=op.f("pk_tagging_probes")),
    )
    op.create_index(op.f("ix_tagging_probes__run_id"), "tagging_probes", ["run_id"], unique=False)
    op.create_table(
        "tagging_runs",
        sa.Column("tagging_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_tagging_runs__run_id__runs"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["tagging_id"],
            ["taggings.id"],
            name=op.f("fk_tagging_runs__tagging_id__taggings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tagging_id", "run_id", name=op.f("pk_tagging_runs")),
    )
    op.create_index(op.f("ix_tagging_runs__run_id"), "tagging_runs", ["run_id"], unique=False)
    op.create_table(
        "tags",
        sa.Column("tagging_id", sa.BigInteger(), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("tag", sa.SmallInteger(), nullable=False),
        sa.Column("suspicion", sa.REAL(), nullable=True),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("suggested_label", sa.Integer(), nullable=True),
        sa.Column("displaced", sa.Boolean(), nullable=False),
        sa.Column("probabilities", postgresql.ARRAY(sa.REAL()), nullable=True),
        sa.ForeignKeyConstraint(
            ["tagging_id"], ["taggings.id"], name=op.f("fk_tags__tagging_id__taggings"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tagging_id", "index", name=op.f("pk_tags")),
    )
    op.create_index(
        "ix_tags__tagging_id_label_position", "tags", ["tagging_id", "label", "position"], unique=False
    )
    op.create_index("ix_tags__tagging_id_position", "tags", ["tagging_id", "position"], unique=False)
    op.create_index(
        "ix_tags__tagging_id_tag_position", "tags", ["tagging_id", "tag", "position"], unique=False
    )


def store_blocks_uncompressed() -> None:
    """Outside the row and not compressed: a `substring` then fetches one page of a block, not all of it."""
    op.execute("ALTER TABLE curve_blocks ALTER COLUMN data SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE score_blocks ALTER COLUMN data SET STORAGE EXTERNAL")


def create_procrastinate() -> None:
    """Procrastinate's tables in a schema of their own. Its functions name no schema, so each carries its own path."""
    op.execute("CREATE SCHEMA procrastinate")
    op.execute("SET LOCAL search_path TO procrastinate")
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
    op.execute(PIN_SEARCH_PATH)
    op.execute("SET LOCAL search_path TO DEFAULT")


PIN_SEARCH_PATH = """
DO $$
DECLARE routine regprocedure;
BEGIN
    FOR routine IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'procrastinate'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path TO procrastinate, pg_catalog', routine);
    END LOOP;
END $$
"""


def downgrade() -> None:
    op.execute("DROP SCHEMA procrastinate CASCADE")
    op.drop_index("ix_tags__tagging_id_tag_position", table_name="tags")
    op.drop_index("ix_tags__tagging_id_position", table_name="tags")
    op.drop_index("ix_tags__tagging_id_label_position", table_name="tags")
    op.drop_table("tags")
    op.drop_index(op.f("ix_tagging_runs__run_id"), table_name="tagging_runs")
    op.drop_table("tagging_runs")
    op.drop_index(op.f("ix_tagging_probes__run_id"), table_name="tagging_probes")
    op.drop_table("tagging_probes")
    op.drop_index(op.f("ix_score_runs__run_id"), table_name="score_runs")
    op.drop_table("score_runs")
    op.drop_index("ix_run_probes__run_id_source_row", table_name="run_probes")
    op.drop_table("run_probes")
    op.drop_index(op.f("ix_jobs__tagging_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs__run_id"), table_name="jobs")
    op.drop_index("ix_jobs__project_id_id", table_name="jobs")
    op.drop_index(
        "ix_jobs__open", table_name="jobs", postgresql_where=sa.text("state IN ('queued', 'running')")
    )
    op.drop_index(op.f("ix_jobs__dataset_id"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("epochs")
    op.drop_table("curve_blocks")
    op.drop_index(op.f("ix_taggings__suite_id"), table_name="taggings")
    op.drop_index(op.f("ix_taggings__project_id"), table_name="taggings")
    op.drop_index(op.f("ix_taggings__dataset_id"), table_name="taggings")
    op.drop_table("taggings")
    op.drop_table("suite_members")
    op.drop_table("score_blocks")
    op.drop_index(op.f("ix_runs__suite_id"), table_name="runs")
    op.drop_index(op.f("ix_runs__project_id"), table_name="runs")
    op.drop_index(op.f("ix_runs__dataset_id"), table_name="runs")
    op.drop_table("runs")
    op.drop_index(op.f("ix_suites__project_id"), table_name="suites")
    op.drop_index(op.f("ix_suites__dataset_id"), table_name="suites")
    op.drop_table("suites")
    op.drop_index(op.f("ix_scores__project_id"), table_name="scores")
    op.drop_index(op.f("ix_scores__dataset_id"), table_name="scores")
    op.drop_table("scores")
    op.drop_table("idempotency_keys")
    op.drop_index("ix_examples__dataset_id_label", table_name="examples")
    op.drop_table("examples")
    op.drop_index(op.f("ix_decisions__project_id"), table_name="decisions")
    op.drop_index("ix_decisions__dataset_id_index", table_name="decisions")
    op.drop_table("decisions")
    op.drop_index(op.f("ix_keys__project_id"), table_name="keys")
    op.drop_table("keys")
    op.drop_index(op.f("ix_datasets__project_id"), table_name="datasets")
    op.drop_table("datasets")
    op.drop_table("projects")
