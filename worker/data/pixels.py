"""① Encoded pictures, decoded once into one array of one size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from sondage.errors import InvalidInput
from sondage.types import Images
from store.payloads import Payload, decode
from worker.data.budget import PixelBudget

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
    budget = PixelBudget()

    def decoded(blob: bytes, num_pixels: int) -> Images:
        with budget.take(num_pixels):
            return _pixels(blob, shape)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for blobs, sizes in _blobs(payload):
            done = list(pool.map(decoded, blobs, sizes))
            pixels[start : start + len(done)] = done
            start += len(done)
    pixels.flush()


def _blobs(payload: Payload) -> Iterator[tuple[list[bytes], list[int]]]:
    """Encoded pictures, and the pixels of each."""
    for batch in payload.batches():
        for start in range(0, batch.num_rows, _CHUNK):
            part = batch.slice(start, _CHUNK)
            widths, heights = part.column("width").to_pylist(), part.column("height").to_pylist()
            sizes = [width * height for width, height in zip(widths, heights, strict=True)]
            yield part.column("image").to_pylist(), sizes


def _pixels(blob: bytes, shape: tuple[int, int, int]) -> Images:
    height, width, _ = shape
    return squeezed(decode(blob, near=(width, height)), shape)


def squeezed(picture: Image.Image, shape: tuple[int, int, int]) -> Images:
    """One picture as uint8 (height, width, channels), 1 channel or 3; whole, of another shape as it may be."""
    height, width, channels = shape
    image = picture.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = image.resize((width, height), reducing_gap=2.0)
    return np.asarray(image, dtype=np.uint8).reshape(shape)


def _numbers(payload: Payload, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    columns = [batch.column(name) for batch in payload.batches()]
    return np.asarray(pa.chunked_array(columns).to_numpy(), dtype=np.int64)
