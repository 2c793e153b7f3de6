"""Who keeps the views up to date?  One thread that follows the log and feeds every projection.

It never writes to the log; what a projection cannot take in stops that projection alone, loudly.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from ledger import errors
from ledger.store import LogRow, Store
from ledger.worker import rebuilding
from ledger.worker.folding import ALONE_MAX
from ledger.worker.history import Histories, Poison, Progress, Reader
from ledger.worker.pace import Pace
from ledger.worker.standings import Standing, Standings
from projections import ROLL_CALL, public_view
from projections.folded import FOLD, Folded
from projections.table import Checkpoint
from projections.table import Standing as Written
from projections.views import Overtaken, Views, ViewsBusy, ViewsClosed, ViewsUnavailable

__all__ = ["BATCH", "Poison", "Progress", "Projector", "ProjectorStopped", "Standing"]

BATCH: Final = rebuilding.BATCH
BATCH_MAX: Final = 5_000
"""The size of batches in a process of its own while so many are to come: it folds records once."""
POLL_S: Final = 1.0
AWAY: Final = (ViewsUnavailable, errors.Unavailable, OSError)
"""A database that is away: every view waits, and looks again after a while."""
PASSING: Final = (ViewsBusy, Overtaken, *AWAY)
"""Troubles that say nothing about an event: the same step may succeed later."""
PAUSE_S: Final = 0.1
PAUSE_S_MAX: Final = 5.0
"""How long it waits for a database that is away: at first, and at most."""

_log = logging.getLogger("ledger.worker")


class ProjectorStopped(Exception):
    """The projector was stopped while it was rebuilding."""


class Projector:
    """Feeds the projections: by batches while it follows the log, by one fold of all otherwise.

    Any number of processes may start one: the views say who leads, and the others wait to take
    over, which they try every ``poll_s`` seconds; the database frees the lead as soon as it sees
    that the leader has died.  Even two that believe to lead do no harm: a checkpoint only moves
    forward, and a swap checks it.
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
        self.projected: Callable[[int, float], None] = lambda _events, _seconds: None
        """Told of each step that moved a view: by how many events at most, in how many seconds."""
        self._store = store
        self._views = views
        self._roll_call = roll_call
        self._poll_s = poll_s
        self._stepping = threading.Lock()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._pace = Pace(self._stopping)
        self._reader = Reader(store)
        self._histories = Histories(self._reader)
        self._tail: tuple[int, list[LogRow]] = (-1, [])
        self._touched: tuple[tuple[int, int], list[Folded]] = ((-1, 0), [])
        self._followed = set[str]()
        self._standings = Standings(roll_call, self._reader, views, self._stopping)
        self.status = self._standings.status
        self.look = self._standings.look
        self.wait = self._standings.wait
        self.reached = self._standings.reached
        self._thread = threading.Thread(target=self._work, name="projector", daemon=True)

    # ------------------------------------------------------------ the thread

    def start(self, *, yielding: float = 1.0) -> None:
        """Follow the log from now on, in a thread of its own.

        It rests ``yielding`` times as long as it works: 1 where appends share the process, 0 in a
        process of its own.
        """
        self._pace.yielding = yielding
        self._store.subscribe_commits(lambda _position: self._wake.set())
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch at hand and end the thread."""
        self._stopping.set()
        self._wake.set()
        self._standings.wake()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        pause = PAUSE_S
        while not self._stopping.is_set():
            # Cleared before looking: a commit that lands while we look wakes us once more.
            self._wake.clear()
            try:
                leading = self.lead()
                moved = leading and self.step()
            except (ViewsClosed, ProjectorStopped):
                return
            except AWAY as trouble:
                if pause == PAUSE_S:
                    _log.warning("The views wait: %s", trouble)
                self._standings.leading = False
                self._stopping.wait(pause)
                pause = min(2 * pause, PAUSE_S_MAX)
                continue
            except Exception:  # noqa: BLE001 - the thread outlives whatever it is
                _log.exception("The projector could not take a step; it tries again.")
                self._stopping.wait(PAUSE_S_MAX)
                continue
            if pause > PAUSE_S:
                # As loud as the trouble was, whose end it is.
                _log.warning("The views go on.")
                pause = PAUSE_S
            if not leading:
                self._stopping.wait(self._poll_s)
            elif not moved:
                self._wake.wait(self._poll_s)

    def lead(self) -> bool:
        """Become the one that keeps the views up to date, if no other process is; True if so."""
        leading = self._views.try_lead()
        if leading and not self._standings.leading:
            _log.info("This process keeps the views up to date.")
        self._standings.leading = leading
        return leading

    # ------------------------------------------------------------ following

    def catch_up(self) -> None:
        """Bring every view that is not stopped to the end of the log, in the calling thread."""
        while self.step():
            pass

    def step(self) -> bool:
        """Take every view on by up to one batch; return whether any of them moved."""
        with self._stepping:
            began = time.monotonic()
            self._standings.head = self._reader.position()
            before = self._views.standings()
            going = [name for name in self._roll_call if not self._stopped(name, before)]
            anew = [name for name in going if self._anew(name, before.get(name, Written()))]
            moved = [
                self._tried((name,), partial(self._follow, name))
                for name in going
                if name not in anew
            ]
            if anew:
                # One fold of the log makes them all.
                moved.append(self._tried(anew, partial(self.rebuild, *anew)))
            self._touched = ((-1, 0), [])
            if any(moved):
                self.projected(max(moved), time.monotonic() - began)
        return any(moved)

    def _stopped(self, name: str, written: Mapping[str, Written]) -> bool:
        """Whether a view was stopped by an event, and nobody has rebuilt it since."""
        error = self._standings.error(name)
        if error is None or written.get(name, Written()).error is None:
            return False
        self._standings.note(name, self.status()[name]["position"], error)
        return True

    def _anew(self, name: str, written: Written) -> bool:
        """Whether a view is to be made anew: other facts are in force than when it was derived.

        So it is, too, when an older fold derived it, as before an upgrade, and when it lacks most
        of a long log, because that is quicker than following.
        """
        head, before = self._standings.head, written.checkpoint
        if written.fold < FOLD:
            return True
        if name == public_view.NAME:
            # Its documents are written with the appends: only new facts in force move it.
            return self._reader.in_force(head).version != before.in_force
        if name not in self._followed and head - before.position > max(ALONE_MAX, head // 2):
            return True
        rows = self._batch(before.position) if before.position else []
        return bool(rows) and self._reader.in_force(rows[-1].position).version != before.in_force

    def _tried(self, names: Sequence[str], act: Callable[[], None]) -> int:
        """Do something to views; a trouble of one view stops that view alone, and is written down.

        Returns by how many events one of them moved at most.
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
                return max(self._tried((name,), partial(self.rebuild, name)) for name in names)
            return self._fails(names[0], before[0], trouble)
        after = [self._views.checkpoint(name) for name in names]
        for name, reached in zip(names, after, strict=True):
            there = self._standings.head if name == public_view.NAME else reached.position
            self._standings.note(name, there, None)
        # A view that was made anew where it stood has moved as well.
        moves = zip(before, after, strict=True)
        return max(max(1, b.position - a.position) if a != b else 0 for a, b in moves)

    def _fails(self, name: str, before: Checkpoint, trouble: Exception) -> int:
        """Stop a view; one that could not be made anew in one go follows up to the event first."""
        behind = self._standings.head - before.position
        if name != public_view.NAME and name not in self._followed and behind > ALONE_MAX:
            self._followed.add(name)
            return 1
        _log.error("%s is stopped: %s", name, trouble)
        self._views.report(name, str(trouble))
        self._standings.note(name, self._views.checkpoint(name).position, str(trouble))
        return 0

    def _follow(self, name: str) -> None:
        """Take a view on from its checkpoint by up to one batch; raises Poison."""
        if name == public_view.NAME:
            return
        before = self._views.checkpoint(name)
        rows = self._batch(before.position)
        if not rows:
            return
        in_force = self._reader.in_force(rows[-1].position)
        if before.position and in_force.version != before.in_force:
            # They have come into force during this step: the next one makes the view anew.
            return
        reached = Checkpoint(rows[-1].position, in_force.version)
        try:
            if self._touched[0] != (before.position, reached.position):
                touched = [*self._pace.over(self._histories.each(rows, in_force))]
                self._touched = (before.position, reached.position), touched
            paced = self._pace.over(self._touched[1])
            self._views.apply(self._roll_call[name], paced, reached, before.position)
        except (*PASSING, ViewsClosed):
            raise
        except Exception:  # noqa: BLE001 - one by one, to stop right before the event at fault
            self._one_by_one(name, rows)

    def _batch(self, after: int) -> list[LogRow]:
        """Return the next rows; views that stand together share them."""
        if self._tail[0] != after or not self._tail[1]:
            many = self._standings.head - after >= BATCH_MAX and not self._pace.yielding
            size = BATCH_MAX if many else BATCH
            self._tail = (after, self._reader.batch(after, size))
        return self._tail[1]

    def _one_by_one(self, name: str, rows: list[LogRow]) -> None:
        for row in self._pace.over(rows):
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

        rebuilding.rebuild(self._store, self._views, wanted, told, self._pace)
        self._standings.head = max(self._standings.head, self._reader.position())
        for name in names:
            self._standings.note(name, self._views.checkpoint(name).position, None)
            self._followed.discard(name)
        self._wake.set()
