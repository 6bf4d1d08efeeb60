"""The trainings of a cell, by the worker's own parts: plan, made probes, loop, recorder; only the database is left out.

Two runs with disjoint displaced sources (slots 0 and 1 of 2), the default suite of the modality and the default recipe,
with the epochs of the data row where that names fewer. The planting seed is the cell's seed; training seeds are 2·seed
and 2·seed + 1.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.truth_parts.cells import Cell, CellRun
from benchmarks.truth_parts.hidden import outputs
from benchmarks.truth_parts.noise import NOISES
from benchmarks.truth_parts.rows import DataRow, join, take
from sondage.curves import Curves
from sondage.probes.generators import make_probe_inputs
from sondage.probes.plan import ProbePlan, plan_probes
from sondage.probes.suite import SuiteDefinition, default_suite
from sondage.recipe import Recipe, default_recipe
from sondage.recorder import MemorySink, Metrics, Recorder
from sondage.tagging.left_out import look_epochs
from sondage.tagging.tag import RunCurves
from sondage.torch import EpochBuffer
from sondage.types import AnyArray, Labels
from worker.data.arrays import encode
from worker.data.loader import SPLITS, TrainingData
from worker.jobs.planting import REFERENCE_ROWS
from worker.training.checkpoint import CheckpointStore, State
from worker.training.loop import train
from worker.training.passes import Trainer

NUM_RUNS = 2
CPU = torch.device("cpu")


def train_cell(row: DataRow, noise: str, seed: int) -> Cell:
    """Set labels wrong, plant, train, and look at the trained models. About 5 to 90 seconds on one core."""
    started = time.process_time()
    given = NOISES[noise](row, seed)
    labelled = time.process_time()
    definition, recipe = default_suite(seed=seed), recipe_for(row)
    runs = tuple(train_run(row, given, definition, recipe, seed, slot) for slot in range(NUM_RUNS))
    return Cell(
        row=row.name,
        noise=noise,
        seed=seed,
        num_classes=row.num_classes,
        definition=definition,
        given=given,
        truth=row.labels,
        runs=runs,
        meta={
            "recipe": recipe.to_dict(),
            "true_rate": float((given != row.labels).mean()),
            "training_seeds": [training_seed(seed, slot) for slot in range(NUM_RUNS)],
            "label_seconds": labelled - started,
            "train_seconds": time.process_time() - labelled,
        },
    )


def recipe_for(row: DataRow) -> Recipe:
    recipe = default_recipe(row.modality, len(row), row.num_classes)
    return recipe if row.num_epochs is None else replace(recipe, num_epochs=row.num_epochs)


def training_seed(seed: int, slot: int) -> int:
    return NUM_RUNS * seed + slot


def train_run(
    row: DataRow, given: Labels, definition: SuiteDefinition, recipe: Recipe, seed: int, slot: int
) -> CellRun:
    """One training with its probes, recorded as the worker records it."""
    plan = plan_probes(
        definition, given, np.arange(len(row)), row.num_classes, seed=seed, slot=slot, num_slots=NUM_RUNS
    )
    data = _assemble(row, given, plan, probe_inputs(row, plan, definition.seed, slot))
    sink, checkpoint = MemorySink(), _LastState()
    recorder = _WideRecorder(data, sink, recipe.dtype)
    train(data, recipe, recorder, seed=training_seed(seed, slot), checkpoint=checkpoint)
    trainer = Trainer.build(data, recipe, seed=training_seed(seed, slot), device=CPU)
    trainer.load_state(checkpoint.state)
    kept = np.delete(np.arange(data.num_rows), data.validation_rows)
    logits, features = outputs(trainer, kept)
    return CellRun(
        curves=RunCurves(
            curves=Curves({name: sink.curves(name)[kept] for name in ("loss", "margin", "predicted")}),
            labels=data.labels[kept],
            probes=plan.probes(len(row)),
            displaced=data.displaced_rows,
            name=f"slot {slot}",
            looks={
                epoch: sink.channels[epoch]["label_odds"][kept] for epoch in look_epochs(recipe.num_epochs)
            },
        ),
        extra=Curves({name: np.stack(values, axis=1)[kept] for name, values in recorder.extra.items()}),
        logits=logits,
        features=features,
        validation_accuracy=np.array([one["validation_accuracy"] for one in sink.metrics.values()]),
    )


def probe_inputs(row: DataRow, plan: ProbePlan, suite_seed: int, slot: int) -> Any:
    """The inputs of all probes in the plan's order, drawn as the worker draws them (`worker.jobs.planting`)."""
    rng = np.random.default_rng([suite_seed, slot, NUM_RUNS])
    sample = np.sort(rng.permutation(np.arange(len(row)))[:REFERENCE_ROWS])
    reference, made = take(row.inputs, sample), None
    next_place = 0
    for generator, positions in plan.groups():
        assert positions[0] == next_place
        assert positions[-1] == next_place + len(positions) - 1
        next_place += len(positions)
        source = take(row.inputs, plan.source_row[positions])
        part = make_probe_inputs(row.modality, generator, source, reference, rng)
        made = part if made is None else join(made, part)
    return made


def _assemble(row: DataRow, given: Labels, plan: ProbePlan, made: Any) -> TrainingData:
    """Examples, held-out rows (for accuracy alone; cut out of the record afterwards), probes."""
    split = np.zeros(len(row) + len(row.held_out_labels), dtype=np.int8)
    split[len(row) :] = SPLITS.index("validation")
    return TrainingData.assemble(
        row.modality,
        encode(join(row.inputs, row.held_out)),
        np.concatenate([given, row.held_out_labels]),
        row.num_classes,
        split=split,
        probes=encode(made),
        probe_labels=plan.label,
        displaced=plan.source_row,
    )


class _LastState(CheckpointStore):
    """Keeps the newest state in memory: a training of seconds is begun anew, not resumed."""

    def __init__(self) -> None:
        self.state: State = {}

    def save(self, epoch: int, state: State) -> None:
        self.state = state

    def load_latest(
        self, before_epoch: int, training: str, device: torch.device | str = "cpu"
    ) -> tuple[int, State | None]:
        return 0, None


class _WideRecorder(Recorder):
    """Records what the worker records, and beside it el2n and the likeliest class but the given label's."""

    def __init__(self, data: TrainingData, sink: MemorySink, dtype: str) -> None:
        super().__init__(EpochBuffer(data.num_rows, data.num_classes, CPU), sink, dtype=dtype)
        self._num_rows = data.num_rows
        self.extra: dict[str, list[AnyArray]] = {"el2n": [], "runner_up": []}
        self._begin()

    def log(self, rows: Any, logits: Any, labels: Any, loss: Any = None) -> None:
        super().log(rows, logits, labels, loss)
        with torch.no_grad():
            own = torch.nn.functional.one_hot(labels, logits.shape[1])
            error = torch.linalg.vector_norm(logits.float().softmax(dim=1) - own, dim=1)
            other = logits.masked_fill(own.bool(), -torch.inf).argmax(dim=1)
        self._el2n[rows.numpy()] = error.numpy()
        self._runner_up[rows.numpy()] = other.numpy()

    def commit(self, epoch: int, metrics: Metrics) -> None:
        super().commit(epoch, metrics)
        self.extra["el2n"].append(self._el2n)
        self.extra["runner_up"].append(self._runner_up)
        self._begin()

    def _begin(self) -> None:
        self._el2n = np.full(self._num_rows, np.nan, dtype=np.float32)
        self._runner_up = np.full(self._num_rows, -1, dtype=np.int16)
