"""Small worlds for tests of the store, made through the store's own functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from store import curves, datasets, jobs, projects, runs, scores, suites, taggings, tags
from store.tables import Dataset, Job, Project, Run, Suite, Tagging
from store.tags import TagColumns

NUM_EXAMPLES, NUM_PROBES, NUM_EPOCHS = 6, 2, 3
FILL_DISK = """
CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE disk_full USING MESSAGE = 'could not extend file "base/5/16384": No space left on device'; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION no_room();
"""
"""Whatever is inserted into the table from now on finds the database's disk full."""


@dataclass(frozen=True)
class Planted:
    """A project with one of each, all finished."""

    project: Project
    dataset: Dataset
    suite: Suite
    run: Run
    job: Job
    tagging: Tagging


def a_dataset(
    session: Session, *, name: str = "d", fingerprint: str = "f", num: int = NUM_EXAMPLES
) -> Dataset:
    project = projects.ensure(session)
    new = datasets.NewDataset(
        name=name,
        fingerprint=fingerprint,
        modality="vector",
        class_names=["cat", "dog"],
        keys=[f"key-{index}" for index in range(num)],
        labels=np.arange(num) % 2,
        splits=["train"] * (num - 1) + ["validation"],
        source={"kind": "digits"},
    )
    return datasets.add(session, project_id=project.id, new=new)[0]


def a_suite(session: Session, *, name: str = "default") -> Suite:
    project = projects.ensure(session)
    return suites.add(session, project_id=project.id, name=name, digest=f"digest-{name}", definition={})


def a_run(session: Session, dataset: Dataset, *, name: str = "r", suite: Suite | None = None) -> Run:
    return runs.create(
        session,
        dataset=dataset,
        name=name,
        suite_id=None if suite is None else suite.id,
        recipe={},
        protocol={"pass": "training"},
        num_epochs=NUM_EPOCHS,
        seed=0,
        slot=0,
        num_slots=1,
    )


def a_train_job(session: Session, run: Run) -> Job:
    return jobs.create(session, project_id=run.project_id, kind="train", run_id=run.id)


def record(session: Session, run: Run, *, epochs: int = NUM_EPOCHS, attempt: int = 1) -> None:
    """Some curves: the value of row r in epoch e is r + e / 10."""
    for epoch in range(epochs):
        loss = (np.arange(run.num_rows) + epoch / 10).astype(np.float32)
        predicted = np.arange(run.num_rows).astype(np.int16) % 2
        curves.write_epoch(
            session, run_id=run.id, epoch=epoch, channels={"loss": loss, "predicted": predicted}
        )
        runs.close_epoch(session, run_id=run.id, epoch=epoch, attempt=attempt, metrics={"train_loss": 1.0})


def a_finished_tagging(session: Session) -> Planted:
    dataset, suite = a_dataset(session), a_suite(session)
    run = a_run(session, dataset, suite=suite)
    job = a_train_job(session, run)
    probes = [
        runs.PlantedProbe(NUM_EXAMPLES + place, category, role, "flip", place, 1)
        for place, (category, role) in enumerate([("noisy", "fit"), ("ood", "held_out")])
    ]
    runs.plant(session, run=run, probes=probes)
    taken = jobs.take(session, job_id=job.id, worker="test")
    assert taken is not None
    record(session, run)
    jobs.finish(session, job_id=job.id, attempt=taken.attempt)
    tagging = taggings.create(
        session, project_id=dataset.project_id, runs=[run], suite_id=suite.id, tagger="reference"
    )
    save_tags(session, tagging, dataset)
    scores.save(
        session,
        dataset=dataset,
        method="mean_loss",
        bad_end="high",
        run_ids=[run.id],
        values=np.linspace(0, 1, NUM_EXAMPLES, dtype=np.float32),
    )
    return Planted(projects.ensure(session), dataset, suite, run, job, tagging)


def tag_columns(rows: Sequence[tuple[Any, ...]]) -> TagColumns:
    """From rows (index, position, tag, suspicion, label, suggested label, displaced, probabilities), with None."""
    index, position, tag, suspicion, label, suggested, displaced, probabilities = zip(*rows, strict=True)
    width = len(next(shares for shares in probabilities if shares is not None))
    return TagColumns(
        index=np.array(index),
        position=np.array(position),
        tag=np.array(tag, dtype=np.int16),
        suspicion=np.array(suspicion, dtype=np.float32),
        label=np.array(label, dtype=np.int32),
        suggested_label=np.array([-1 if one is None else one for one in suggested], dtype=np.int32),
        displaced=np.array(displaced),
        probabilities=np.array([shares or [np.nan] * width for shares in probabilities], dtype=np.float32),
    )


def save_tags(session: Session, tagging: Tagging, dataset: Dataset) -> None:
    rows = [
        (index, index, index % 2, 1 - index / 10, index % 2, None, False, [0.5, 0.5])
        for index in range(dataset.num_examples - 1)
    ]
    tags.write(session, tagging_id=tagging.id, columns=tag_columns(rows))
    probes = [(run_id, 6, "noisy", "fit", 0) for run_id in _run_ids(session, tagging)]
    taggings.save_probes(session, tagging_id=tagging.id, probes=probes)
    taggings.save_report(
        session,
        tagging_id=tagging.id,
        categories=["noisy", "ood"],
        calibration="none",
        report={"accuracy": 1.0},
    )
    taggings.set_state(session, tagging_id=tagging.id, state="finished")


def _run_ids(session: Session, tagging: Tagging) -> list[int]:
    return taggings.run_ids(session, tagging_ids=[tagging.id])[tagging.id]
