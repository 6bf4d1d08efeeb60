"""① From raw batches to what a model takes: augmentation, scaling, standardisation; on the device."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sondage.errors import InvalidInput
from worker.data.augment import augment
from worker.data.inputs import Array, ArrayInputs
from worker.data.loader import TrainingData
from worker.training.seeding import derived_seed

_SAMPLED_ROWS = 10_000
_SAMPLED_VALUES = 1 << 28  # fewer rows of large images: reading them from a disk takes time
_CHUNK_ROWS = 256


class Preparation:
    """Makes the raw inputs of a batch ready for the model; examples and probes alike.

    Images become float32 (B, C, H, W), standardised per channel. Vectors and the numeric columns of tables
    are standardised per column, with 0 (the mean) for a missing number. Codes and tokens stay as they are.
    Means and deviations are those of (at most 10,000 of) the train rows.

    Parameters
    ----------
    data : TrainingData
    device : torch.device
    how : str
        Augmentation, see `worker.data.augment`.
    image_size : int, optional
        Pixels a side to scale images to; None keeps their size.
    channels_last : bool
        Memory format of images.
    """

    def __init__(
        self,
        data: TrainingData,
        device: torch.device,
        *,
        how: str = "none",
        image_size: int | None = None,
        channels_last: bool = False,
    ) -> None:
        self.modality = data.inputs.modality
        if self.modality != "image" and (how != "none" or image_size is not None):
            field = "augment" if how != "none" else "image_size"
            raise InvalidInput(f"{field} is for images; this dataset holds {self.modality}s.", field=field)
        self._how = how
        self._image_size = image_size
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._mean, self._std = (t.to(device) for t in statistics(data))

    def __call__(self, inputs: tuple[Tensor, ...], generator: torch.Generator | None) -> tuple[Tensor, ...]:
        """Prepare one batch. Without a generator nothing is augmented."""
        if self.modality == "text":
            return inputs
        first, *rest = inputs
        if self.modality == "image":
            return (self._image(first, generator),)
        return (torch.nan_to_num((first - self._mean) / self._std), *rest)

    def _image(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is not None:
            images = augment(images, self._how, generator)
        images = images.permute(0, 3, 1, 2).float()
        if self._image_size is not None:
            size = (self._image_size, self._image_size)
            images = functional.interpolate(
                images, size, mode="bilinear", align_corners=False, antialias=True
            )
        images = (images - self._mean.view(-1, 1, 1)) / self._std.view(-1, 1, 1)
        return images.contiguous(memory_format=self._format)


def statistics(data: TrainingData) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel or column, float32; 1 where nothing varies.

    The same for every seed of a dataset with the same train rows: part of the data, not of the draw.
    """
    if not isinstance(data.inputs, ArrayInputs):
        return torch.zeros(0), torch.ones(0)
    rows = _sample(data)
    total, count = _sums(data.inputs, rows, lambda values: values)
    mean = total / np.maximum(count, 1)
    squares, _ = _sums(data.inputs, rows, lambda values: (values - mean) ** 2)
    std = np.sqrt(squares / np.maximum(count, 1))
    std[std <= 1e-6 * np.abs(mean)] = 1  # rounding alone; dividing by it would blow up any other value
    return torch.from_numpy(mean).float(), torch.from_numpy(std).float()


def _sample(data: TrainingData) -> Array:
    """Train rows to take statistics of, in rising order."""
    row_values = max(1, math.prod(data.spec.shape))
    num = min(len(data.train_rows), _SAMPLED_ROWS, max(100, _SAMPLED_VALUES // row_values))
    rng = np.random.default_rng(derived_seed(0, "statistics"))
    return np.sort(rng.choice(data.train_rows, num, replace=False))


def _sums(inputs: ArrayInputs, rows: Array, change: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Per channel or column, the sum of the changed finite values and their number, in float64."""
    total, count = np.zeros(inputs.shapes[0][-1]), np.zeros(inputs.shapes[0][-1], dtype=np.int64)
    for chunk in np.array_split(rows, -(-len(rows) // _CHUNK_ROWS)):
        values = inputs.select(torch.from_numpy(chunk), chunk)[0].numpy()
        values = values.reshape(math.prod(values.shape[:-1]), values.shape[-1]).astype(np.float64)
        seen = np.isfinite(values)
        total += np.where(seen, change(values), 0).sum(axis=0)
        count += seen.sum(axis=0)
    return total, count
