"""Who keeps the views up to date?  One thread that follows the log and feeds every projection.

It never writes to the log; what a projection cannot take in stops that projection alone, loudly.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, TypedDict

from ledger import errors
from ledger.store import LogRow, Store, StoredDocument
from ledger.worker.history import Histories, Poison, Progress, Reader
from projections import ROLL_CALL, public_view
from projections.table import Checkpoint
from projections.views import Overtaken, Views, ViewsBusy, ViewsClosed, ViewsUnavailable

__all__ = ["BATCH", "Poison", "Progress", "Projector", "ProjectorStopped", "Standing"]

BATCH: Final = 1_000
POLL_S: Final = 1.0
PASSING: Final = (ViewsBusy, ViewsUnavailable, Overtaken, errors.Unavailable, OSError)
"""Troubles that say nothing about an event: the same step may succeed later."""

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

    Made to run once per views file.  Several processes at once do no harm (a checkpoint only moves
    forward, and a swap checks it), but the same work is done several times.
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

    def start(self) -> None:
        """Follow the log from now on, in a thread of its own."""
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
        self._reader.close()

    def _work(self) -> None:
        while not self._stopping.is_set():
            # Cleared before looking: a commit that lands while we look wakes us once more.
            self._wake.clear()
            began = time.monotonic()
            try:
                moved = self.step()
            except (ViewsClosed, ProjectorStopped):
                return
            except Exception:  # noqa: BLE001 - the thread outlives a store that is away for a while
                _log.exception("The projector could not take a step; it tries again.")
                moved = False
            if moved:
                # Half of the time belongs to the appends that share this process.
                self._stopping.wait(time.monotonic() - began)
            else:
                self._wake.wait(self._poll_s)

    # ------------------------------------------------------------ following

    def catch_up(self) -> None:
        """Bring every view that is not stopped to the end of the log, in the calling thread."""
        while self.step():
            pass

    def step(self) -> bool:
        """Take every view on by up to one batch; return whether any of them moved."""
        moved = False
        with self._stepping:
            self._head = self._reader.position()
            for name in self._roll_call:
                moved = self._advance(name) or moved
        return moved

    def _advance(self, name: str) -> bool:
        if self._standing[name]["error"] is not None:
            self._stands(name, self._standing[name]["position"], self._standing[name]["error"])
            return False
        before = self._views.checkpoint(name)
        try:
            after = self._taken(name, before)
        except PASSING as trouble:
            # Overtaken is good news: another process has just swapped in the same view.
            level = logging.INFO if isinstance(trouble, Overtaken) else logging.WARNING
            _log.log(level, "%s waits: %s: %s", name, type(trouble).__name__, trouble)
            after = before
        except (ViewsClosed, ProjectorStopped):
            raise
        except Exception as trouble:  # noqa: BLE001 - whatever it is, it stops this view alone
            _log.error("%s is stopped: %s", name, trouble)
            self._stands(name, self._views.checkpoint(name).position, str(trouble))
            return False
        self._stands(name, self._head if name == public_view.NAME else after.position, None)
        return after != before

    def _taken(self, name: str, before: Checkpoint) -> Checkpoint:
        """Take a view on from a checkpoint, and return where it is then; raises Poison."""
        if name == public_view.NAME:
            # Its documents are written with the appends: only new facts in force move it.
            if self._reader.in_force(self._head).version != before.in_force:
                self.rebuild(name)
            return self._views.checkpoint(name)
        rows = self._batch(before.position)
        if not rows:
            return before
        in_force = self._reader.in_force(rows[-1].position)
        if before.position and in_force.version != before.in_force:
            self.rebuild(name)
            return self._views.checkpoint(name)
        reached = Checkpoint(rows[-1].position, in_force.version)
        projection = self._roll_call[name]
        try:
            touched = self._histories.touched(rows, in_force)
            self._views.apply(projection, touched, reached, before.position)
        except (*PASSING, ViewsClosed):
            raise
        except Exception:  # noqa: BLE001 - one by one, to stop right before the event at fault
            self._one_by_one(name, rows)
        return self._views.checkpoint(name)

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

    def rebuild(self, name: str, progress: Progress | None = None) -> None:
        """Fold the whole log anew beside the live view, and swap; raises KeyError, Poison.

        Readers see the old view until the swap.  It also sets a stopped view going again.
        """
        projection = self._roll_call[name]

        def told(done: int, total: int) -> None:
            if self._stopping.is_set():
                raise ProjectorStopped
            if progress is not None:
                progress(done, total)

        with Reader(self._store) as reader:
            if name == public_view.NAME:
                self._replace_documents(reader, told)
            else:
                while not self._refill(projection, reader, told):
                    pass
            self._head = max(self._head, reader.position())
        self._stands(name, self._views.checkpoint(name).position, None)
        self._wake.set()

    def _refill(self, projection: Any, reader: Reader, progress: Progress) -> bool:
        """Fill fresh tables and swap them in; False when the facts in force have changed since."""
        upto = reader.position()
        in_force = reader.in_force(upto)
        fresh = self._views.fresh(projection)
        try:
            fresh.load(history.folded(in_force) for history in reader.replay(upto, progress))
            fresh.index()
            histories = Histories(reader)
            while not fresh.swap(Checkpoint(upto, in_force.version)):
                # The live view went on meanwhile: take in what it has, and try again.
                rows = reader.batch(upto, BATCH)
                upto = rows[-1].position
                if reader.in_force(upto).version != in_force.version:
                    fresh.discard()
                    return False
                fresh.put(histories.touched(rows, in_force))
        except BaseException:
            fresh.discard()
            raise
        return True

    def _replace_documents(self, reader: Reader, progress: Progress) -> None:
        upto = reader.position()
        in_force = reader.in_force(upto)
        fresh = (
            StoredDocument(
                id=history.page.record_id,
                version=history.page.version,
                position=history.entries[-1].position,
                recorded_at=history.entries[-1].recorded_at,
                body=public_view.body(history.page, in_force),
            )
            for history in reader.replay(upto, progress)
        )
        self._store.replace_documents(public_view.NAME, fresh, upto)
        self._views.move(public_view.NAME, Checkpoint(upto, in_force.version))

    # ------------------------------------------------------------ answers

    def wait(self, name: str, position: int, timeout: float) -> bool:
        """Wait until a view has reached a position; False after ``timeout`` seconds, or if stopped.

        Raises KeyError for an unknown view.
        """

        def settled() -> bool:
            stopped = self._standing[name]["error"] is not None or self._stopping.is_set()
            return stopped or self._standing[name]["position"] >= position

        with self._moved:
            self._moved.wait_for(settled, timeout)
            return self._standing[name]["position"] >= position

    def status(self) -> dict[str, Standing]:
        """Return how every view stands."""
        with self._moved:
            return {name: Standing(**standing) for name, standing in self._standing.items()}

    def _stands(self, name: str, position: int, error: str | None) -> None:
        with self._moved:
            lag = max(0, self._head - position)
            self._standing[name] = Standing(position=position, lag=lag, error=error)
            self._moved.notify_all()
