"""How does every view stand, and who waits for one?  As far as this process knows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypedDict

from ledger.worker.history import Reader
from projections import public_view
from projections.table import Standing as Written
from projections.views import Views

WAITING_MAX: Final = 1_000
"""How many may wait for a view at a time."""
LOOK_S: Final = 0.005
LOOK_S_MAX: Final = 0.05
"""How long it waits between two looks at what another process has done: at first, and at most."""


class Standing(TypedDict):
    """How far a view is, how many events behind the log, and what stopped it, if anything."""

    position: int
    lag: int
    error: str | None


class Standings:
    """What is known of every view.  Any thread may ask and wait."""

    def __init__(
        self, names: Iterable[str], reader: Reader, views: Views, stopping: threading.Event
    ) -> None:
        """Know nothing yet; who waits is told at once when ``stopping`` is set."""
        self.leading = False
        """Whether this process moves the views; where it does not, their checkpoints tell."""
        self.head = 0
        """The position of the last event."""
        self._reader = reader
        self._views = views
        self._stopping = stopping
        self._moved = threading.Condition()
        self._known = {name: Standing(position=0, lag=0, error=None) for name in names}
        self._waiting = 0
        self._looking: asyncio.Future[None] | None = None

    def status(self) -> dict[str, Standing]:
        """Return how every view stands."""
        with self._moved:
            return {name: Standing(**standing) for name, standing in self._known.items()}

    def error(self, name: str) -> str | None:
        """Return what stopped a view."""
        return self._known[name]["error"]

    def note(self, name: str, position: int, error: str | None) -> None:
        """Take note of how a view stands, and tell whoever waits."""
        with self._moved:
            lag = max(0, self.head - position)
            self._known[name] = Standing(position=position, lag=lag, error=error)
            self._moved.notify_all()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        with self._moved:
            self._moved.notify_all()

    def look(self) -> None:
        """Take over how the views stand by their checkpoints, unless this process moves them."""
        if self.leading:
            return
        written = self._views.standings()
        self.head = self._reader.position()
        in_force = self._reader.in_force(self.head).version
        for name in self._known:
            view = written.get(name, Written())
            position = view.checkpoint.position
            if name == public_view.NAME and view.checkpoint.in_force >= in_force:
                # Its documents are written with the appends, unless the facts in force changed.
                position = self.head
            self.note(name, position, view.error)

    # ------------------------------------------------------------ waiting

    def wait(self, name: str, position: int, timeout: float) -> bool:
        """Wait until a view has reached a position; False after ``timeout`` seconds, or if stopped.

        Raises KeyError for an unknown view.
        """
        deadline = time.monotonic() + timeout
        for pause in _pauses():
            self.look()
            left = max(0.0, deadline - time.monotonic())
            with self._moved:
                self._moved.wait_for(
                    lambda: self._settled((name,), position),
                    left if self.leading else min(left, pause),
                )
                if self._settled((name,), position) or not left or self._stopping.is_set():
                    break
        return self._there((name,), position)

    async def reached(self, names: Sequence[str], position: int, limit_s: float) -> bool:
        """Do as :meth:`wait` does for several views, for ``limit_s`` seconds, without a thread.

        Where very many wait already, one more is told at once how things stand.
        """
        # A view that was stopped may have been rebuilt by another process since: that takes a look.
        if self._there(names, position) or self._waiting >= WAITING_MAX:
            return self._there(names, position)
        self._waiting += 1
        try:
            deadline = time.monotonic() + limit_s
            for pause in _pauses():
                if not self.leading:
                    await self._looked()
                left = deadline - time.monotonic()
                if self._settled(names, position) or left <= 0 or self._stopping.is_set():
                    break
                await asyncio.sleep(min(pause, left))
        finally:
            self._waiting -= 1
        return self._there(names, position)

    def _there(self, names: Sequence[str], position: int) -> bool:
        return all(self._known[name]["position"] >= position for name in names)

    def _settled(self, names: Sequence[str], position: int) -> bool:
        stopped = any(self._known[name]["error"] is not None for name in names)
        return stopped or self._there(names, position)

    async def _looked(self) -> None:
        """Look at what another process has written, once for all who wait now."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(asyncio.to_thread(self.look))
        await asyncio.shield(self._looking)


def _pauses() -> Iterator[float]:
    """Yield how long to wait before each further look: longer and longer, up to a bound."""
    pause = LOOK_S
    while True:
        yield pause
        pause = min(2 * pause, LOOK_S_MAX)
