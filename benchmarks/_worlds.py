"""What benchmarks of the store need before they can begin."""

from __future__ import annotations

import numpy as np
from sqlalchemy.orm import Session

from store import datasets, projects, runs
from store.tables import Run


def new_run(session: Session, *, name: str, num_epochs: int) -> Run:
    """A run over a dataset of two examples: the store does not ask how many rows a run's curves have."""
    project = projects.ensure(session)
    new = datasets.NewDataset(
        name=name,
        fingerprint=name,
        modality="vector",
        class_names=["a", "b"],
        keys=["0", "1"],
        labels=np.array([0, 1]),
        splits=["train", "train"],
    )
    dataset, _ = datasets.add(session, project_id=project.id, new=new)
    return runs.create(
        session,
        dataset=dataset,
        name=name,
        suite_id=None,
        recipe={},
        protocol={},
        num_epochs=num_epochs,
        seed=0,
        slot=0,
        num_slots=1,
    )
