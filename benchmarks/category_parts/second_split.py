"""Second-split forgetting (Maini et al. 2022): what is learned on one half of the data, forgotten on the other.

A model learns half of the examples, then goes on with the other half alone; after each epoch of that, the first half is
looked at. Mislabelled examples are forgotten at once, rare ones slowly. Then the halves change places. No probes are
planted. It costs one training more and half of one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.truth_parts.cells import save_arrays
from benchmarks.truth_parts.hidden import outputs
from benchmarks.truth_parts.rows import DataRow
from benchmarks.truth_parts.training import CPU, recipe_for
from sondage.recipe import Recipe
from sondage.types import AnyArray, Labels, Rows
from worker.data.arrays import encode
from worker.data.loader import TrainingData
from worker.training.passes import Trainer, training_pass


@dataclass(frozen=True)
class SecondSplit:
    """What became of each example while the model trained on the half it is not in.

    Parameters
    ----------
    forgotten : int array, shape (N,)
        The first epoch of the second half from which the given label was never predicted again, from 1; 0 where it was
        not even learned, one more than there were epochs where it was kept to the end.
    margin : float array, shape (N,)
        Mean over those epochs of the margin of the given label, out of sample by then.
    """

    forgotten: AnyArray
    margin: AnyArray


def second_split(path: Path, row: DataRow, given: Labels, seed: int) -> SecondSplit:
    """From the cache, or trained now and kept."""
    if not path.exists():
        print(f"second split of {row.name} …", flush=True)
        found = train_second_split(row, given, seed)
        save_arrays(path, {"forgotten": found.forgotten, "margin": found.margin}, {"seed": seed})
    with np.load(path, allow_pickle=False) as stored:
        assert json.loads(str(stored["meta"]))["seed"] == seed
        return SecondSplit(np.asarray(stored["forgotten"]), np.asarray(stored["margin"]))


def train_second_split(row: DataRow, given: Labels, seed: int) -> SecondSplit:
    recipe = recipe_for(row)
    data = TrainingData.assemble(row.modality, encode(row.inputs), given, row.num_classes)
    rng = np.random.default_rng([seed, 53])
    halves = [np.sort(half) for half in np.array_split(rng.permutation(len(given)), 2)]
    forgotten = np.zeros(len(given), dtype=np.int64)
    margin = np.zeros(len(given))
    for first, second in (halves, halves[::-1]):
        forgotten[first], margin[first] = _one_way(data, recipe, first, second, given, seed, rng)
    return SecondSplit(forgotten, margin)


def _one_way(
    data: TrainingData,
    recipe: Recipe,
    first: Rows,
    second: Rows,
    given: Labels,
    seed: int,
    rng: np.random.Generator,
) -> tuple[AnyArray, AnyArray]:
    learner = Trainer.build(data, recipe, seed=seed, device=CPU)
    _train(learner, first, rng)
    learned = _margins(learner, first, given) > 0
    # The second half of a training, at the rate and for half of the epochs of the first.
    again = Trainer.build(
        data, replace(recipe, num_epochs=max(1, recipe.num_epochs // 2)), seed=seed, device=CPU
    )
    again.model.load_state_dict(learner.model.state_dict())
    margins = []
    for epoch in range(again.recipe.num_epochs):
        training_pass(again, rng.permutation(second), epoch, None)
        margins.append(_margins(again, first, given))
    curve = np.stack(margins, axis=1)
    return np.where(learned, _forgotten(curve > 0), 0), curve.mean(axis=1)


def _train(trainer: Trainer, rows: Rows, rng: np.random.Generator) -> None:
    for epoch in range(trainer.recipe.num_epochs):
        training_pass(trainer, rng.permutation(rows), epoch, None)


def _margins(trainer: Trainer, rows: Rows, given: Labels) -> AnyArray:
    logits, _ = outputs(trainer, rows)
    scores = torch.from_numpy(logits)
    own = scores.gather(1, torch.from_numpy(given[rows])[:, None])[:, 0].numpy()
    np.put_along_axis(logits, given[rows][:, None], -np.inf, axis=1)
    return np.asarray(own - logits.max(axis=1))


def _forgotten(right: AnyArray) -> AnyArray:
    """The first epoch, from 1, from which it was wrong to the end; one more than there are where it was right last."""
    num = right.shape[1]
    last_right = np.where(right.any(axis=1), num - right[:, ::-1].argmax(axis=1), 0)
    return last_right + 1
