"""② One pass over rows: the pass that trains, the pass that only looks, and accuracy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sondage.errors import InvalidInput
from sondage.recipe import Recipe
from worker.data.loader import Batch, Loader, TrainingData, batch_bounds
from worker.data.prepare import Preparation
from worker.training.models import build_model
from worker.training.optimise import build_optimiser, learning_rate, set_learning_rate
from worker.training.seeding import derived_seed, generator

Rows = np.ndarray[Any, Any]
Record = Callable[[Tensor, Tensor, Tensor], None]
"""Takes rows, logits and given labels of a batch (`Recorder.log`)."""


@dataclass(frozen=True)
class Trainer:
    """A model with all that turns rows of the data into steps. `build` makes one for a recipe."""

    recipe: Recipe
    seed: int
    device: torch.device
    num_classes: int
    model: nn.Module
    optimiser: torch.optim.Optimizer
    loader: Loader
    prepare: Preparation

    @classmethod
    def build(
        cls,
        data: TrainingData,
        recipe: Recipe,
        *,
        seed: int,
        device: torch.device,
        allowed_modules: Collection[str] = (),
        resident: bool | None = None,
    ) -> Trainer:
        """Initialise the model from the seed and place the data."""
        channels_last = recipe.channels_last == "auto" and device.type == "cuda"
        prepare = Preparation(
            data, device, how=recipe.augment, image_size=recipe.image_size, channels_last=channels_last
        )
        torch.manual_seed(derived_seed(seed, "model"))
        model = build_model(recipe, data.spec, allowed_modules=allowed_modules).to(device)
        if channels_last and data.inputs.modality == "image":
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it
        return cls(
            recipe=recipe,
            seed=seed,
            device=device,
            num_classes=data.num_classes,
            model=model,
            optimiser=build_optimiser(recipe, model),
            loader=Loader(data, device, resident=resident),
            prepare=prepare,
        )

    def logits(self, batch: Batch, augmentation: torch.Generator | None = None) -> Tensor:
        """Prepare a batch and run the model on it; without a generator nothing is augmented."""
        inputs = self.prepare(batch.inputs, augmentation)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._uses_bfloat16()):
            logits: Tensor = self.model(*inputs)
        if logits.shape != (len(batch.rows), self.num_classes):
            raise InvalidInput(
                f"The model {self.recipe.model} gave outputs of shape {tuple(logits.shape)} for "
                f"{len(batch.rows)} examples of {self.num_classes} classes: it must return one logit per class.",
                field="model",
            )
        return logits

    def state(self) -> dict[str, Any]:
        """All that the next epoch needs of the ones before; everything else follows from seed and epoch."""
        return {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _uses_bfloat16(self) -> bool:
        return self.recipe.mixed_precision == "auto" and self.device.type == "cuda" and _has_bfloat16()


def training_pass(
    trainer: Trainer,
    order: Rows,
    epoch: int,
    record: Record | None,
    after_batch: Callable[[int], None] = lambda batches_done: None,
) -> None:
    """Train on every row once, in this order.

    Parameters
    ----------
    trainer : Trainer
    order : int64 array
        The train rows in the order of this epoch.
    epoch : int
    record : callable, optional
        Gets every batch's rows, logits and labels.
    after_batch : callable
        Gets the number of batches done.
    """
    recipe, optimiser = trainer.recipe, trainer.optimiser
    torch.manual_seed(derived_seed(trainer.seed, "dropout", epoch))
    augmentation = generator(trainer.seed, "augment", epoch, trainer.device)
    steps_per_epoch = len(batch_bounds(len(order), recipe.batch_size))
    trainer.model.train()
    for index, batch in enumerate(trainer.loader.batches(order, recipe.batch_size)):
        set_learning_rate(optimiser, learning_rate(recipe, epoch * steps_per_epoch + index, steps_per_epoch))
        logits = trainer.logits(batch, augmentation)
        loss = functional.cross_entropy(logits.float(), batch.labels, label_smoothing=recipe.label_smoothing)
        if record is not None:
            record(batch.rows, logits, batch.labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        after_batch(index + 1)


def evaluation_pass(
    trainer: Trainer, rows: Rows, record: Record, after_batch: Callable[[], None] = lambda: None
) -> None:
    """Record rows in evaluation mode: no augmentation, no dropout, running statistics; nothing is learned."""
    for batch, logits in _evaluated(trainer, rows):
        record(batch.rows, logits, batch.labels)
        after_batch()


def accuracy(trainer: Trainer, rows: Rows, after_batch: Callable[[], None] = lambda: None) -> float | None:
    """Share of rows whose given label is predicted, in evaluation mode; None of no rows."""
    if not len(rows):
        return None
    correct = torch.zeros((), dtype=torch.int64, device=trainer.device)
    for batch, logits in _evaluated(trainer, rows):
        correct += (logits.argmax(dim=1) == batch.labels).sum()
        after_batch()
    return int(correct) / len(rows)


@torch.no_grad()
def _evaluated(trainer: Trainer, rows: Rows) -> Iterator[tuple[Batch, Tensor]]:
    trainer.model.eval()
    # Without gradients a batch takes less than half the room.
    for batch in trainer.loader.batches(rows, 2 * trainer.recipe.batch_size):
        yield batch, trainer.logits(batch)


def _has_bfloat16() -> bool:
    """In hardware: emulated bfloat16 is slower than float32."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
