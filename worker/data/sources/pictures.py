"""① Encoded pictures: kept as they came, once each has been decoded."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from sondage.errors import InvalidInput
from sondage.types import Rows
from store.payloads import Form, PayloadWriter, decode
from store.payloads.pictures import FORMATS
from worker.data.budget import PixelBudget
from worker.data.sources.model import Faults, SourceLimits

SCHEMA = pa.schema(
    [("image", pa.large_binary()), ("width", pa.int32()), ("height", pa.int32()), ("channels", pa.int8())]
)
_BLOCK_ROWS = 256
_BLOCK_BYTES = 32 * 1024 * 1024
Checked = tuple[int, int, int] | InvalidInput
"""Width, height (upright) and channels (1 or 3) of a picture, or why it cannot be read."""


class PictureInputs:
    """Encoded pictures from a column of {bytes, path}, or of bytes.

    Parameters
    ----------
    column : pyarrow column
    limits : SourceLimits
    read_path : callable, optional
        Reads a picture that comes by its path. Without it such a row is refused: a file from outside must not
        say what the server reads from its own disk.
    """

    modality = "image"

    def __init__(
        self, column: pa.ChunkedArray, limits: SourceLimits, read_path: Callable[[str], bytes] | None = None
    ) -> None:
        self._column = column
        self._limits = limits
        self._read_path = read_path
        self._budget = PixelBudget()

    def announce(self, writer: PayloadWriter) -> None:
        writer.start(Form.PICTURES, schema=SCHEMA)

    def blocks(self, rows: Rows, faults: Faults) -> Iterator[tuple[Rows, pa.RecordBatch]]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for places, blobs in self._encoded(rows, faults):
                yield self._checked(places, blobs, faults, pool)

    def _encoded(self, rows: Rows, faults: Faults) -> Iterator[tuple[list[int], list[bytes]]]:
        """The bytes of some pictures at a time, so that memory holds a bounded number of them."""
        places: list[int] = []
        blobs: list[bytes] = []
        for row in rows.tolist():
            try:
                blobs.append(self._bytes(self._column[row].as_py()))
                places.append(row)
            except InvalidInput as error:
                faults.add(row, "unreadable_image", str(error))
            if len(blobs) == _BLOCK_ROWS or sum(map(len, blobs)) > _BLOCK_BYTES:
                yield places, blobs
                places, blobs = [], []
        if blobs:
            yield places, blobs

    def _bytes(self, value: Any) -> bytes:
        data = value.get("bytes") if isinstance(value, dict) else value
        path = value.get("path") if isinstance(value, dict) else None
        if data is None and path and self._read_path is None:
            raise InvalidInput(
                "The picture has a path and no bytes: store the pictures themselves in the file."
            )
        if data is None and path and self._read_path is not None:
            data = self._read_path(path)
        if not data:
            raise InvalidInput("There is no picture.")
        if len(data) > self._limits.max_picture_bytes:
            raise InvalidInput(
                f"The picture has {len(data):,} bytes; at most {self._limits.max_picture_bytes:,} are read."
            )
        return bytes(data)

    def _checked(
        self, places: list[int], blobs: list[bytes], faults: Faults, pool: Executor
    ) -> tuple[Rows, pa.RecordBatch]:
        good, rows = [], []
        for place, blob, found in zip(places, blobs, pool.map(self._look, blobs), strict=True):
            if isinstance(found, InvalidInput):
                faults.add(place, "unreadable_image", str(found))
            else:
                good.append(place)
                rows.append((blob, *found))
        columns = zip(*rows, strict=True) if rows else ([] for _ in SCHEMA)
        arrays = [pa.array(list(c), field.type) for c, field in zip(columns, SCHEMA, strict=True)]
        return np.array(good, dtype=np.int64), pa.record_batch(arrays, schema=SCHEMA)

    def _look(self, blob: bytes) -> Checked:
        try:
            with self._budget.take(min(_promised_pixels(blob), self._limits.max_picture_pixels)):
                image = decode(blob, pixel_limit=self._limits.max_picture_pixels)
        except InvalidInput as error:
            return error
        return image.width, image.height, len(image.getbands())


def _promised_pixels(blob: bytes) -> int:
    """By the header alone. What cannot be opened decodes to nothing, and is told then."""
    try:
        with Image.open(io.BytesIO(blob), formats=FORMATS) as image:
            return image.width * image.height
    except Exception:  # Pillow's readers raise a dozen classes
        return 0
