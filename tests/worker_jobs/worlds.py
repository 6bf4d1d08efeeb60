"""A data folder, a database and real workers on them, as the tests of jobs need them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from sqlalchemy import text
from sqlalchemy.orm import Session

from sondage.probes.suite import SuiteDefinition, default_suite
from sondage.recipe import Recipe
from sondage.wire import Source
from store import curves, datasets, jobs, projects, runs, suites, taggings
from store.engine import Database, transaction
from store.payloads import PayloadWriter
from store.tables import Dataset, Epoch, Job, Run, Suite, Tagging
from worker.data.sources import read_source
from worker.jobs.register import new_dataset

ROOT = Path(__file__).resolve().parents[2]
SLOW_MODEL = "tests.worker_jobs.slow_model"
BATCH_SIZE, NUM_EPOCHS = 50, 4
PASSES_PER_EPOCH = 6
CHANNELS = ("loss", "margin", "predicted")
LOOKS = {"label_odds", "distance"}
"""Channels of some epochs alone."""
OPEN = ("queued", "running")
DIGITS = {"kind": "digits", "limit": 330, "validation_share": 0.1, "noise": {"share": 0.1, "seed": 1}}
"""About 300 train examples: six batches."""


def wait_until(happened: Callable[[], Any], what: str, *, seconds: float = 60.0) -> Any:
    """Ask again and again, at growing intervals; the first answer that is true."""
    deadline = time.monotonic() + seconds
    pause = 0.02
    while not (answer := happened()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(pause)
        pause = min(1.5 * pause, 0.1)  # each question is a transaction, or a look at all processes
    return answer


@dataclass
class World:
    """One data folder with its database. `worker` starts a real `python -m worker` on it."""

    database: Database
    data_dir: Path
    settings: dict[str, str] = field(default_factory=dict)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    # ---- processes

    def environment(self) -> dict[str, str]:
        given = {
            "SONDAGE_DATA_DIR": str(self.data_dir),
            "SONDAGE_NUM_THREADS": "1",
            "SONDAGE_HEARTBEAT_SECONDS": "0.3",
            "SONDAGE_STALLED_SECONDS": "1.5",
            "SONDAGE_MODEL_MODULES": SLOW_MODEL,
            "OMP_NUM_THREADS": "1",
        }
        if self.database.embedded is None:
            given["SONDAGE_DATABASE_URL"] = self.database.engine.url.render_as_string(hide_password=False)
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SONDAGE_")}
        return ours | given | self.settings

    def start_worker(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "worker", *arguments]
        with (self.data_dir / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                command, cwd=ROOT, env=self.environment(), stdout=log, stderr=log, **options
            )
        self.workers.append(worker)
        return worker

    @contextmanager
    def worker(self, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        worker = self.start_worker(*arguments, **options)
        try:
            yield worker
        finally:
            stop(worker)

    def log(self) -> str:
        path = self.data_dir / "worker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def processes(self) -> list[psutil.Process]:
        """All that work for this data folder: workers, children, and what they started; not Postgres."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE or "worker" not in " ".join(process.cmdline()):
                return False
            return process.environ().get("SONDAGE_DATA_DIR") == str(self.data_dir)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def child(self) -> psutil.Process | None:
        found = [process for process in self.processes() if "worker.child" in process.cmdline()]
        return found[0] if found else None

    def assert_nobody_left(self, *, seconds: float = 5.0) -> None:
        wait_until(lambda: not self.processes(), f"all processes gone: {self.processes()}", seconds=seconds)

    # ---- the gate in the slow model

    def close_gate(self, after_passes: int) -> None:
        """The next training process waits after so many forward passes."""
        self.gate.with_name("gate.new").write_text(str(after_passes))
        self.gate.with_name("at_gate").unlink(missing_ok=True)
        self.gate.with_name("gate.new").rename(self.gate)

    def wait_at_gate(self) -> None:
        wait_until(self.gate.with_name("at_gate").exists, "the training reached the gate")

    def open_gate(self) -> None:
        self.gate.unlink(missing_ok=True)

    @property
    def gate(self) -> Path:
        return self.data_dir / "gate"

    # ---- the store

    @contextmanager
    def session(self) -> Iterator[Session]:
        with transaction(self.database.engine) as session:
            yield session

    def job(self, job_id: int) -> Job:
        with self.session() as session:
            return session.get_one(Job, job_id)

    def run(self, run_id: int) -> Run:
        with self.session() as session:
            return session.get_one(Run, run_id)

    def tagging(self, tagging_id: int) -> Tagging:
        with self.session() as session:
            return session.get_one(Tagging, tagging_id)

    def wait_for(self, job_id: int, *states: str, seconds: float = 90.0) -> Job:
        """Until the job is in one of these states, or has ended when none is named."""
        wait_until(
            lambda: self._has_come(job_id, states), f"job {job_id} {states or 'ended'}", seconds=seconds
        )
        return self.job(job_id)

    def _has_come(self, job_id: int, states: Sequence[str]) -> bool:
        state = self.job(job_id).state
        return state in states if states else state not in OPEN

    def succeed(self, job_id: int) -> Job:
        job = self.wait_for(job_id)
        assert job.state == "succeeded", f"{job.state}: {job.error}\n{self.log()[-3000:]}"
        return job

    def abort(self, job_id: int) -> None:
        with self.session() as session:
            project = projects.ensure(session)
            jobs.request_abort(session, project_id=project.id, job_id=job_id)

    def register(self, source: dict[str, Any], *, name: str = "digits") -> int:
        """The number of a job that registers a dataset."""
        with self.session() as session:
            project = projects.ensure(session)
            arguments = {"name": name, "source": source}
            return jobs.create(session, project_id=project.id, kind="register", arguments=arguments).id

    def dataset(self, job_id: int) -> Dataset:
        with self.session() as session:
            return session.get_one(Dataset, self.job(job_id).dataset_id)

    def digits(self) -> Dataset:
        return self.add(DIGITS, name="digits")

    def add(self, source: dict[str, Any], *, name: str) -> Dataset:
        """A dataset as a job would register it, read from the folder `sources` without one: by this process."""
        with PayloadWriter(self.data_dir / "datasets") as writer, self.session() as session:
            found = read_source(
                Source.model_validate(source), writer, resolve=(self.data_dir / "sources").joinpath
            )
            writer.finish()
            new = new_dataset(name, found)
            dataset, is_new = datasets.add(session, project_id=projects.ensure(session).id, new=new)
            if is_new:
                writer.publish(self.data_dir / dataset.payload)
        return dataset

    def suite(self, definition: SuiteDefinition | None = None) -> Suite:
        definition = definition or default_suite(count=40)
        with self.session() as session:
            return suites.add(
                session,
                project_id=projects.ensure(session).id,
                name=definition.name,
                digest=definition.digest(),
                definition=definition.to_dict(),
            )

    def train(
        self,
        dataset: Dataset,
        *,
        suite: Suite | None = None,
        seeds: Sequence[int] = (0,),
        tag: bool = False,
        **recipe: Any,
    ) -> Trainings:
        """Queued trainings, one per seed, and the tagging that waits for them."""
        chosen = Recipe.from_dict(SLOW | recipe)
        with self.session() as session:
            made = [
                runs.create(
                    session,
                    dataset=session.get_one(Dataset, dataset.id),
                    name=f"{time.monotonic_ns()}-s{seed}",
                    suite_id=None if suite is None else suite.id,
                    recipe=chosen.to_dict(),
                    protocol=chosen.protocol(),
                    num_epochs=chosen.num_epochs,
                    seed=seed,
                    slot=slot,
                    num_slots=len(seeds),
                )
                for slot, seed in enumerate(seeds)
            ]
            queued = [self._train_job(session, run) for run in made]
            tagging = None
            if tag and suite is not None:
                tagging = taggings.create(
                    session,
                    project_id=dataset.project_id,
                    runs=made,
                    suite_id=suite.id,
                    tagger="reference",
                )
        return Trainings(
            [run.id for run in made], [job.id for job in queued], None if tagging is None else tagging.id
        )

    def _train_job(self, session: Session, run: Run) -> Job:
        return jobs.create(session, project_id=run.project_id, kind="train", run_id=run.id)

    def epochs(self, run_id: int) -> list[Epoch]:
        with self.session() as session:
            return list(runs.epochs(session, run_id=run_id)[0])

    def recorded(self, run_id: int) -> dict[str, np.ndarray[Any, Any]]:
        """All channels of a run, [rows, epochs]."""
        with self.session() as session:
            run = session.get_one(Run, run_id)
            return {
                channel: curves.read_channel(session, run_id=run_id, channel=channel, num_rows=run.num_rows)
                for channel in curves.channels(session, run_id=run_id)
            }

    def scalar(self, query: str, **parameters: Any) -> Any:
        with self.session() as session:
            return session.scalar(text(query), parameters)


@dataclass(frozen=True)
class Trainings:
    run_ids: list[int]
    job_ids: list[int]
    tagging_id: int | None

    @property
    def run_id(self) -> int:
        return self.run_ids[0]

    @property
    def job_id(self) -> int:
        return self.job_ids[0]


SLOW: dict[str, Any] = {
    "model": f"{SLOW_MODEL}:build",
    "batch_size": BATCH_SIZE,
    "num_epochs": NUM_EPOCHS,
    "lr": 0.05,
    "augment": "shift",
}


def stop(worker: subprocess.Popen[bytes]) -> None:
    """In order, and for certain."""
    if worker.poll() is None:
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(15)
        except subprocess.TimeoutExpired:
            kill(worker)
            raise


def kill(process: subprocess.Popen[bytes] | psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
        process.wait(10)


def assert_equal_curves(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Bit by bit, the missing values too; in epochs behind the look at the features, what it saw as well."""
    assert sorted(found) == sorted(wanted)
    assert set(found) - LOOKS == set(CHANNELS)
    for channel in found:
        np.testing.assert_array_equal(found[channel], wanted[channel], err_msg=channel)
