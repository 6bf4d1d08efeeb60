"""The worker's service: room for every job at a time."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from procrastinate.utils import sync_to_async

from worker.service import make_room

NUM = 40
"""More than the default pool has on any machine. The call is that by which procrastinate runs a task."""


def test_as_many_jobs_wait_at_once_as_were_allowed() -> None:
    barrier = threading.Barrier(NUM)

    async def work() -> None:
        make_room(NUM)
        await asyncio.gather(*(sync_to_async(barrier.wait, 20) for _ in range(NUM)))

    # In a thread of its own: a browser test in this process may have left a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(work())).result()
    assert not barrier.broken
