"""⑥ Cursors: opaque words for a place in a list, bound to the list, its filters and its order."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable

from app.errors import InvalidCursor

_FORM = struct.Struct(">8sq")


def list_digest(path: str, filters: Iterable[tuple[str, str]]) -> bytes:
    """Tells lists apart: the same path with other filters or another order is another list."""
    text = "\n".join([path, *(f"{name}={value}" for name, value in sorted(filters))])
    return hashlib.sha256(text.encode()).digest()[:8]


def encode(place: int, digest: bytes) -> str:
    return base64.urlsafe_b64encode(_FORM.pack(digest, place)).decode().rstrip("=")


def decode(cursor: str, digest: bytes) -> int:
    """The place in the list.

    Raises
    ------
    InvalidCursor
        It was not given out by this list under these filters.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        told, place = _FORM.unpack(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, struct.error):
        raise InvalidCursor("This is no cursor; send `next_cursor` as it came.", field="cursor") from None
    if told != digest:
        raise InvalidCursor(
            "This cursor belongs to another list: filters and order must stay as they were.", field="cursor"
        )
    return int(place)
