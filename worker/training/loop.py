"""② The training of one run, told once: epochs, their record, their checkpoint; resumable after any death.

Everything random in an epoch is drawn anew from the seed and the epoch's number, and the model and optimiser
come from the checkpoint of the epoch before. A training that was killed and goes on therefore records the
same curves as one that was not. Tested: stopped in the middle of an epoch, and between the end of an epoch and
its commit; equal bit by bit on a CPU.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from sondage.errors import InvalidInput, JobAborted
from sondage.recipe import Recipe
from sondage.recorder import Channels, Recorder, Sink
from sondage.tagging.left_out import look_epochs
from sondage.torch import EpochBuffer
from worker.data.loader import TrainingData, batch_bounds
from worker.training.checkpoint import CheckpointStore
from worker.training.look import look
from worker.training.passes import Trainer, accuracy, evaluation_pass, training_pass

_PROGRESS_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """Where a training is. `seconds_left` supposes that the epochs to come take as long as this one."""

    epoch: int
    num_epochs: int
    batches_done: int
    num_batches: int
    examples_per_second: float
    seconds_left: float


OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


def recorder_for(
    data: TrainingData, recipe: Recipe, sink: Sink, *, device: str | torch.device = "cpu"
) -> Recorder:
    """A recorder for all rows of a run, on the device that trains."""
    buffer = EpochBuffer(data.num_rows, data.num_classes, device)
    return Recorder(buffer, sink, dtype=recipe.dtype)


def train(
    data: TrainingData,
    recipe: Recipe,
    recorder: Recorder,
    *,
    seed: int,
    device: str | torch.device = "cpu",
    checkpoint: CheckpointStore,
    start_epoch: int = 0,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    allowed_modules: Collection[str] = (),
) -> int:
    """Train, record and commit every epoch from `start_epoch` on.

    Parameters
    ----------
    data : TrainingData
    recipe : Recipe
    recorder : Recorder
        From `recorder_for`. Its sink commits an epoch only after the epoch's checkpoint is durable.
    seed : int
    device : str or torch.device
    checkpoint : CheckpointStore
        A folder of this run's own.
    start_epoch : int
        How many epochs are committed. Where the last one's checkpoint is lost, training goes on from an
        older one, or from the beginning, and writes the epochs between once more.
    on_progress : callable, optional
        Gets a `Progress` about twice a second.
    should_stop : callable, optional
        Asked after every batch, so it must be cheap; True ends the training at once.
    allowed_modules : collection of str
        Where models of the user's own may come from.

    Returns
    -------
    int
        The epoch that was trained first: `start_epoch`, or less where checkpoints were lost.

    Raises
    ------
    InvalidInput
        The recipe does not fit the data, the device's memory does not suffice, or the training diverged:
        no loss of a whole epoch is finite.
    JobAborted
        `should_stop` said so. The epoch under way is forgotten.
    Forbidden
        The recipe's own model is in a module that is not allowed.
    Conflict
        The checkpoints are another training's.
    """
    device = torch.device(device)
    if not 0 <= start_epoch <= recipe.num_epochs:
        raise InvalidInput(
            f"start_epoch is {start_epoch}; this training has {recipe.num_epochs} epochs.",
            field="start_epoch",
        )
    if start_epoch == recipe.num_epochs:
        return start_epoch
    with _algorithms(recipe), _memory_errors(recipe):
        trainer = Trainer.build(data, recipe, seed=seed, device=device, allowed_modules=allowed_modules)
        training = _fingerprint(data, recipe, seed)
        first_epoch, state = checkpoint.load_latest(start_epoch, training, device)
        if state is not None:
            trainer.load_state(state)
        recorder.discard()
        for epoch in range(first_epoch, recipe.num_epochs):
            watch = _Watch(epoch, data, recipe, on_progress, should_stop)

            order = data.epoch_permutation(seed, epoch)
            training_pass(
                trainer, order, epoch, None if recipe.evaluates else recorder.log, watch.after_batch
            )
            _wait_for(device)
            rate = watch.examples_per_second
            if recipe.evaluates:
                evaluation_pass(trainer, _evaluated_rows(data, recipe), recorder.log, watch.check)

            channels = recorder.collect()
            if epoch in look_epochs(recipe.num_epochs):
                channels |= look(trainer, data, watch.check)
            metrics: dict[str, float | None] = _train_metrics(channels, data, recipe, epoch)
            metrics["validation_accuracy"] = accuracy(trainer, data.validation_rows, watch.check)
            metrics["examples_per_second"] = rate

            # In this order: an epoch that is committed can be resumed from.
            checkpoint.save(epoch, {"training": training, "epoch": epoch, **trainer.state()})
            metrics["seconds"] = watch.seconds
            recorder.commit(epoch, metrics)
        return first_epoch


class _Watch:
    """The clock of one epoch: tells progress now and then, and asks after every batch whether to stop."""

    def __init__(
        self,
        epoch: int,
        data: TrainingData,
        recipe: Recipe,
        on_progress: OnProgress | None,
        should_stop: ShouldStop | None,
    ) -> None:
        self._on_progress, self._should_stop = on_progress, should_stop
        self._num_rows = len(data.train_rows)
        self._num_batches = len(batch_bounds(self._num_rows, recipe.batch_size))
        self._progress = partial(Progress, epoch, recipe.num_epochs)
        self._epochs_after = recipe.num_epochs - epoch - 1
        self._started = self._told = time.perf_counter()
        self._rows_done = 0.0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    @property
    def examples_per_second(self) -> float:
        return self._rows_done / max(self.seconds, 1e-9)

    def after_batch(self, batches_done: int) -> None:
        self.check()
        self._rows_done = self._num_rows * batches_done / self._num_batches
        now = time.perf_counter()
        last = batches_done == self._num_batches
        if self._on_progress is not None and (last or now - self._told >= _PROGRESS_SECONDS):
            self._told = now
            rate = self.examples_per_second
            rows_left = self._num_rows * (1 + self._epochs_after) - self._rows_done
            self._on_progress(self._progress(batches_done, self._num_batches, rate, rows_left / rate))

    def check(self) -> None:
        if self._should_stop is not None and self._should_stop():
            raise JobAborted("The training was stopped; the epochs committed so far are kept.")


def _evaluated_rows(data: TrainingData, recipe: Recipe) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    extra = [data.displaced_rows] if recipe.score_displaced else []
    return np.sort(np.concatenate([data.train_rows, *extra]))


def _train_metrics(
    channels: Channels, data: TrainingData, recipe: Recipe, epoch: int
) -> dict[str, float | None]:
    """Mean loss (over finite ones), accuracy and the number of losses that are not finite, of the train rows."""
    rows = data.train_rows
    loss = channels["loss"][rows]
    finite = np.isfinite(loss)
    if not finite.any():
        raise InvalidInput(
            f"The training diverged: no loss of epoch {epoch} is a finite number. Lower lr (now {recipe.lr:g}; "
            f"try {recipe.lr / 10:g}) or warm up for longer, and check the inputs for extreme values.",
            field="lr",
        )
    return {
        "train_loss": float(loss[finite].mean(dtype=np.float64)),
        "train_accuracy": float((channels["predicted"][rows] == data.labels[rows]).mean()),
        "num_nonfinite": float(len(rows) - finite.sum()),
    }


def _fingerprint(data: TrainingData, recipe: Recipe, seed: int) -> str:
    """Tells one training's checkpoints from another's."""
    digest = hashlib.sha256(json.dumps([recipe.to_dict(), seed, data.num_classes], sort_keys=True).encode())
    digest.update(data.labels.tobytes())
    digest.update(data.train_rows.tobytes())
    return digest.hexdigest()


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _algorithms(recipe: Recipe) -> Iterator[None]:
    """Set torch's switches for speed or for repeatability, and put them back."""
    before = torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
    if recipe.deterministic:
        # cuBLAS reads it when first used in the process.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The same switch as torch.use_deterministic_algorithms, which imports torch's compiler to tell it: 1.3 s.
    torch.set_deterministic_debug_mode("error" if recipe.deterministic else "default")
    torch.backends.cudnn.benchmark = not recipe.deterministic
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before[0])
        torch.backends.cudnn.benchmark = before[1]


@contextmanager
def _memory_errors(recipe: Recipe) -> Iterator[None]:
    """Turn "out of memory" into what to do about it."""
    try:
        yield
    except (torch.cuda.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_out_of_memory(error):
            raise
        raise InvalidInput(
            f"Out of memory at batch_size {recipe.batch_size}: lower it ({max(2, recipe.batch_size // 2)}, say), "
            "or take a smaller model or image_size, or free the device of other programs.",
            field="batch_size",
        ) from error


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Torch has a class for a GPU's memory only; the CPU's allocator says it in words."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(error)
