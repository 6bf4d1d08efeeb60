"""④ Where input and label are in an example of the user's dataset, and probes made of such inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from torch import Tensor, from_numpy

from sondage.errors import InvalidInput, Unsupported
from sondage.probes.generators import make_probe_inputs
from sondage.probes.plan import ProbePlan
from sondage.types import AnyArray, Rows

REFERENCE_ROWS = 2_000
"""Words and columns are drawn from so many examples at most."""
_LABEL_KEYS = ("label", "labels")
_CHANNELS = (1, 2, 3, 4)


class Columns(Enum):
    """In place of a name: the input is a row of a table."""

    ALL = "all entries but the label"


@dataclass(frozen=True)
class Form:
    """Position or name of input and label. `input_key` is None where a mapping does not tell."""

    input_key: Any
    label_key: Any

    @classmethod
    def of(cls, dataset: Any, input_key: Any, label_key: Any) -> Form:
        """As asked for, else as the first example has it."""
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise Unsupported("Probes are planted in map-style datasets alone.", field="dataset")
        if not len(dataset):
            raise InvalidInput("The dataset has no examples.", field="dataset")
        example = dataset[0]
        if isinstance(example, tuple | list) and len(example) > 1:
            return cls(0 if input_key is None else input_key, 1 if label_key is None else label_key)
        if isinstance(example, Mapping):
            found = (
                next((name for name in _LABEL_KEYS if name in example), None)
                if label_key is None
                else label_key
            )
            if found in example:
                return cls(_only_input(example, found) if input_key is None else input_key, found)
        raise Unsupported(
            f"An example is a {type(example).__name__}: (input, label, …), or a mapping with label or labels, is "
            "needed. Name them by input_key= and label_key=.",
            field="dataset",
        )

    def of_rows(self, example: Any) -> Form:
        """The same, for inputs that are rows of a table: the one mapping in the example, or all but the label."""
        if not isinstance(example, Mapping):
            return self
        inner = [name for name, value in example.items() if isinstance(value, Mapping)]
        return replace(self, input_key=inner[0] if len(inner) == 1 else Columns.ALL)

    def label_of(self, example: Any) -> Any:
        return example[self.label_key]

    def input_of(self, example: Any) -> Any:
        if self.input_key is None:
            raise Unsupported(
                f"Which of {', '.join(example)} is the input cannot be told: pass input_key=.",
                field="input_key",
            )
        if self.input_key is Columns.ALL:
            return {name: value for name, value in example.items() if name != self.label_key}
        return example[self.input_key]

    def with_label(self, example: Any, label: int) -> Any:
        """The label in the kind that the dataset has."""
        before = self.label_of(example)
        kind = before.new_tensor(label) if isinstance(before, Tensor) else type(before)(label)
        return _replaced(example, self.label_key, kind)

    def with_input(self, example: Any, value: Any) -> Any:
        if self.input_key is not Columns.ALL:
            return _replaced(example, self.input_key, value)
        if not isinstance(value, Mapping):
            raise InvalidInput(
                f"transform gave a {type(value).__name__}: where columns stand beside the label, it gives a mapping. "
                "Or let examples be (mapping, label).",
                field="transform",
            )
        return {**example, **value}


def plain_label(label: Any) -> int:
    """Raises InvalidInput where a label is no class number."""
    try:
        return int(label)
    except (TypeError, ValueError):
        raise InvalidInput(
            f"A label is {label!r}: class numbers from 0 are needed.", field="label_key"
        ) from None


def make_inputs(dataset: Any, form: Form, plan: ProbePlan, rng: np.random.Generator) -> dict[int, Any]:
    """The inputs of the probes that have another one than their source, by their number in the plan.

    Raises
    ------
    Unsupported
        Nothing can be made of inputs of this kind.
    """
    made: dict[int, Any] = {}
    reference: Any = None
    for generator, positions in plan.groups():
        if generator.name == "flip":
            continue
        sources = [form.input_of(dataset[int(row)]) for row in plan.source_row[positions]]
        kind = kind_of(sources[0])
        if reference is None and kind != "image":
            reference = _stacked(kind, _some(dataset, form, rng))
        if kind == "image":
            inputs = [
                _picture(one, lambda pixels: make_probe_inputs("image", generator, pixels, None, rng))  # noqa: B023  # called at once
                for one in sources
            ]
        else:
            whole = make_probe_inputs(kind, generator, _stacked(kind, sources), reference, rng)
            inputs = [_like(source, one) for source, one in zip(sources, whole, strict=True)]
        made.update(zip(positions.tolist(), inputs, strict=True))
    return made


def kind_of(value: Any) -> str:
    """The modality of an input. Raises Unsupported where nothing can be made of it."""
    if isinstance(value, str):
        return "text"
    if _is_pil(value):
        return "image"
    if isinstance(value, Tensor | np.ndarray):
        array = np.asarray(value)
        if array.dtype == np.uint8 and array.ndim in (2, 3):
            return "image"
        if array.dtype.kind == "f" and array.ndim == 1:
            return "vector"
        what = f"{array.dtype} of shape {list(array.shape)}"
    else:
        what = type(value).__name__
    raise Unsupported(
        f"An input is {what}: damaged and foreign probes are made of uint8 pictures, texts and vectors of floats. "
        "Plant before inputs are transformed (plant(transform=…)), or use a suite of flip alone.",
        field="dataset",
    )


def _some(dataset: Any, form: Form, rng: np.random.Generator) -> list[Any]:
    chosen: Rows = np.sort(rng.permutation(len(dataset))[:REFERENCE_ROWS])
    return [form.input_of(dataset[int(row)]) for row in chosen]


def _stacked(kind: str, inputs: list[Any]) -> Any:
    if kind == "text":
        return inputs
    try:
        return np.stack([np.asarray(one) for one in inputs])
    except ValueError:
        raise Unsupported("Vectors of different lengths cannot be made probes of.", field="dataset") from None


def _like(source: Any, value: Any) -> Any:
    """In the kind of the source: a text, an array or a tensor."""
    return from_numpy(np.array(value)).to(source.dtype) if isinstance(source, Tensor) else value


def _picture(source: Any, make: Callable[[AnyArray], AnyArray]) -> Any:
    """One picture, in the form in which it came: channels last, first or none; array, tensor or PIL."""
    if _is_pil(source):
        if source.mode not in ("L", "RGB", "RGBA"):
            source = source.convert("RGB")
        return sys.modules["PIL.Image"].fromarray(_picture(np.asarray(source), make))
    if isinstance(source, Tensor):
        return from_numpy(_picture(source.cpu().numpy(), make))
    pixels = source[:, :, None] if source.ndim == 2 else source
    first = pixels.shape[-1] not in _CHANNELS and pixels.shape[0] in _CHANNELS
    pixels = np.moveaxis(pixels, 0, -1) if first else pixels
    out = make(np.ascontiguousarray(pixels)[None])[0]
    out = np.moveaxis(out, -1, 0) if first else out
    return np.ascontiguousarray(out.reshape(source.shape))


def _is_pil(value: Any) -> bool:
    pil: Any = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def _only_input(example: Mapping[Any, Any], label_key: Any) -> Any:
    """The only entry that probes can be made of."""
    found = []
    for name, value in example.items():
        try:
            if name != label_key:
                kind_of(value)
                found.append(name)
        except Unsupported:
            continue
    return found[0] if len(found) == 1 else None


def _replaced(example: Any, key: Any, value: Any) -> Any:
    if isinstance(example, Mapping):
        return {**example, key: value}
    changed = list(example)
    changed[key] = value
    return tuple(changed)
