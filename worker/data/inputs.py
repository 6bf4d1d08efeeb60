"""① The inputs of a run, one class per form: arrays (images, vectors, table rows) and texts.

Both know two things: which examples go into a batch (`select`), and how to move to a device (`to`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sondage.errors import InvalidInput

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class InputSpec:
    """What a model must know of its inputs.

    Parameters
    ----------
    modality : {"image", "text", "table", "vector"}
    num_classes : int
    shape : tuple of int
        Image: (channels, height, width). Vector: (features,). Table: (numeric columns,). Text: ().
    cardinalities : tuple of int
        Table: per categorical column, one more than its largest code; code −1 is "missing".
    """

    modality: str
    num_classes: int
    shape: tuple[int, ...] = ()
    cardinalities: tuple[int, ...] = ()


class Inputs(Protocol):
    """Inputs of a number of rows, on the host or on a device."""

    modality: str

    def __len__(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    def select(self, rows: Tensor, host_rows: Array) -> tuple[Tensor, ...]:
        """The inputs of these rows, in this order. `rows` lies where the inputs lie; both say the same."""
        ...

    def to(self, device: torch.device) -> Inputs: ...


class ArrayInputs:
    """Examples and, behind them, made probes, each as arrays whose first axis is the row.

    The examples may be memory-mapped; they are never copied as a whole on the host.

    Parameters
    ----------
    modality : {"image", "table", "vector"}
    parts : sequence of tuples of arrays
        The examples and, if any, the probes. Image: one uint8 array (N, H, W, C). Vector: one float32 array
        (N, d). Table: float32 (N, d) and int32 (N, m), either with no columns where there are none.
    """

    def __init__(self, modality: str, parts: Sequence[tuple[Array | Tensor, ...]]) -> None:
        self.modality = modality
        self._parts = [tuple(_tensor(array) for array in part) for part in parts]

    def __len__(self) -> int:
        return sum(len(part[0]) for part in self._parts)

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for part in self._parts for tensor in part)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Per array, the shape of one row."""
        return [tuple(tensor.shape[1:]) for tensor in self._parts[0]]

    def largest(self, array: int) -> Array:
        """Per column of one array, its largest value; −1 for every column of no rows."""
        tops = [part[array].amax(dim=0).cpu().numpy() for part in self._parts if len(part[array])]
        return np.max(tops, axis=0) if tops else np.full(self.shapes[array], -1)

    def select(self, rows: Tensor, host_rows: Array) -> tuple[Tensor, ...]:
        if len(self._parts) == 1:
            return tuple(tensor.index_select(0, rows) for tensor in self._parts[0])
        examples, probes = self._parts
        num = len(examples[0])
        if int(host_rows.max(initial=0)) < num:
            return tuple(tensor.index_select(0, rows) for tensor in examples)
        made = rows >= num
        chosen = []
        for example, probe in zip(examples, probes, strict=True):
            out = torch.empty((len(rows), *example.shape[1:]), dtype=example.dtype)
            out[~made] = example.index_select(0, rows[~made])
            out[made] = probe.index_select(0, rows[made] - num)
            chosen.append(out)
        return tuple(chosen)

    def to(self, device: torch.device) -> ArrayInputs:
        joined = tuple(torch.cat([t.to(device) for t in column]) for column in zip(*self._parts, strict=True))
        return ArrayInputs(self.modality, [joined])


