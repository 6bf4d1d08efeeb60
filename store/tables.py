"""The tables: one mapped class per noun, every constraint named.

Numbers that people address (`/datasets/7`) are identity columns. What depends on a thing and cannot live without
it goes with it (`ON DELETE CASCADE`); what would be harmed refuses (`RESTRICT`) until it is deleted by name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SHARD_ROWS = 65_536
"""Rows of one curve or score block: 256 KiB of float32."""

JOB_STATES = ("queued", "running", "succeeded", "failed", "aborted")
OPEN_JOB_STATES = ("queued", "running")
DTYPES = ("float32", "float16", "int8", "int16", "int32")
MODALITIES = ("image", "text", "table", "vector", "none")
RUN_STATES = ("queued", "running", "finished", "failed", "aborted")
SCOPES = ("read", "record", "review", "admin")


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s__%(column_0_N_name)s",
            "uq": "uq_%(table_name)s__%(column_0_N_name)s",
            "ck": "ck_%(table_name)s__%(constraint_name)s",
            "fk": "fk_%(table_name)s__%(column_0_N_name)s__%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def _identity() -> Mapped[int]:
    return mapped_column(BigInteger, Identity(), primary_key=True)


def _created_at() -> Mapped[datetime]:
    return mapped_column(DateTime(timezone=True), server_default=func.now())


def _project() -> Mapped[int]:
    return mapped_column(BigInteger, ForeignKey("projects.id", ondelete="CASCADE"), index=True)


class Project(Base):
    """What a key opens."""

    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint("name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'", name="name_is_a_slug"),
    )

    id: Mapped[int] = _identity()
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = _created_at()


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

    id: Mapped[int] = _identity()
    project_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = _created_at()
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Dataset(Base):
    """One immutable version of an ordered list of examples."""

    __tablename__ = "datasets"
    __table_args__ = (
        UniqueConstraint("project_id", "name", "version"),
        UniqueConstraint("project_id", "name", "fingerprint"),
        CheckConstraint(_one_of("modality", MODALITIES), name="modality_is_known"),
        CheckConstraint("num_examples > 0 AND version > 0", name="counts_are_positive"),
    )

    id: Mapped[int] = _identity()
    project_id: Mapped[int] = _project()
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
    created_at: Mapped[datetime] = _created_at()


class Example(Base):
    """`index` 0…N−1 in its dataset, the user's own `key`, and the given label."""

    __tablename__ = "examples"
    __table_args__ = (
        UniqueConstraint("dataset_id", "key"),
        Index("ix_examples__dataset_id_label", "dataset_id", "label"),
        CheckConstraint(_one_of("split", ("train", "validation", "test")), name="split_is_known"),
    )

    dataset_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Text)
    label: Mapped[int] = mapped_column(Integer)
    split: Mapped[str] = mapped_column(Text)


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
        CheckConstraint(_one_of("kind", ("generated", "uploaded", "examples")), name="kind_is_known"),
        CheckConstraint("(kind = 'uploaded') = (dataset_id IS NOT NULL)", name="uploaded_has_a_dataset"),
        CheckConstraint(
            "(kind = 'examples') = (examples_dataset_id IS NOT NULL)", name="examples_have_a_dataset"
        ),
    )

    id: Mapped[int] = _identity()
    project_id: Mapped[int] = _project()
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
    created_at: Mapped[datetime] = _created_at()


