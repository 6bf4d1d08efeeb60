"""The worker's service: room for every job at a time."""

from __future__ import annotations

import asyncio
import threading

from procrastinate.utils import sync_to_async

from worker.service import make_room

NUM = 40
"""More than the default pool has on any machine. The call is that by which procrastinate runs a task."""


def test_as_many_jobs_wait_at_once_as_were_allowed() -> None:
    barrier = threading.Barrier(NUM)

    async def work() -> None:
        make_room(NUM)
        await asyncio.gather(*(sync_to_async(barrier.wait, 20) for _ in range(NUM)))

    asyncio.run(work())
    assert not barrier.broken
