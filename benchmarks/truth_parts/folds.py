"""Out-of-sample probabilities by k-fold training, for confident learning; and how its compute is counted.

Compute is row passes: rows trained on × epochs. The two recorded runs of a cell make 2·N·E of them (a probe takes the
place of its source). k folds repeated r times, each of the recipe's E epochs, make r·(k − 1)·N·E:

- `3x1`, three folds once: 2·N·E, the same;
- `6x2`, six folds twice, with other folds and seeds: 10·N·E, five times as much.

Model, recipe and epochs are those of the recorded runs; no probes are planted, so that all N examples are trained on.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.truth_parts.hidden import outputs
from benchmarks.truth_parts.rows import DataRow
from benchmarks.truth_parts.training import recipe_for
from sondage.types import AnyArray, Labels
from worker.data.arrays import encode
from worker.data.loader import SPLITS, TrainingData
from worker.training.passes import Trainer, training_pass

SCHEMES = {"3x1": (3, 1), "6x2": (6, 2)}
"""Folds and repetitions."""


def out_of_sample(row: DataRow, given: Labels, scheme: str, seed: int) -> AnyArray:
    """Probabilities of every example by models that were not trained on it, float32 (N, C), mean over repetitions."""
    num_folds, repeats = SCHEMES[scheme]
    total = np.zeros((len(row), row.num_classes))
    for repeat in range(repeats):
        folds = np.random.default_rng([seed, 83, repeat]).permutation(len(row)) % num_folds
        for fold in range(num_folds):
            held = np.flatnonzero(folds == fold)
            total[held] += _train_without(row, given, folds == fold, 1_000 * (seed + 1) + 10 * repeat + fold)
    return np.asarray(total / repeats, dtype=np.float32)


def _train_without(row: DataRow, given: Labels, held: AnyArray, seed: int) -> AnyArray:
    split = np.where(held, SPLITS.index("test"), SPLITS.index("train"))
    data = TrainingData.assemble(row.modality, encode(row.inputs), given, row.num_classes, split=split)
    recipe = recipe_for(row)
    trainer = Trainer.build(data, recipe, seed=seed, device=torch.device("cpu"))
    for epoch in range(recipe.num_epochs):
        training_pass(trainer, data.epoch_permutation(seed, epoch), epoch, None)
    logits = outputs(trainer, np.flatnonzero(held))[0].astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
