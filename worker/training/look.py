"""③ The look at a model's features, once in a training: do the examples that it sees as alike have the same label?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sondage.tagging.agreement import agreement
from sondage.types import AnyArray
from worker.data.loader import TrainingData
from worker.training.passes import Trainer
from worker.training.seeding import derived_seed

WIDEST = 128
"""Wider features are projected to so many directions, drawn at random, which keep angles to about a tenth."""


def look(trainer: Trainer, data: TrainingData, check: Callable[[], None] = lambda: None) -> AnyArray | None:
    """The channel `agreement` of an epoch.

    Parameters
    ----------
    check : callable
        Called between batches; what it raises ends the look.

    Returns
    -------
    float32 array, shape (num_rows,), or None
        −1…1 (`sondage.tagging.agreement`); NaN for rows that are not of the train split. None for a model that does not
        end in a linear layer of one vector a row.
    """
    rows = np.sort(np.concatenate([data.train_rows, data.displaced_rows]))
    features = _features(trainer, rows, check)
    if features is None:
        return None
    out = np.full(data.num_rows, np.nan, dtype=np.float32)
    seed = derived_seed(trainer.seed, "look") % 2**32
    out[rows] = agreement(features, data.labels[rows], rows < data.num_examples, seed=seed, after_block=check)
    return out


@torch.no_grad()
def _features(trainer: Trainer, rows: AnyArray, check: Callable[[], None]) -> AnyArray | None:
    """What the last linear layer is given, in evaluation mode, float32 (rows, width); None where there is none."""
    layer = _last_linear(trainer)
    if layer is None:
        return None
    taken: list[Tensor] = []
    parts: list[AnyArray] = []
    narrow = _projection(layer.in_features, trainer)
    trainer.model.eval()
    hook = layer.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
    try:
        for batch in trainer.loader.batches(rows, 2 * trainer.recipe.batch_size):
            taken.clear()
            trainer.logits(batch)
            if len(taken) != 1 or taken[0].shape != (len(batch.rows), layer.in_features):
                return None
            found = taken[0].float()
            parts.append((found if narrow is None else found @ narrow).cpu().numpy())
            check()
    finally:
        hook.remove()
    return np.concatenate(parts)


def _last_linear(trainer: Trainer) -> nn.Linear | None:
    layers: list[Any] = [layer for layer in trainer.model.modules() if isinstance(layer, nn.Linear)]
    return layers[-1] if layers and layers[-1].out_features == trainer.num_classes else None


def _projection(width: int, trainer: Trainer) -> Tensor | None:
    if width <= WIDEST:
        return None
    drawn = np.random.default_rng(derived_seed(trainer.seed, "look") % 2**32).normal(size=(width, WIDEST))
    return torch.from_numpy(drawn.astype(np.float32) / np.float32(WIDEST**0.5)).to(trainer.device)
