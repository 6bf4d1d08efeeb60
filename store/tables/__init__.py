"""The tables: one mapped class per noun, every constraint named.

Numbers that people address (`/datasets/7`) are identity columns. What depends on a thing and cannot live without
it goes with it (`ON DELETE CASCADE`); what would be harmed refuses (`RESTRICT`) until it is deleted by name.
"""

from __future__ import annotations

from store.tables.base import Base
from store.tables.curves import DTYPES, SHARD_ROWS, CurveBlock, Epoch
from store.tables.datasets import MODALITIES, Dataset, Example
from store.tables.jobs import JOB_STATES, OPEN_JOB_STATES, IdempotencyKey, Job
from store.tables.projects import SCOPES, Key, Project
from store.tables.recordings import CurvePart, EpochPart, Recording
from store.tables.reviews import CalibrationMade, Decision, ReviewAsked
from store.tables.runs import RUN_STATES, Run, RunProbe
from store.tables.scores import Score, ScoreBlock, score_runs
from store.tables.suites import Suite, SuiteMember
from store.tables.taggings import Tag, Tagging, TaggingProbe, TaggingRun

__all__ = [
    "DTYPES",
    "JOB_STATES",
    "MODALITIES",
    "OPEN_JOB_STATES",
    "RUN_STATES",
    "SCOPES",
    "SHARD_ROWS",
    "Base",
    "CalibrationMade",
    "CurveBlock",
    "CurvePart",
    "Dataset",
    "Decision",
    "Epoch",
    "EpochPart",
    "Example",
    "IdempotencyKey",
    "Job",
    "Key",
    "Project",
    "Recording",
    "ReviewAsked",
    "Run",
    "RunProbe",
    "Score",
    "ScoreBlock",
    "Suite",
    "SuiteMember",
    "Tag",
    "Tagging",
    "TaggingProbe",
    "TaggingRun",
    "score_runs",
]
