"""① Encoded pictures, decoded once into one array of one size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from sondage.errors import InvalidInput
from sondage.types import Images
from store.payloads import Payload, decode

_NATURAL_SIDE = 256
_USUAL_SIDE = 64
_CHUNK = 256


def pixel_shape(payload: Payload, image_size: int | None) -> tuple[int, int, int]:
    """Height, width and channels that all pictures get.

    With `image_size` a square of that side. Without, the pictures' own size when all have the same and no side is
    above 256; else a square with the median of their shorter sides, at most 64. One channel if all are grey, else 3.

    Raises
    ------
    InvalidInput
        `image_size` is not within 4…1024.
    """
    if image_size is not None and not 4 <= image_size <= 1024:
        raise InvalidInput(f"image_size is {image_size}; it must lie within 4 and 1024.", field="image_size")
    heights, widths, channels = (_numbers(payload, name) for name in ("height", "width", "channels"))
    if image_size is not None:
        return image_size, image_size, int(channels.max())
    same = np.ptp(heights) == 0 and np.ptp(widths) == 0
    if same and max(heights[0], widths[0]) <= _NATURAL_SIDE:
        return int(heights[0]), int(widths[0]), int(channels.max())
    side = min(_USUAL_SIDE, int(np.median(np.minimum(heights, widths))))
    return side, side, int(channels.max())


def decode_all(payload: Payload, shape: tuple[int, int, int], path: Path) -> None:
    """Write all pictures as a `.npy` of uint8 (N, height, width, channels).

    A picture of another shape is squeezed to it as a whole: nothing is cut off.
    """
    pixels = np.lib.format.open_memmap(path, "w+", np.uint8, (payload.num_rows, *shape))
    start = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for blobs in _blobs(payload):
            done = list(pool.map(lambda blob: _pixels(blob, shape), blobs))
            pixels[start : start + len(done)] = done
            start += len(done)
    pixels.flush()


def _blobs(payload: Payload) -> Iterator[list[bytes]]:
    for batch in payload.batches():
        column = batch.column("image")
        for start in range(0, len(column), _CHUNK):
            yield column.slice(start, _CHUNK).to_pylist()


def _pixels(blob: bytes, shape: tuple[int, int, int]) -> Images:
    height, width, channels = shape
    image = decode(blob, near=(width, height)).convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = image.resize((width, height), reducing_gap=2.0)
    return np.asarray(image, dtype=np.uint8).reshape(shape)


def _numbers(payload: Payload, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    columns = [batch.column(name) for batch in payload.batches()]
    return np.asarray(pa.chunked_array(columns).to_numpy(), dtype=np.int64)
