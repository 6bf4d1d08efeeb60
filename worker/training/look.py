"""③ The look at a model's features: what do classifiers and classes that were fitted without an example say of it?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from sondage.recorder.channels import DISTANCE, LABEL_ODDS, OF_LOOKS
from sondage.tagging.class_distance import ClassDistances
from sondage.tagging.gaussian_classes import NOBODY
from sondage.tagging.left_out import LabelOdds, draw_fitted
from sondage.torch.features import Given, NotOneVectorEach, last_linear, narrowed, projection
from sondage.types import AnyArray
from worker.data.loader import TrainingData
from worker.training.passes import Trainer
from worker.training.seeding import derived_seed

_BLOCK_ROWS = 1_024
"""Of what is asked at once."""


def look(
    trainer: Trainer, data: TrainingData, check: Callable[[], None] = lambda: None
) -> dict[str, AnyArray]:
    """The channels `label_odds` and `distance` of an epoch.

    Every row goes through the model once. At most 65,536 rows' features are kept; those of the others are not.

    Parameters
    ----------
    check : callable
        Called between batches; what it raises ends the look.

    Returns
    -------
    dict of str to float32 array, shape (num_rows,)
        Log odds (`sondage.tagging.left_out`) and distances (`sondage.tagging.class_distance`); NaN for rows that are
        not of the train split. Nothing for a model that does not end in a linear layer of one vector a row.
    """
    layer = last_linear(trainer.model, trainer.num_classes)
    if layer is None:
        return {}
    out = {name: np.full(data.num_rows, np.nan, dtype=np.float32) for name in OF_LOOKS}
    rows = np.sort(np.concatenate([data.train_rows, data.displaced_rows]))
    seed = derived_seed(trainer.seed, "look") % 2**32
    narrow = projection(layer.in_features, seed, trainer.device)
    features = partial(_features, trainer, layer, narrow, check=check)
    try:
        fitted = draw_fitted(rows[rows < data.num_examples], seed)
        kept = np.concatenate([values for _, values in features(fitted)])
        usable = np.isfinite(kept).all(axis=1)
        fitted, kept = fitted[usable], kept[usable]
        if len(fitted) < 2:
            return out
        odds = LabelOdds(kept, data.labels[fitted])
        classes = ClassDistances(kept, data.labels[fitted])
        place = np.full(data.num_rows, NOBODY, dtype=np.int64)
        place[fitted] = np.arange(len(fitted))
        place[data.num_examples :] = np.where(data.probe_sources >= 0, place[data.probe_sources], NOBODY)

        def tell(batch: AnyArray, values: AnyArray) -> None:
            out[LABEL_ODDS][batch] = odds.log_odds(values, data.labels[batch], place[batch])
            out[DISTANCE][batch] = classes.distances(values, place[batch])

        for start in range(0, len(fitted), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            tell(fitted[block], kept[block])
            check()
        for batch, values in features(np.setdiff1d(rows, fitted, assume_unique=True)):
            tell(batch, values)
    except NotOneVectorEach:
        return {}
    return out


@torch.no_grad()
def _features(
    trainer: Trainer, layer: nn.Linear, narrow: Tensor | None, rows: AnyArray, *, check: Callable[[], None]
) -> Iterator[tuple[AnyArray, AnyArray]]:
    """Batches of rows with what the layer is given for them, in evaluation mode, float32 (rows, width)."""
    trainer.model.eval()
    with Given(layer) as given:
        for batch in trainer.loader.batches(rows, 2 * trainer.recipe.batch_size):
            trainer.logits(batch)
            found = given.vectors(len(batch.rows))
            check()
            yield batch.rows.cpu().numpy(), narrowed(found, narrow).cpu().numpy()
