"""What a trained model makes of rows in evaluation mode: logits, and what its last linear layer is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sondage.types import AnyArray, Rows
from worker.data.loader import Loader, TrainingData
from worker.training.passes import Trainer

BATCH_SIZE = 256


@torch.no_grad()
def outputs(trainer: Trainer, rows: Rows, data: TrainingData | None = None) -> tuple[AnyArray, AnyArray]:
    """Logits and penultimate features of some rows, float32, shapes (n, classes) and (n, width).

    Of the trainer's own data, or of others in the same form, which are prepared by the statistics of the trainer's.
    """
    loader = trainer.loader if data is None else Loader(data, trainer.device)
    trainer.model.eval()
    logits: list[AnyArray] = []
    features: list[AnyArray] = []

    def keep(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        features.append(given[0].float().numpy(force=True))

    hook = _last_linear(trainer.model).register_forward_pre_hook(keep)
    try:
        for batch in loader.batches(rows, BATCH_SIZE):
            logits.append(trainer.logits(batch).float().numpy(force=True))
    finally:
        hook.remove()
    return np.concatenate(logits), np.concatenate(features)


def _last_linear(model: nn.Module) -> nn.Linear:
    layers: list[Any] = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    last: nn.Linear = layers[-1]
    return last
