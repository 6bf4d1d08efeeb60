"""② The job `train`: one run, from its dataset and suite to a curve for every row.

It can be killed anywhere. An epoch is committed in one transaction (its blocks, its `epochs` row, the progress), after
its checkpoint is durable; the next attempt goes on behind the last committed one and records the same curves.

The checkpoints of a run that failed or was aborted stay, so that it can be resumed; they go when it has finished, or
with the run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sondage.errors import InvalidInput
from sondage.probes.suite import SuiteDefinition
from sondage.recipe import Recipe
from sondage.recorder import Channels, Metrics
from store import curves, examples, jobs, runs
from store.datasets import inputs_fingerprint
from store.examples import ExampleColumns
from store.payloads import open_payload
from store.tables import Dataset, Run, Suite
from worker.context import Work
from worker.data.arrays import TrainingArrays, training_arrays
from worker.data.loader import SPLITS, TrainingData
from worker.jobs.planting import OwnExamples, Planted, planted_probes
from worker.training.checkpoint import CheckpointStore
from worker.training.loop import Progress, recorder_for, train


def train_run(work: Work) -> None:
    """Train from the first epoch that is not committed to the last, then settle the job."""
    device = _device(work.settings.device)
    _clear_finished(work)
    with work.transaction() as session:
        run = session.get_one(Run, work.run_id)
        dataset = session.get_one(Dataset, run.dataset_id)
        suite = None if run.suite_id is None else session.get_one(Suite, run.suite_id)
        columns = examples.columns(session, dataset_id=dataset.id)
        last = runs.last_closed_epoch(session, run_id=run.id)
    recipe = Recipe.from_dict(run.recipe)
    work.report(unit="epoch", done=0 if last is None else last + 1, total=run.num_epochs, phase="preparing")
    data = _assemble(work, run, dataset, suite, columns, recipe)
    if work.settings.num_threads is not None:
        torch.set_num_threads(work.settings.num_threads)
    checkpoint = _checkpoints(work, run.id)
    train(
        data,
        recipe,
        recorder_for(data, recipe, StoreSink(work, run.id, run.num_epochs), device=device),
        seed=run.seed,
        device=device,
        checkpoint=checkpoint,
        start_epoch=0 if last is None else last + 1,
        on_progress=lambda progress: _report(work, progress),
        allowed_modules=work.settings.model_modules,
    )
    work.patiently(lambda: _finish(work))
    checkpoint.clear()


def _checkpoints(work: Work, run_id: int) -> CheckpointStore:
    return CheckpointStore(work.data_dir / "runs" / str(run_id) / "checkpoints")


def _clear_finished(work: Work) -> None:
    """Drop the checkpoints of runs that have finished, whose process was killed before it could."""
    folders = (work.data_dir / "runs").glob("*/checkpoints")
    numbers = [int(folder.parent.name) for folder in folders if folder.parent.name.isdecimal()]
    with work.transaction() as session:
        finished = runs.finished(session, run_ids=numbers)
    for run_id in finished:
        _checkpoints(work, run_id).clear()


@dataclass(frozen=True)
class StoreSink:
    """Commits one epoch at a time to the database, and waits for it when it is away."""

    work: Work
    run_id: int
    num_epochs: int

    def write_epoch(self, epoch: int, channels: Channels, metrics: Metrics) -> None:
        self.work.patiently(lambda: self._write(epoch, channels, metrics))

    def _write(self, epoch: int, channels: Channels, metrics: Metrics) -> None:
        work = self.work
        with work.transaction() as session:
            job = jobs.hold(session, job_id=work.job_id, attempt=work.attempt)
            done = {"unit": "epoch", "done": epoch + 1, "total": self.num_epochs}
            job.progress = job.progress | done
            curves.write_epoch(session, run_id=self.run_id, epoch=epoch, channels=channels)
            runs.close_epoch(
                session, run_id=self.run_id, epoch=epoch, attempt=work.attempt, metrics=_finite(metrics)
            )


def _finite(metrics: Metrics) -> dict[str, Any]:
    """JSON has no NaN."""
    return {name: value if value is None or math.isfinite(value) else None for name, value in metrics.items()}


def _finish(work: Work) -> None:
    with work.transaction() as session:
        jobs.finish(session, job_id=work.job_id, attempt=work.attempt, result={"run_id": work.run_id})


def _report(work: Work, progress: Progress) -> None:
    """Twice a second at most. A database that is away is no reason to stop: the epoch's commit waits for it."""
    share = progress.batches_done / progress.num_batches

    def tell() -> None:
        work.report(
            unit="epoch",
            done=progress.epoch + share,
            total=progress.num_epochs,
            epoch=progress.epoch,
            num_epochs=progress.num_epochs,
            examples_per_second=round(progress.examples_per_second, 1),
            seconds_left=round(progress.seconds_left, 1),
        )

    work.if_possible(tell)


def _assemble(
    work: Work, run: Run, dataset: Dataset, suite: Suite | None, columns: ExampleColumns, recipe: Recipe
) -> TrainingData:
    arrays = training_arrays(
        open_payload(work.data_dir / dataset.payload),
        cache=work.data_dir / "cache",
        fingerprint=inputs_fingerprint(dataset),
        image_size=recipe.image_size,
    )
    planted = _plant(work, run, dataset, suite, arrays, columns)
    return TrainingData.assemble(
        dataset.modality,
        arrays.arrays,
        columns.labels,
        len(dataset.class_names),
        split=_split_codes(columns),
        probes=None if planted is None else planted.inputs,
        probe_labels=None if planted is None else planted.labels,
        displaced=() if planted is None else planted.displaced,
    )


def _plant(
    work: Work,
    run: Run,
    dataset: Dataset,
    suite: Suite | None,
    arrays: TrainingArrays,
    columns: ExampleColumns,
) -> Planted | None:
    if suite is None:
        return None
    definition = SuiteDefinition.from_dict(suite.definition)
    own = OwnExamples.of(work, suite)
    return planted_probes(work, run, definition, arrays, columns, dataset.class_names, own)


def _split_codes(columns: ExampleColumns) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Positions in `SPLITS`; where there is no validation split, accuracy is measured on the test split."""
    codes = np.full(len(columns.labels), SPLITS.index("test"), dtype=np.int8)
    codes[columns.validation_rows] = SPLITS.index("validation")
    codes[columns.train_rows] = SPLITS.index("train")
    return codes


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as fault:  # an assertion: this torch was built without CUDA
        said = str(fault).strip().splitlines() or [type(fault).__name__]
        raise InvalidInput(
            f"SONDAGE_DEVICE={wanted} cannot be used here ({said[0]}); set it to auto, cpu, cuda or cuda:1 and start "
            "the worker again.",
            field="SONDAGE_DEVICE",
        ) from fault
    return device
