"""① How many pixels may be decoded at once: hostile pictures are large, and every core decodes one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from store.payloads import PIXEL_LIMIT


class PixelBudget:
    """Lets threads go on as long as what they decode is within a number of pixels, or one of them alone.

    A picture takes up to some 15 bytes a pixel while it is decoded and laid on white: with the usual budget about 1 GB,
    however many cores there are.
    """

    def __init__(self, max_pixels: int = PIXEL_LIMIT) -> None:
        self._max_pixels = max_pixels
        self._in_flight = 0
        self._freed = threading.Condition()

    @contextmanager
    def take(self, num_pixels: int) -> Iterator[None]:
        with self._freed:
            self._freed.wait_for(
                lambda: not self._in_flight or self._in_flight + num_pixels <= self._max_pixels
            )
            self._in_flight += num_pixels
        try:
            yield
        finally:
            with self._freed:
                self._in_flight -= num_pixels
                self._freed.notify_all()
