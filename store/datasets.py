"""① Datasets: immutable versions of ordered lists of examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from sondage.errors import NotFound
from store.bulk import copy_in
from store.paging import newest_first
from store.tables import Dataset

INPUTS = "inputs"
"""In a dataset's `source`: where its inputs came from, when they were added later."""
INPUTS_FINGERPRINT = func.coalesce(Dataset.source[INPUTS]["fingerprint"].astext, Dataset.fingerprint)
"""`inputs_fingerprint` in SQL."""


@dataclass(frozen=True)
class NewDataset:
    """What registering found. `keys`, `labels` and `splits` run over the examples in order."""

    name: str
    fingerprint: str
    modality: str
    class_names: list[str]
    keys: Sequence[str]
    labels: NDArray[np.integer[Any]]
    splits: Sequence[str]
    source: dict[str, Any] = field(default_factory=dict)


def add(session: Session, *, project_id: int, new: NewDataset) -> tuple[Dataset, bool]:
    """Insert the next version of the name, or return the version with the same fingerprint.

    Returns
    -------
    The dataset, and whether it was made now. Its payload belongs into `dataset.payload`; without inputs that is empty.
    """
    _serialise_name(session, project_id, new.name)
    there = by_fingerprint(session, project_id=project_id, name=new.name, fingerprint=new.fingerprint)
    if there is not None:
        return there, False
    dataset = Dataset(
        project_id=project_id,
        name=new.name,
        version=_next_version(session, project_id, new.name),
        fingerprint=new.fingerprint,
        modality=new.modality,
        num_examples=len(new.keys),
        class_names=list(new.class_names),
        splits=dict(sorted(Counter(new.splits).items())),
        source=new.source,
        payload="",
    )
    session.add(dataset)
    session.flush()
    dataset.payload = "" if new.modality == "none" else f"datasets/{dataset.id}"
    session.flush()
    _insert_examples(session, dataset.id, new)
    return dataset, True


def _serialise_name(session: Session, project_id: int, name: str) -> None:
    """Two registrations under one name wait for each other, so that versions count without gaps."""
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"),
        {"key": f"dataset/{project_id}/{name}"},
    )


def _next_version(session: Session, project_id: int, name: str) -> int:
    latest = session.scalar(
        select(func.max(Dataset.version)).where(Dataset.project_id == project_id, Dataset.name == name)
    )
    return (latest or 0) + 1


def _insert_examples(session: Session, dataset_id: int, new: NewDataset) -> None:
    rows = (
        (dataset_id, index, key, int(label), split)
        for index, (key, label, split) in enumerate(zip(new.keys, new.labels, new.splits, strict=True))
    )
    copy_in(
        session,
        "examples",
        ("dataset_id", "index", "key", "label", "split"),
        ("int8", "int8", "text", "int4", "text"),
        rows,
    )


def by_fingerprint(session: Session, *, project_id: int, name: str, fingerprint: str) -> Dataset | None:
    statement = select(Dataset).where(
        Dataset.project_id == project_id, Dataset.name == name, Dataset.fingerprint == fingerprint
    )
    return session.scalars(statement).one_or_none()


def get(session: Session, *, project_id: int, dataset_id: int) -> Dataset:
    statement = select(Dataset).where(Dataset.project_id == project_id, Dataset.id == dataset_id)
    dataset = session.scalars(statement).one_or_none()
    if dataset is None:
        raise NotFound(f"There is no dataset {dataset_id} in this project.")
    return dataset


def hold(session: Session, *, project_id: int, dataset_id: int) -> Dataset:
    """The dataset, locked for this transaction against others that would change it; runs may still begin on it."""
    dataset = get(session, project_id=project_id, dataset_id=dataset_id)
    session.refresh(dataset, with_for_update={"key_share": True})
    return dataset


def add_inputs(
    session: Session, *, dataset: Dataset, modality: str, payload: str, provenance: dict[str, Any]
) -> None:
    """Give a dataset of labels alone its inputs. The caller holds it. What it is made of, and its fingerprint, stay.

    Parameters
    ----------
    provenance
        Where they came from; `fingerprint` in it is the SHA-256 of the inputs.
    """
    dataset.modality, dataset.payload = modality, payload
    dataset.source = dataset.source | {INPUTS: provenance}
    session.flush()


def inputs_fingerprint(dataset: Dataset) -> str:
    """By which caches know the inputs: that of the dataset, or of the inputs where these were added later.

    The fingerprint of a dataset of labels alone says nothing of its inputs: two of the same labels may get others.
    """
    return str(dataset.source.get(INPUTS, {}).get("fingerprint", dataset.fingerprint))


def listed(
    session: Session, *, project_id: int, name: str | None = None, below: int | None = None, limit: int = 100
) -> tuple[Sequence[Dataset], int | None]:
    statement = select(Dataset).where(Dataset.project_id == project_id)
    if name is not None:
        statement = statement.where(Dataset.name == name)
    return newest_first(session, statement, number=Dataset.id, below=below, limit=limit)


def with_inputs(session: Session, *, fingerprint: str) -> int:
    """How many datasets, in all projects, have inputs of this fingerprint."""
    return session.scalar(select(func.count()).where(INPUTS_FINGERPRINT == fingerprint)) or 0


def all_inputs(session: Session) -> set[str]:
    """The fingerprints of all inputs, in all projects."""
    return set(session.scalars(select(INPUTS_FINGERPRINT)))
