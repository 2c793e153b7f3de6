"""Who keeps the views up to date?  One thread that follows the log and feeds every projection.

It never writes to the log; what a projection cannot take in stops that projection alone, loudly.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypedDict

from ledger import errors
from ledger.store import LogRow, Store
from ledger.worker import rebuilding
from ledger.worker.history import Histories, Poison, Progress, Reader
from projections import ROLL_CALL, public_view
from projections.table import Checkpoint
from projections.table import Standing as Written
from projections.views import Overtaken, Views, ViewsBusy, ViewsClosed, ViewsUnavailable

__all__ = ["BATCH", "Poison", "Progress", "Projector", "ProjectorStopped", "Standing"]

BATCH: Final = rebuilding.BATCH
POLL_S: Final = 1.0
AWAY: Final = (ViewsUnavailable, errors.Unavailable, OSError)
"""A database that is away: every view waits, and looks again after a while."""
PASSING: Final = (ViewsBusy, Overtaken, *AWAY)
"""Troubles that say nothing about an event: the same step may succeed later."""
PAUSE_S: Final = 0.1
PAUSE_S_MAX: Final = 5.0
"""How long it waits for a database that is away: at first, and at most."""
WAITING_MAX: Final = 1_000
"""How many may wait for a view at a time."""
LOOK_S: Final = 0.005
LOOK_S_MAX: Final = 0.05
"""How long it waits between two looks at what another process has done: at first, and at most."""

_log = logging.getLogger("ledger.worker")


class Standing(TypedDict):
    """How far a view is, how many events behind the log, and what stopped it, if anything."""

    position: int
    lag: int
    error: str | None


class ProjectorStopped(Exception):
    """The projector was stopped while it was rebuilding."""


class Projector:
    """Feeds the projections: by batches while it follows the log, by rebuilding when facts change.

    Any number of processes may start one: the views say who leads, and the others wait to take
    over, which they try every ``poll_s`` seconds.  Even two that believe to lead do no harm: a
    checkpoint only moves forward, and a swap checks it.
    """

    def __init__(
        self,
        store: Store,
        views: Views,
        roll_call: Mapping[str, Any] = ROLL_CALL,
        *,
        poll_s: float = POLL_S,
    ) -> None:
        """Follow ``store`` into ``views``; nothing happens before :meth:`start` or a call."""
        self._store = store
        self._views = views
        self._roll_call = roll_call
        self._poll_s = poll_s
        self._yielding = 0.0
        self._leading = False
        self._waiting = 0
        self._looking: asyncio.Future[None] | None = None
        self._stepping = threading.Lock()
        self._reader = Reader(store)
        self._histories = Histories(self._reader)
        self._tail: tuple[int, list[LogRow]] = (-1, [])
        self._moved = threading.Condition()
        self._standing = {name: Standing(position=0, lag=0, error=None) for name in roll_call}
        self._head = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="projector", daemon=True)

    # ------------------------------------------------------------ the thread

    def start(self, *, yielding: float = 1.0) -> None:
        """Follow the log from now on, in a thread of its own.

        After each batch it rests for ``yielding`` times as long as the batch took: 1 where appends
        share the process, 0 in a process of its own.
        """
        self._yielding = yielding
        self._store.subscribe_commits(lambda _position: self._wake.set())
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch at hand and end the thread."""
        self._stopping.set()
        self._wake.set()
        with self._moved:
            self._moved.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        pause = PAUSE_S
        while not self._stopping.is_set():
            # Cleared before looking: a commit that lands while we look wakes us once more.
            self._wake.clear()
            began = time.monotonic()
            try:
                leading = self.lead()
                moved = leading and self.step()
            except (ViewsClosed, ProjectorStopped):
                return
            except AWAY as trouble:
                if pause == PAUSE_S:
                    _log.warning("The views wait: %s", trouble)
                self._leading = False
                self._stopping.wait(pause)
                pause = min(2 * pause, PAUSE_S_MAX)
                continue
            except Exception:  # noqa: BLE001 - the thread outlives whatever it is
                _log.exception("The projector could not take a step; it tries again.")
                self._stopping.wait(PAUSE_S_MAX)
                continue
            if pause > PAUSE_S:
                _log.info("The views go on.")
                pause = PAUSE_S
            if moved:
                self._stopping.wait((time.monotonic() - began) * self._yielding)
            elif leading:
                self._wake.wait(self._poll_s)
            else:
                self._stopping.wait(self._poll_s)

    def lead(self) -> bool:
        """Become the one that keeps the views up to date, if no other process is; True if so."""
        leading = self._views.try_lead()
        if leading and not self._leading:
            _log.info("This process keeps the views up to date.")
        self._leading = leading
        return leading

    # ------------------------------------------------------------ following

    def catch_up(self) -> None:
        """Bring every view that is not stopped to the end of the log, in the calling thread."""
        while self.step():
            pass

    def step(self) -> bool:
        """Take every view on by up to one batch; return whether any of them moved."""
        with self._stepping:
            self._head = self._reader.position()
            going = [name for name in self._roll_call if not self._stopped(name)]
            stale = [name for name in going if self._stale(name)]
            moved = [
                self._tried((name,), partial(self._follow, name))
                for name in going
                if name not in stale
            ]
            if stale:
                # One fold of the log makes them all anew.
                moved.append(self._tried(stale, partial(self.rebuild, *stale)))
        return any(moved)

    def _stopped(self, name: str) -> bool:
        error = self._standing[name]["error"]
        if error is not None:
            self._stands(name, self._standing[name]["position"], error)
        return error is not None

    def _stale(self, name: str) -> bool:
        """Whether other facts are in force than those under which a view was derived."""
        before = self._views.checkpoint(name)
        if name == public_view.NAME:
            # Its documents are written with the appends: only new facts in force move it.
            return self._reader.in_force(self._head).version != before.in_force
        rows = self._batch(before.position) if before.position else []
        return bool(rows) and self._reader.in_force(rows[-1].position).version != before.in_force

    def _tried(self, names: Sequence[str], act: Callable[[], None]) -> bool:
        """Do something to views; a trouble of one view stops that view alone, and is written down.

        Returns whether any of them moved.
        """
        before = [self._views.checkpoint(name) for name in names]
        try:
            act()
        except (*AWAY, ViewsClosed, ProjectorStopped):
            raise
        except PASSING as trouble:
            # Overtaken is good news: another process has just swapped in the same view.
            level = logging.INFO if isinstance(trouble, Overtaken) else logging.WARNING
            _log.log(level, "%s wait: %s: %s", ", ".join(names), type(trouble).__name__, trouble)
        except Exception as trouble:  # noqa: BLE001 - whatever it is, it stops this view alone
            if len(names) > 1:
                moved = [self._tried((name,), partial(self.rebuild, name)) for name in names]
                return any(moved)
            _log.error("%s is stopped: %s", names[0], trouble)
            self._views.report(names[0], str(trouble))
            self._stands(names[0], self._views.checkpoint(names[0]).position, str(trouble))
            return False
        after = [self._views.checkpoint(name) for name in names]
        for name, reached in zip(names, after, strict=True):
            self._stands(name, self._head if name == public_view.NAME else reached.position, None)
        return after != before

    def _follow(self, name: str) -> None:
        """Take a view on from its checkpoint by up to one batch; raises Poison."""
        if name == public_view.NAME:
            return
        before = self._views.checkpoint(name)
        rows = self._batch(before.position)
        if not rows:
            return
        in_force = self._reader.in_force(rows[-1].position)
        reached = Checkpoint(rows[-1].position, in_force.version)
        projection = self._roll_call[name]
        try:
            touched = self._histories.touched(rows, in_force)
            self._views.apply(projection, touched, reached, before.position)
        except (*PASSING, ViewsClosed):
            raise
        except Exception:  # noqa: BLE001 - one by one, to stop right before the event at fault
            self._one_by_one(name, rows)

    def _batch(self, after: int) -> list[LogRow]:
        """Return the next rows; views that stand together share them."""
        if self._tail[0] != after or not self._tail[1]:
            self._tail = (after, self._reader.batch(after, BATCH))
        return self._tail[1]

    def _one_by_one(self, name: str, rows: list[LogRow]) -> None:
        for row in rows:
            in_force = self._reader.in_force(row.position)
            try:
                touched = self._histories.touched([row], in_force)
                reached = Checkpoint(row.position, in_force.version)
                self._views.apply(self._roll_call[name], touched, reached, row.position - 1)
            except (*PASSING, ViewsClosed, Poison):
                raise
            except Exception as trouble:
                raise Poison(row, trouble) from trouble

    # ------------------------------------------------------------ rebuilding

    def rebuild(self, *names: str, progress: Progress | None = None) -> None:
        """Fold the whole log anew beside the live views, and swap; raises KeyError, Poison.

        Readers see the old views until the swap.  It also sets a stopped view going again.
        """
        wanted = {name: self._roll_call[name] for name in names}

        def told(done: int, total: int) -> None:
            if self._stopping.is_set():
                raise ProjectorStopped
            if progress is not None:
                progress(done, total)

        rebuilding.rebuild(self._store, self._views, wanted, told)
        self._head = max(self._head, self._reader.position())
        for name in names:
            self._stands(name, self._views.checkpoint(name).position, None)
        self._wake.set()

    # ------------------------------------------------------------ answers

    def wait(self, name: str, position: int, timeout: float) -> bool:
        """Wait until a view has reached a position; False after ``timeout`` seconds, or if stopped.

        Whoever keeps the views up to date: where it is not this process, its checkpoints tell.
        Raises KeyError for an unknown view.
        """
        deadline = time.monotonic() + timeout
        for pause in _pauses():
            self._look()
            left = max(0.0, deadline - time.monotonic())
            with self._moved:
                self._moved.wait_for(
                    lambda: self._settled((name,), position),
                    left if self._leading else min(left, pause),
                )
                if self._settled((name,), position) or not left or self._stopping.is_set():
                    break
        return self._standing[name]["position"] >= position

    async def reached(self, names: Sequence[str], position: int, limit_s: float) -> bool:
        """Do as :meth:`wait` does for several views, for ``limit_s`` seconds, without a thread.

        Where very many wait already, one more is told at once how things stand.
        """
        if self._settled(names, position) or self._waiting >= WAITING_MAX:
            return self._there(names, position)
        self._waiting += 1
        try:
            deadline = time.monotonic() + limit_s
            for pause in _pauses():
                if not self._leading:
                    await self._looked()
                left = deadline - time.monotonic()
                if self._settled(names, position) or left <= 0 or self._stopping.is_set():
                    break
                await asyncio.sleep(min(pause, left))
        finally:
            self._waiting -= 1
        return self._there(names, position)

    def _there(self, names: Sequence[str], position: int) -> bool:
        return all(self._standing[name]["position"] >= position for name in names)

    def _settled(self, names: Sequence[str], position: int) -> bool:
        stopped = any(self._standing[name]["error"] is not None for name in names)
        return stopped or self._there(names, position)

    async def _looked(self) -> None:
        """Look at what another process has written, once for all who wait now."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(asyncio.to_thread(self._look))
        await asyncio.shield(self._looking)

    def _look(self) -> None:
        """Take over how the views stand by their checkpoints, unless this process moves them."""
        if self._leading:
            return
        written = self._views.standings()
        self._head = self._reader.position()
        in_force = self._reader.in_force(self._head).version
        for name in self._roll_call:
            view = written.get(name, Written())
            position = view.checkpoint.position
            if name == public_view.NAME and view.checkpoint.in_force >= in_force:
                # Its documents are written with the appends, unless the facts in force changed.
                position = self._head
            self._stands(name, position, view.error)

    def status(self) -> dict[str, Standing]:
        """Return how every view stands."""
        with self._moved:
            return {name: Standing(**standing) for name, standing in self._standing.items()}

    def _stands(self, name: str, position: int, error: str | None) -> None:
        with self._moved:
            lag = max(0, self._head - position)
            self._standing[name] = Standing(position=position, lag=lag, error=error)
            self._moved.notify_all()


def _pauses() -> Iterator[float]:
    """Yield how long to wait before each further look: longer and longer, up to a bound."""
    pause = LOOK_S
    while True:
        yield pause
        pause = min(2 * pause, LOOK_S_MAX)