class SuiteMember(Base):
    """One example of a suite, known or of the user's own."""

    __tablename__ = "suite_members"
    __table_args__ = (CheckConstraint(_one_of("role", ("fit", "held_out")), name="role_is_known"),)

    suite_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("suites.id", ondelete="CASCADE"), primary_key=True
    )
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Of the dataset that the suite names, or of that of its own examples."""
    category: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)


class Run(Base):
    """One training over one dataset version, with planted probes."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        CheckConstraint(_one_of("state", RUN_STATES), name="state_is_known"),
        CheckConstraint("num_epochs > 0", name="num_epochs_is_positive"),
        CheckConstraint("num_rows >= 0", name="num_rows_is_not_negative"),
    )

    id: Mapped[int] = _identity()
    project_id: Mapped[int] = _project()
    dataset_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("datasets.id", ondelete="RESTRICT"), index=True
    )
    suite_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("suites.id", ondelete="RESTRICT"), index=True
    )
    """The suite whose probes are planted; none for a bare recording."""
    name: Mapped[str] = mapped_column(Text)
    recipe: Mapped[dict[str, Any]] = mapped_column(JSONB)
    protocol: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """What is recorded and when: pass, augmentation, dropout, dtype."""
    seed: Mapped[int] = mapped_column(BigInteger)
    slot: Mapped[int] = mapped_column(Integer)
    """Which of the `num_slots` disjoint sets of probe sources this run displaces."""
    num_slots: Mapped[int] = mapped_column(Integer)
    num_epochs: Mapped[int] = mapped_column(Integer)
    num_rows: Mapped[int] = mapped_column(BigInteger)
    """Examples and made probes; equals the dataset's size until the probes are planted."""
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = _created_at()
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RunProbe(Base):
    """A row of a run whose category is known. From row N on it was made, below N it is an example as it is."""

    __tablename__ = "run_probes"
    __table_args__ = (
        Index("ix_run_probes__run_id_source_row", "run_id", "source_row"),
        CheckConstraint(_one_of("role", ("fit", "held_out")), name="role_is_known"),
        CheckConstraint("source_row IS NULL OR example_index IS NULL", name="made_or_own"),
    )

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    row: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    category: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    generator: Mapped[str] = mapped_column(Text)
    source_row: Mapped[int | None] = mapped_column(BigInteger)
    """The example it was made from, whose place it takes; null for one of the user's own, which takes nobody's."""
    example_index: Mapped[int | None] = mapped_column(BigInteger)
    """Of the user's own: which of the run's suite's own examples it is; null where these are not on the server."""
    label: Mapped[int] = mapped_column(Integer)
    """The label the training was given for it."""


class Epoch(Base):
    """A closed epoch of a run: it exists exactly when all its blocks do."""

    __tablename__ = "epochs"
    __table_args__ = (CheckConstraint("epoch >= 0", name="epoch_is_not_negative"),)

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    attempt: Mapped[int] = mapped_column(Integer)
    metrics: Mapped[dict[str, Any]] = mapped_column(JSONB)
    closed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class CurveBlock(Base):
    """One channel of one epoch for `SHARD_ROWS` rows: little-endian values, uncompressed, so that a value is
    one `substring` away. Written again, it is replaced."""

    __tablename__ = "curve_blocks"
    __table_args__ = (CheckConstraint(_one_of("dtype", DTYPES), name="dtype_is_known"),)

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    shard: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    dtype: Mapped[str] = mapped_column(Text)
    num_rows: Mapped[int] = mapped_column(Integer)
    data: Mapped[bytes] = mapped_column(LargeBinary)  # STORAGE EXTERNAL, set in the migration


class Recording(Base):
    """What a run that is trained elsewhere has announced. Runs that jobs train have none."""

    __tablename__ = "recordings"
    __table_args__ = (
        CheckConstraint("world_size > 0", name="world_size_is_positive"),
        CheckConstraint("num_epochs > 0", name="num_epochs_is_positive"),
    )

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    channels: Mapped[dict[str, str]] = mapped_column(JSONB)
    """The dtype of each."""
    world_size: Mapped[int] = mapped_column(Integer)
    num_epochs: Mapped[int | None] = mapped_column(Integer)
    """As announced; null where `runs.num_epochs` grows with the epochs that close."""
    client_version: Mapped[str] = mapped_column(Text)
    session: Mapped[str | None] = mapped_column(Text)
    """The training process that records now, in its own word."""
    message: Mapped[str | None] = mapped_column(Text)
    """What it was finished with."""


