"""How do the writer's answers reach the event loop?  A batch of them, in one wake of the loop.

The writer resolves the futures of a batch one after the other in its thread; waking the loop for
each would cost a system call each.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from concurrent.futures import Future
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Arrivals(Generic[Answer]):
    """What has been resolved in other threads and not been taken to its waiters on a loop yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take answers to waiters on ``loop``."""
        self.loop = loop
        self._arrived: deque[tuple[Future[Answer], asyncio.Future[Answer]]] = deque()
        self._woken = False

    def wait_for(self, future: Future[Answer]) -> asyncio.Future[Answer]:
        """Return what to await for the answer; who stops waiting cancels nothing."""
        waiter: asyncio.Future[Answer] = self.loop.create_future()

        def arrived(future: Future[Answer]) -> None:
            self._arrived.append((future, waiter))
            # Set down first and looked at after, while ``_deliver`` does it the other way round:
            # so whatever arrives, a delivery is still to come.
            if not self._woken:
                self._woken = True
                # A loop that was closed has nobody left who waits.
                with contextlib.suppress(RuntimeError):
                    self.loop.call_soon_threadsafe(self._deliver)

        future.add_done_callback(arrived)
        return waiter

    def _deliver(self) -> None:
        self._woken = False
        while self._arrived:
            future, waiter = self._arrived.popleft()
            if waiter.done():
                continue
            if (trouble := future.exception()) is not None:
                waiter.set_exception(trouble)
            else:
                waiter.set_result(future.result())
