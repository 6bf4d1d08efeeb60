"""⑥ Deleting: what depends is named first, rows go in the request's transaction, space comes back after it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from fastapi import BackgroundTasks, Depends, Query
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.deps import Server, ServerDep, SessionDep
from app.settings import AppSettings
from sondage.errors import SondageError
from sondage.wire import Deleted, Dependant
from store import datasets, deletion
from store.engine import Database
from store.sweep import remove_all
from store.sweep import sweep as sweep_folders
from store.tables import Dataset, Project

logger = logging.getLogger("app")


@dataclass(frozen=True)
class Deletion:
    """How a DELETE was asked for, and what it needs."""

    server: Server
    session: Session
    tasks: BackgroundTasks
    dry_run: bool
    cascade: bool

    def delete(self, project: Project, kind: str, number: int) -> Deleted:
        """Name or remove the thing and what depends on it. The caller has checked that it is the project's."""
        if self.dry_run:
            depending = deletion.dependants(self.session, kind=kind, number=number)
        else:
            folders = self._folders(project, kind, number)
            depending = deletion.remove(self.session, kind=kind, number=number, cascade=self.cascade)
            self.tasks.add_task(_give_space_back, self.server, folders)
        named = [Dependant.model_validate(asdict(subject)) for subject in depending]
        return Deleted(kind=kind, id=number, dependants=named, dry_run=self.dry_run)

    def _folders(self, project: Project, kind: str, number: int) -> list[Path]:
        """Those of the thing and of its dependants, looked up while the rows are there."""
        everything = [*deletion.dependants(self.session, kind=kind, number=number)]
        runs = [subject.id for subject in everything if subject.kind == "run"]
        data_dir = self.server.settings.data_dir
        folders = [
            data_dir / "runs" / str(run_id) for run_id in (*runs, *([number] if kind == "run" else []))
        ]
        if kind == "dataset":
            dataset = datasets.get(self.session, project_id=project.id, dataset_id=number)
            # Without inputs there is no payload, and the folder of "" would be the whole data folder.
            folders += [data_dir / dataset.payload] if dataset.payload else []
            folders += self._cache(dataset)
        return folders

    def _cache(self, dataset: Dataset) -> list[Path]:
        """The decoded training arrays, unless another dataset has the same content."""
        fingerprint = datasets.inputs_fingerprint(dataset)
        if datasets.with_inputs(self.session, fingerprint=fingerprint) > 1:
            return []
        return [self.server.settings.data_dir / "cache" / fingerprint]


def _give_space_back(server: Server, folders: Sequence[Path]) -> None:
    """After the answer: a failure here loses nothing but space, so it is logged, and the sweep tries again."""
    server.payloads.forget(folders)
    remove_all(folders)
    try:
        deletion.reclaim(server.database.engine)
    except DBAPIError as fault:
        logger.warning("the space of deleted rows was not given back: %s", fault)
    sweep(server.settings, server.database)


def sweep(settings: AppSettings, database: Database) -> None:
    """Remove what lies in the data folder for nothing; whatever hinders it is logged."""
    try:
        for folder in sweep_folders(database.engine, settings.data_dir, upload_days=settings.upload_days):
            logger.info("swept %s", folder)
    except (OSError, DBAPIError, SondageError) as fault:
        logger.warning("the data folder was not swept: %s", fault)


def get_deletion(
    server: ServerDep,
    session: SessionDep,
    tasks: BackgroundTasks,
    dry_run: Annotated[bool, Query(description="Only name what would go.")] = False,
    cascade: Annotated[bool, Query(description="Delete what depends on it as well.")] = False,
) -> Deletion:
    return Deletion(server, session, tasks, dry_run, cascade)


DeletionDep = Annotated[Deletion, Depends(get_deletion)]