class EpochPart(Base):
    """One of several ranks has sent all its parts of an epoch. Kept when the epoch has closed."""

    __tablename__ = "epoch_parts"

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    rank: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    metrics: Mapped[dict[str, Any]] = mapped_column(JSONB)
    digests: Mapped[dict[str, str]] = mapped_column(JSONB)
    """Per `channel/shard`, the SHA-256 of what it had sent: sent once more, it is known again."""


class CurvePart(Base):
    """What one of several ranks saw of a block, until its epoch closes and the parts become `curve_blocks`."""

    __tablename__ = "curve_parts"
    __table_args__ = (CheckConstraint(_one_of("dtype", DTYPES), name="dtype_is_known"),)

    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    shard: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    rank: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    dtype: Mapped[str] = mapped_column(Text)
    num_rows: Mapped[int] = mapped_column(Integer)
    data: Mapped[bytes] = mapped_column(LargeBinary)  # STORAGE EXTERNAL, set in the migration


class Tagging(Base):
    """One application of one tagger to the curves of some runs against one suite."""

    __tablename__ = "taggings"
    __table_args__ = (
        CheckConstraint(_one_of("state", RUN_STATES), name="state_is_known"),
        CheckConstraint(_one_of("calibration", ("none", "probes", "reviews")), name="calibration_is_known"),
    )

    id: Mapped[int] = _identity()
    project_id: Mapped[int] = _project()
    dataset_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("datasets.id", ondelete="RESTRICT"), index=True
    )
    suite_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("suites.id", ondelete="RESTRICT"), index=True
    )
    tagger: Mapped[str] = mapped_column(Text)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    categories: Mapped[list[str]] = mapped_column(JSONB)
    """In the order of `tags.probabilities`; `tags.tag` counts from 0, −1 is `unsure`. Empty until finished."""
    calibration: Mapped[str] = mapped_column(Text)
    report: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = _created_at()
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class TaggingRun(Base):
    """Which runs a tagging looked at, in order."""

    __tablename__ = "tagging_runs"

    tagging_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("taggings.id", ondelete="CASCADE"), primary_key=True
    )
    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    position: Mapped[int] = mapped_column(Integer)


class TaggingProbe(Base):
    """A probe that a tagging used: planted in the run, selected after training, or uploaded."""

    __tablename__ = "tagging_probes"
    __table_args__ = (CheckConstraint(_one_of("role", ("fit", "held_out")), name="role_is_known"),)

    tagging_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("taggings.id", ondelete="CASCADE"), primary_key=True
    )
    run_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("runs.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    row: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    category: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    source_row: Mapped[int | None] = mapped_column(BigInteger)
    """As in `run_probes`."""


class Tag(Base):
    """What one tagging says of one example."""

    __tablename__ = "tags"
    __table_args__ = (
        Index("ix_tags__tagging_id_position", "tagging_id", "position"),
        Index("ix_tags__tagging_id_tag_position", "tagging_id", "tag", "position"),
        Index("ix_tags__tagging_id_label_position", "tagging_id", "label", "position"),
    )

    tagging_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """No foreign key: it would look the tagging up for every row, which took half of the time of writing 200,000 tags
    (6.0 s with it, 3.0 s without). A trigger of the migration deletes tags with their tagging; who writes them locks
    the tagging first."""
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger)
    """Place in the suspicious list, 0 worst; ties in suspicion are broken by the mean loss."""
    tag: Mapped[int] = mapped_column(SmallInteger)
    suspicion: Mapped[float | None] = mapped_column(REAL)
    """0…1, 1 is bad; null where the example was never trained on (other splits, displaced in all runs)."""
    label: Mapped[int] = mapped_column(Integer)
    suggested_label: Mapped[int | None] = mapped_column(Integer)
    displaced: Mapped[bool] = mapped_column(Boolean)
    probabilities: Mapped[list[float] | None] = mapped_column(ARRAY(REAL))


