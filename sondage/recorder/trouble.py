"""③ One warning. A training's log is not the place to complain at every step."""

from __future__ import annotations

import logging
import threading

LOG = logging.getLogger("sondage")
"""`logging` and not `warnings`: a filter that turns warnings into errors must not end a training."""


class Trouble:
    """Says the first thing that goes wrong as a warning, what follows at debug level."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._said = False
        self._lock = threading.Lock()

    def __call__(self, message: str) -> None:
        with self._lock:
            first, self._said = not self._said, True
        level = logging.WARNING if first else logging.DEBUG
        LOG.log(level, "Run %s: %s The training goes on.", self._run, message)
