"""④ Examples of the user's own, brought into the form that the inputs of the train set have."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, from_numpy

from sondage.errors import InvalidInput, Unsupported
from sondage.probes.own import OwnExamples, TableRow
from sondage.torch.examples import kind_of
from sondage.types import AnyArray

_CHANNELS = (1, 2, 3, 4)


def inputs_like(sample: Any, examples: OwnExamples) -> list[Any]:
    """The inputs, each as the train set would yield it. `sample` is an input of the train set.

    Inputs of the sample's own type, dtype and shape stay as they are, whatever they are. uint8 pictures become arrays
    or tensors with the sample's place of the channels, or PIL pictures of its mode; grey and colour are turned into
    each other. Vectors become the sample's dtype. Rows of tables get the sample's columns, each in its kind of value.

    Raises
    ------
    InvalidInput
        A picture or vector has another size than the sample; a row lacks a column, or has another kind of value in it.
    Unsupported
        An input cannot be brought into the sample's form.
    """
    return [_like(sample, value, key) for key, value in zip(examples.keys, examples.inputs, strict=True)]


def _like(sample: Any, value: Any, key: str) -> Any:
    if isinstance(value, TableRow):
        return _row(sample, value, key)
    if _is_alike(sample, value):
        return value
    kind, wanted = _kind(value), _kind(sample)
    if kind is None or kind != wanted:
        raise Unsupported(
            f"Example {key!r} is {_described(value)} and the train set's inputs are {_described(sample)}: give both in "
            "one form. Pictures are planted before they are transformed (plant(transform=…)).",
            field="suite",
        )
    return _picture(sample, value, key) if kind == "image" else _vector(sample, value, key)


def _row(sample: Any, row: TableRow, key: str) -> dict[Any, Any]:
    if not isinstance(sample, Mapping):
        raise Unsupported(
            f"Example {key!r} is a row of a table and the train set's inputs are {_described(sample)}: plant into "
            "mappings of column to value, and make features of them by plant(transform=…).",
            field="suite",
        )
    absent = [name for name in sample if name not in row]
    if absent:
        raise InvalidInput(
            f"Example {key!r} has no column {absent[0]!r}, which the train set's inputs have; it has {', '.join(row)}.",
            field="suite",
        )
    return {
        name: _cell(cell, row[name], f"Column {name!r} of example {key!r}") for name, cell in sample.items()
    }


def _cell(sample: Any, value: Any, what: str) -> Any:
    """One value in the sample's kind; as it is where the sample's is missing."""
    if sample is None or value is None:
        return value
    is_scalar = isinstance(sample, np.generic) or (isinstance(sample, Tensor) and not sample.dim())
    plain = sample.item() if is_scalar else sample
    if isinstance(plain, bool):
        value = {"true": True, "false": False}.get(value, value)
    if not _fits(plain, value):
        raise InvalidInput(
            f"{what} is {value!r}; the train set has {type(sample).__name__} there, such as {plain!r}: give both in "
            "one form.",
            field="suite",
        )
    return sample.new_tensor(value) if isinstance(sample, Tensor) else type(sample)(value)


def _fits(plain: Any, value: Any) -> bool:
    """Is a value of the kind that the train set has there? Whole numbers are floats, too, and `2.0` is whole."""
    if isinstance(plain, bool | str):
        return isinstance(value, type(plain))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(plain, float) or (isinstance(plain, int) and float(value).is_integer())


def _is_alike(sample: Any, value: Any) -> bool:
    if isinstance(sample, Tensor | np.ndarray):
        return type(sample) is type(value) and sample.dtype == value.dtype and sample.shape == value.shape
    return type(sample) is type(value) and (isinstance(sample, str) or not _is_pil(sample))


def _kind(value: Any) -> str | None:
    try:
        return kind_of(value)
    except Unsupported:
        return None


def _described(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return f"{type(value).__name__} {value.dtype} {list(value.shape)}"
    return type(value).__name__


def _vector(sample: Any, value: Any, key: str) -> Any:
    if len(value) != len(sample):
        raise InvalidInput(
            f"Example {key!r} is a vector of {len(value)} numbers; the train set's have {len(sample)}.",
            field="suite",
        )
    array = np.asarray(value)
    if isinstance(sample, Tensor):
        return from_numpy(np.array(array)).to(sample.dtype)
    return array.astype(sample.dtype)


def _picture(sample: Any, value: Any, key: str) -> Any:
    pixels = _channels_last(value)
    if _is_pil(sample):
        return _to_pil(pixels).convert(sample.mode)
    shape, first = tuple(sample.shape), _is_first(tuple(sample.shape))
    height, width, channels = _sizes(shape, first)
    if pixels.shape[:2] != (height, width):
        raise InvalidInput(
            f"Example {key!r} is {pixels.shape[1]} × {pixels.shape[0]} pixels; the train set's pictures are "
            f"{width} × {height}: bring it to their size.",
            field="suite",
        )
    pixels = _with_channels(pixels, channels, key)
    pixels = np.moveaxis(pixels, -1, 0) if first else pixels
    array = np.ascontiguousarray(pixels.reshape(shape))
    return from_numpy(array) if isinstance(sample, Tensor) else array


def _channels_last(value: Any) -> AnyArray:
    array = np.array(value)
    if array.ndim == 2:
        return array[:, :, None]
    return np.moveaxis(array, 0, -1) if _is_first(array.shape) else array


def _is_first(shape: Sequence[int]) -> bool:
    return len(shape) == 3 and shape[-1] not in _CHANNELS and shape[0] in _CHANNELS


def _sizes(shape: Sequence[int], first: bool) -> tuple[int, int, int]:
    if len(shape) == 2:
        return shape[0], shape[1], 1
    return (shape[1], shape[2], shape[0]) if first else (shape[0], shape[1], shape[2])


def _with_channels(pixels: AnyArray, channels: int, key: str) -> AnyArray:
    if pixels.shape[2] == channels:
        return pixels
    if pixels.shape[2] == 1 and channels == 3:
        return np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 3 and channels == 1:
        # ITU-R BT.601, as Pillow weighs colours for its mode L.
        grey = pixels @ np.array([299, 587, 114]) / 1000
        return np.asarray(np.rint(grey), dtype=np.uint8)[:, :, None]
    raise InvalidInput(
        f"Example {key!r} has {pixels.shape[2]} channels; the train set's pictures have {channels}.",
        field="suite",
    )


def _to_pil(pixels: AnyArray) -> Any:
    # The sample is a PIL picture, so Pillow is imported.
    return sys.modules["PIL.Image"].fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _is_pil(value: Any) -> bool:
    pil: Any = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)