class ReviewAsked(Base):
    """An example of the stratified sample that a tagging is calibrated by."""

    __tablename__ = "reviews_asked"
    __table_args__ = (UniqueConstraint("tagging_id", "place"),)

    tagging_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("taggings.id", ondelete="CASCADE"), primary_key=True
    )
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(Integer)
    """In the order to review in, from 0."""
    position: Mapped[int] = mapped_column(BigInteger)
    """In the suspicious list."""
    round: Mapped[int] = mapped_column(Integer)
    """Which extension of the sample it came with, from 0."""
    after_decision: Mapped[int] = mapped_column(BigInteger)
    """The dataset's newest decision when it was drawn, 0 without one."""


class CalibrationMade(Base):
    """What the reviews of a sample said of a tagging at one time. The newest version counts."""

    __tablename__ = "calibrations"

    tagging_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("taggings.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    newest_decision: Mapped[int] = mapped_column(BigInteger)
    """Of the dataset, when it was made: reviews up to it were counted."""
    summary: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """Estimates, top lists, knots of the curve; see `sondage/tagging/calibration_summary.py`."""
    created_at: Mapped[datetime] = _created_at()


score_runs = Table(
    "score_runs",
    Base.metadata,
    Column("score_id", BigInteger, ForeignKey("scores.id", ondelete="CASCADE"), primary_key=True),
    Column("run_id", BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, index=True),
)
"""Which runs a score was averaged over."""


class Score(Base):
    """A number per example by a named method, averaged over `score_runs`."""

    __tablename__ = "scores"
    __table_args__ = (
        UniqueConstraint("dataset_id", "method", "runs_digest"),
        CheckConstraint(_one_of("bad_end", ("high", "low")), name="bad_end_is_known"),
    )

    id: Mapped[int] = _identity()
    project_id: Mapped[int] = _project()
    dataset_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("datasets.id", ondelete="CASCADE"), index=True
    )
    method: Mapped[str] = mapped_column(Text)
    bad_end: Mapped[str] = mapped_column(Text)
    runs_digest: Mapped[str] = mapped_column(Text)
    """The run numbers, ascending, joined by commas."""
    created_at: Mapped[datetime] = _created_at()


class ScoreBlock(Base):
    """`SHARD_ROWS` float32 values of a score; NaN where the example has none."""

    __tablename__ = "score_blocks"

    score_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("scores.id", ondelete="CASCADE"), primary_key=True
    )
    shard: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary)  # STORAGE EXTERNAL, set in the migration


class Decision(Base):
    """What a reviewer said of one example. Append-only; the newest counts."""

    __tablename__ = "decisions"
    __table_args__ = (
        Index("ix_decisions__dataset_id_index", "dataset_id", "index", text("id DESC")),
        CheckConstraint(
            _one_of("decision", ("keep", "relabel", "exclude", "unsure")), name="decision_is_known"
        ),
        CheckConstraint("(decision = 'relabel') = (label IS NOT NULL)", name="relabel_has_a_label"),
    )

    id: Mapped[int] = _identity()
    project_id: Mapped[int] = _project()
    dataset_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("datasets.id", ondelete="CASCADE"))
    index: Mapped[int] = mapped_column(BigInteger)
    decision: Mapped[str] = mapped_column(Text)
    label: Mapped[int | None] = mapped_column(Integer)
    note: Mapped[str] = mapped_column(Text, server_default="")
    reviewer: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = _created_at()


class IdempotencyKey(Base):
    """A request that made something, by the key its client gave it, with the answer: asked again, it is repeated."""

    __tablename__ = "idempotency_keys"

    project_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_digest: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = _created_at()


class Job(Base):
    """The truth about a piece of long work. Procrastinate only carries its number to a worker."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(_one_of("state", JOB_STATES), name="state_is_known"),
        CheckConstraint(_one_of("kind", ("register", "train", "tag")), name="kind_is_known"),
        CheckConstraint("num_nonnulls(dataset_id, run_id, tagging_id) <= 1", name="one_subject"),
        Index("ix_jobs__project_id_id", "project_id", text("id DESC")),
        Index("ix_jobs__open", "state", postgresql_where=text("state IN ('queued', 'running')")),
    )

    id: Mapped[int] = _identity()
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
    created_at: Mapped[datetime] = _created_at()
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    heartbeat_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
