"""① The fingerprint of a dataset version: the same examples give the same one, wherever they came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sondage.types import AnyArray, Labels

_FORMAT = 1


class ContentDigest:
    """SHA-256 over the inputs, fed in blocks; where one block ends and the next begins makes no difference.

    Every column has its own digests, of lengths and of values, which `hexdigest` ties together.
    """

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}

    def add(self, block: AnyArray | pa.RecordBatch) -> None:
        if isinstance(block, np.ndarray):
            array = np.ascontiguousarray(block)
            self._feed(f"array {array.dtype.str} {array.shape[1:]}", array.data)
            return
        for name, column in zip(block.schema.names, block.columns, strict=True):
            self._add_column(name, column)

    def _add_column(self, name: str, column: pa.Array) -> None:
        if pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type):
            lengths = pc.fill_null(pc.binary_length(column), -1).to_numpy(zero_copy_only=False)
            self._feed(f"lengths {name}", lengths.astype("<i8").data)
            self._feed(f"bytes {name}", b"".join(column.cast(pa.large_binary()).drop_null().to_pylist()))
        else:
            values = column.to_numpy(zero_copy_only=False)
            self._feed(f"{column.type} {name}", np.ascontiguousarray(values).data)

    def _feed(self, what: str, data: bytes | memoryview) -> None:
        self._digests.setdefault(what, hashlib.sha256()).update(data)

    def parts(self) -> dict[str, str]:
        return {what: digest.hexdigest() for what, digest in sorted(self._digests.items())}


def fingerprint(
    modality: str,
    content: ContentDigest,
    *,
    labels: Labels,
    keys: Sequence[str],
    splits: Sequence[str],
    class_names: Sequence[str],
) -> str:
    """SHA-256 (hex) of everything that makes a dataset version."""
    parts = {
        "format": _FORMAT,
        "modality": modality,
        "content": content.parts(),
        "class_names": list(class_names),
        "labels": hashlib.sha256(np.asarray(labels, dtype="<i8").tobytes()).hexdigest(),
        "keys": _digest_of_words(keys),
        "splits": _digest_of_words(splits),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _digest_of_words(words: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for word in words:
        data = word.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