class TextInputs:
    """Texts as token numbers in one long array: text i is `tokens[offsets[i]:offsets[i + 1]]`.

    Parameters
    ----------
    offsets : int64 array, shape (N + 1,)
    tokens : int32 array
        Numbers from 0; equal words have equal numbers (`worker.data.tokens.tokenise`).
    """

    modality = "text"

    def __init__(self, offsets: Array, tokens: Array, device: torch.device | None = None) -> None:
        self._host_offsets = np.ascontiguousarray(offsets, dtype=np.int64)
        self._host_tokens = tokens
        device = device or torch.device("cpu")
        self._offsets = _tensor(self._host_offsets).to(device)
        self._tokens = _tensor(tokens).to(device)

    def followed_by(self, other: TextInputs) -> TextInputs:
        """These texts and then the others."""
        shifted = other._host_offsets[1:] - other._host_offsets[0] + self._host_offsets[-1]
        offsets = np.concatenate([self._host_offsets, shifted])
        return TextInputs(offsets, np.concatenate([self._host_tokens, other._host_tokens]))

    def __len__(self) -> int:
        return len(self._host_offsets) - 1

    @property
    def nbytes(self) -> int:
        return self._tokens.nbytes + self._offsets.nbytes

    def select(self, rows: Tensor, host_rows: Array) -> tuple[Tensor, ...]:
        """Tokens of these texts end to end, int32, and where each starts, int64 (shape (B,))."""
        # The total is summed on the host: asking the device for it would wait for the device.
        total = int((self._host_offsets[host_rows + 1] - self._host_offsets[host_rows]).sum())
        starts, ends = self._offsets[rows], self._offsets[rows + 1]
        lengths = ends - starts
        new_starts = lengths.cumsum(0) - lengths
        shift = torch.repeat_interleave(starts - new_starts, lengths, output_size=total)
        return self._tokens[torch.arange(total, device=shift.device) + shift], new_starts

    def to(self, device: torch.device) -> TextInputs:
        return TextInputs(self._host_offsets, self._host_tokens, device)


def make_inputs(modality: str, examples: Sequence[Array], probes: Sequence[Array] | None = None) -> Inputs:
    """Check the arrays of a modality and put made probes behind the examples.

    Parameters
    ----------
    modality : {"image", "text", "table", "vector"}
    examples, probes : sequences of arrays
        Image (pixels,), vector (values,), table (numeric, codes), text (offsets, tokens), as in
        `ArrayInputs` and `TextInputs`.
    """
    parts = [_checked(modality, part) for part in (examples, probes) if part is not None]
    if modality == "text":
        texts = [TextInputs(offsets, tokens) for offsets, tokens in parts]
        return texts[0] if len(texts) == 1 else texts[0].followed_by(texts[1])
    parts = [part for index, part in enumerate(parts) if index == 0 or len(part[0])]
    if len({tuple(array.shape[1:] for array in part) for part in parts}) > 1:
        raise InvalidInput("Probes and examples have different shapes: make both of the same size.")
    return ArrayInputs(modality, parts)


_FORMS: dict[str, tuple[tuple[str, int, np.dtype[Any]], ...]] = {
    "image": (("pixels", 4, np.dtype(np.uint8)),),
    "vector": (("values", 2, np.dtype(np.float32)),),
    "table": (("numeric", 2, np.dtype(np.float32)), ("codes", 2, np.dtype(np.int32))),
    "text": (("offsets", 1, np.dtype(np.int64)), ("tokens", 1, np.dtype(np.int32))),
}


def _checked(modality: str, arrays: Sequence[Array]) -> tuple[Array, ...]:
    if modality not in _FORMS:
        raise InvalidInput(f"modality is {modality!r}: allowed are {', '.join(_FORMS)}.", field="modality")
    forms = _FORMS[modality]
    if len(arrays) != len(forms):
        names = ", ".join(name for name, *_ in forms)
        raise InvalidInput(f"A {modality} run needs the arrays {names}; {len(arrays)} came.", field="inputs")
    for array, (name, ndim, dtype) in zip(arrays, forms, strict=True):
        if array.ndim != ndim or array.dtype != dtype:
            raise InvalidInput(
                f"{name} is {array.dtype} with {array.ndim} axes; {dtype} with {ndim} is needed.", field=name
            )
    if modality != "text" and len({len(array) for array in arrays}) > 1:
        raise InvalidInput("numeric and codes have different numbers of rows.", field="codes")
    return tuple(arrays)


def _tensor(array: Array | Tensor) -> Tensor:
    """A tensor over the same memory, read-only memory maps included (nothing here writes to it)."""
    if isinstance(array, Tensor):
        return array
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
