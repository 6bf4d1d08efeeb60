"""① What the server takes of a recording. Recorder and server hold to the same numbers; no import beyond Python's own.

A recorder refuses at once what the server would refuse at the end of a training.
"""

from __future__ import annotations

import re

MAX_EXAMPLES = 50_000_000
MAX_CLASSES = 1_000_000
MIN_CLASSES = 2
MAX_KEY_CHARACTERS = 500
"""A key is indexed; the same bound as for sources."""
MAX_NAME_CHARACTERS = 1_000
"""Of a class; names are sent along with lists."""
CONTROL = r"[\x00-\x1f\x7f]"
"""Signs that no key has, as a regular expression."""
MAX_CHANNELS = 32
MAX_EPOCHS = 1_000_000
MAX_RANKS = 4_096


def is_key(text: str) -> bool:
    """May it be the key of an example?"""
    return 0 < len(text) <= MAX_KEY_CHARACTERS and is_key_text(text)


def is_key_text(text: str) -> bool:
    """Holds it only signs that a key may have?"""
    return re.search(CONTROL, text) is None and is_utf8(text)


def is_utf8(text: str) -> bool:
    """Can it be written? A lone surrogate, as of a damaged file name, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
