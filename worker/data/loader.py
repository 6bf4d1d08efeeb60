"""① The data of one run, and its batches on the training device: inputs, labels and row numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from sondage.errors import InvalidInput
from worker.data.inputs import Array, ArrayInputs, Inputs, InputSpec, make_inputs
from worker.training.seeding import permutation

SPLITS = ("train", "validation", "test")
"""A split's code is its position here."""

_RESIDENT_SHARE = 0.5  # of the GPU's free memory; the rest is for the model and its activations
_PREFETCHED_BATCHES = 4
Item = TypeVar("Item")


class Batch(NamedTuple):
    """One batch on the training device. `inputs` are raw; `Preparation` makes them ready for the model."""

    inputs: tuple[Tensor, ...]
    labels: Tensor
    rows: Tensor


@dataclass(frozen=True)
class TrainingData:
    """Inputs and given labels of every row of a run, and which rows play which part.

    Rows 0…N−1 are the dataset's examples, rows N… the made probes. Use `assemble` to make one.

    Attributes
    ----------
    inputs : Inputs
    labels : int64 array, shape (num_rows,)
        Given labels, 0…num_classes−1.
    num_classes : int
    train_rows, validation_rows, displaced_rows : int64 arrays
        Trained on; measured on; examples whose place a probe took.
    num_examples : int
        N.
    probe_sources : int64 array, shape (num_rows − N,)
        The example that each probe was made from; −1 for none.
    """

    inputs: Inputs
    labels: Array
    num_classes: int
    train_rows: Array
    validation_rows: Array
    displaced_rows: Array
    num_examples: int
    probe_sources: Array

    @classmethod
    def assemble(
        cls,
        modality: str,
        examples: Sequence[Array],
        labels: Array,
        num_classes: int,
        *,
        split: Array | None = None,
        probes: Sequence[Array] | None = None,
        probe_labels: Array | None = None,
        displaced: Array | Sequence[int] = (),
    ) -> TrainingData:
        """Put a dataset and the probes made for a run together.

        Parameters
        ----------
        modality : {"image", "text", "table", "vector"}
        examples : sequence of arrays
            Image (pixels uint8 (N, H, W, C),), vector (float32 (N, d),), table (float32 (N, d), int32
            codes (N, m), −1 missing), text (offsets int64 (N + 1,), tokens int32). May be memory-mapped.
        labels : integer array, shape (N,)
        num_classes : int
        split : integer array, shape (N,), optional
            Positions in `SPLITS`; None is all train.
        probes, probe_labels : optional
            Made probes in the form of `examples` and `labels`. They are trained on.
        displaced : integers
            Rows of the train split that are not trained, since a probe took their place: one for each probe, in the
            same order; the last probes may have none.

        Raises
        ------
        InvalidInput
            A shape, a type, a label or a row is wrong, or fewer than two rows are left to train on.
        """
        inputs = make_inputs(modality, examples, probes)
        num_examples = len(labels)
        if probe_labels is not None:
            labels = np.concatenate([labels, probe_labels])
        split = np.zeros(num_examples, dtype=np.int8) if split is None else np.asarray(split)
        sources = np.full(0 if probe_labels is None else len(probe_labels), -1, dtype=np.int64)
        sources[: len(displaced)] = np.asarray(displaced, dtype=np.int64)[: len(sources)]
        displaced = np.unique(np.asarray(displaced, dtype=np.int64))
        _check_rows(inputs, labels, num_classes, num_examples, split, displaced)
        trained = split == SPLITS.index("train")
        trained[displaced] = False
        probe_rows = np.arange(num_examples, len(labels))
        train_rows = np.concatenate([np.flatnonzero(trained), probe_rows]).astype(np.int64)
        if len(train_rows) < 2:
            raise InvalidInput(f"{len(train_rows)} rows are left to train on; at least 2 are needed.")
        validation = np.flatnonzero(split == SPLITS.index("validation"))
        given = labels.astype(np.int64)
        return cls(inputs, given, num_classes, train_rows, validation, displaced, num_examples, sources)

    @property
    def num_rows(self) -> int:
        """Examples and made probes."""
        return len(self.labels)

    @property
    def spec(self) -> InputSpec:
        """What a model must know of the inputs."""
        if not isinstance(self.inputs, ArrayInputs):
            return InputSpec(self.inputs.modality, self.num_classes)
        shape, *codes = self.inputs.shapes
        if self.inputs.modality == "image":
            shape = (shape[2], shape[0], shape[1])
        cardinalities = tuple(int(top) + 1 for top in self.inputs.largest(1)) if codes and codes[0][0] else ()
        return InputSpec(self.inputs.modality, self.num_classes, shape, cardinalities)

    def epoch_permutation(self, seed: int, epoch: int) -> Array:
        """The train rows in the order of one epoch; the same whenever and wherever it is asked for."""
        order: Array = self.train_rows[permutation(seed, epoch, len(self.train_rows))]
        return order


