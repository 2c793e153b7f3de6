"""How does long work leave room for others in the same process?  Small slices with rests between.

A thread that computes holds the interpreter; who waits for it gets a turn at every rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

SLICE_S: Final = 0.01
"""Processor time between two rests."""

T = TypeVar("T")


class Pace:
    """Rests for ``yielding`` times as long as this thread has worked; not at all for 0."""

    def __init__(self, stopping: threading.Event) -> None:
        """Rest until ``stopping`` at most: who is to stop finishes without a rest."""
        self.yielding = 0.0
        self._stopping = stopping
        self._own = threading.local()

    def rest(self) -> None:
        """Rest now, if a slice of work is done."""
        if not self.yielding:
            return
        now = time.thread_time()
        worked = now - getattr(self._own, "since", now - SLICE_S)
        if worked >= SLICE_S:
            self._stopping.wait(worked * self.yielding)
            self._own.since = time.thread_time()

    def over(self, work: Iterable[T]) -> Iterator[T]:
        """Yield what there is to work on, with a rest after each slice."""
        for each in work:
            yield each
            self.rest()
