"""Frozen features: the last hidden layer of a convnet that never saw the classes it is used on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.truth_parts.hidden import outputs
from sondage.recipe import Recipe
from sondage.types import AnyArray, Labels, Vectors
from worker.data.loader import TrainingData
from worker.training.passes import Trainer, training_pass

NUM_EPOCHS = 6


def embed(train: tuple[AnyArray, Labels], pictures: Sequence[AnyArray], seed: int) -> list[Vectors]:
    """Features of pictures by a convnet trained on others.

    Parameters
    ----------
    train : (pixels, labels)
        Of other classes than the pictures'.
    pictures : sequence of uint8 arrays, shape (n, height, width, channels)
    seed : int

    Returns
    -------
    list of float32 arrays, shape (n, 128)
    """
    pixels, labels = train
    recipe = Recipe(
        model="convnet", num_epochs=NUM_EPOCHS, warmup_epochs=1, augment="flip_shift", batch_size=64
    )
    data = TrainingData.assemble("image", (pixels,), labels, int(labels.max()) + 1)
    trainer = Trainer.build(data, recipe, seed=seed, device=torch.device("cpu"))
    for epoch in range(NUM_EPOCHS):
        training_pass(trainer, data.epoch_permutation(seed, epoch), epoch, None)
    return [_features(trainer, part) for part in pictures]


def _features(trainer: Trainer, pixels: AnyArray) -> Vectors:
    # Behind the labels' back: the loader wants some, and none are used.
    data = TrainingData.assemble(
        "image", (pixels,), np.zeros(len(pixels), dtype=np.int64), trainer.num_classes
    )
    return outputs(trainer, np.arange(len(pixels)), data)[1]