def _check_rows(
    inputs: Inputs, labels: Array, num_classes: int, num_examples: int, split: Array, displaced: Array
) -> None:
    if len(inputs) != len(labels):
        raise InvalidInput(f"{len(inputs)} inputs and {len(labels)} labels: one label each is needed.")
    if labels.dtype.kind not in "iu":
        raise InvalidInput(f"labels are {labels.dtype}: whole numbers are needed.", field="labels")
    if num_classes < 2:
        raise InvalidInput(f"num_classes is {num_classes}: at least 2 are needed.", field="num_classes")
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        raise InvalidInput(
            f"Row {wrong[0]} has label {labels[wrong[0]]}; labels are 0…{num_classes - 1}.", field="labels"
        )
    if split.shape != (num_examples,) or not np.isin(split, range(len(SPLITS))).all():
        raise InvalidInput(f"split holds one of 0 to {len(SPLITS) - 1} per example.", field="split")
    if len(displaced) and not (displaced[0] >= 0 and displaced[-1] < num_examples):
        raise InvalidInput(f"displaced rows are 0…{num_examples - 1}.", field="displaced")
    if (split[displaced] != SPLITS.index("train")).any():
        raise InvalidInput("Probes displace examples of the train split only.", field="displaced")


def batch_bounds(num: int, batch_size: int) -> list[tuple[int, int]]:
    """Cut `num` rows into batches of nearly equal size, at most `batch_size` each.

    No batch is a short rest: a last batch of few rows would train on noisier statistics than the others,
    and of one row cannot pass batch normalisation at all. (Three rows at batch size 2 are one batch of 3.)
    """
    if num == 0:
        return []
    num_batches = max(1, min(-(-num // batch_size), num // 2))
    edges = [num * index // num_batches for index in range(num_batches + 1)]
    return list(pairwise(edges))


class Loader:
    """Batches of a run's data on the training device.

    On a GPU everything lies there if it takes at most half of the free memory: a batch is an `index_select`.
    Otherwise a thread gathers from memory (or a memory-mapped file) into pinned memory, some batches ahead.
    On a CPU batches are gathered as they are asked for.

    Parameters
    ----------
    data : TrainingData
    device : torch.device
    resident : bool, optional
        Overrides the rule; None applies it.
    """

    def __init__(self, data: TrainingData, device: torch.device, *, resident: bool | None = None) -> None:
        self.device = device
        self.resident = fits(data.inputs.nbytes, device) if resident is None else resident
        self._place = device if self.resident else torch.device("cpu")
        self._inputs = data.inputs.to(device) if self.resident and device.type != "cpu" else data.inputs
        self._labels = torch.from_numpy(data.labels).to(self._place)

    def batches(self, rows: Array, batch_size: int) -> Iterator[Batch]:
        """All of `rows` in their order, each exactly once, cut as `batch_bounds` says."""
        bounds = batch_bounds(len(rows), batch_size)
        placed = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.int64)).to(self._place)
        gathered = (self._gather(placed[low:high], rows[low:high]) for low, high in bounds)
        if self._place == self.device:
            yield from gathered
            return
        for batch in prefetched(map(_pinned, gathered), _PREFETCHED_BATCHES):
            yield _map(batch, lambda tensor: tensor.to(self.device, non_blocking=True))

    def _gather(self, rows: Tensor, host_rows: Array) -> Batch:
        return Batch(self._inputs.select(rows, host_rows), self._labels.index_select(0, rows), rows)


def fits(nbytes: int, device: torch.device) -> bool:
    """Whether the inputs lie where the model trains: always on a CPU, on a GPU where half its room suffices."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return nbytes <= _RESIDENT_SHARE * free


def _map(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    return Batch(tuple(change(one) for one in batch.inputs), change(batch.labels), change(batch.rows))


def _pinned(batch: Batch) -> Batch:
    return _map(batch, lambda tensor: tensor.pin_memory())


def prefetched(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """The same items, made by one thread up to `depth` ahead. Its errors are raised here."""
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        ahead = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (item := ahead.popleft().result()) is not end:
            ahead.append(pool.submit(next, iterator, end))
            yield item  # type: ignore[misc]  # not the end, hence an item
