"""How do many appends share one commit?  The group-commit writer: a queue, a thread, a batch.

Knows no database: a ``Session`` does the statements.  Zero linger: a batch is whatever has queued
while the last commit was under way, so a lone append never waits and a crowd shares one flush.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ledger import errors
from ledger.store import QueueFull

BATCH_MAX: Final = 500
_log = logging.getLogger("ledger.store")


class Session(Protocol):
    """One transaction at a time over one connection, used by the writer's thread alone."""

    def begin(self) -> None:
        """Begin a transaction and take the ordering lock."""

    def commit(self) -> None:
        """Commit; after this everything in the batch is durable."""

    def rollback(self) -> None:
        """Undo the transaction if there is one; must not raise."""

    def reopen(self) -> None:
        """Replace a connection that may be broken; must not raise."""

    def attempt(self, work: Callable[[], Any]) -> Any:
        """Run ``work`` inside a savepoint: it happens wholly, or raises and leaves nothing."""


@dataclass(slots=True)
class _Wish:
    work: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class Writer:
    """One thread that carries out queued work in batches, one commit per batch."""

    def __init__(
        self,
        session: Session,
        queue_max: int,
        committed: Callable[[], None],
        trouble: tuple[type[Exception], ...],
    ) -> None:
        """Start the thread; ``committed`` is called after each commit.

        ``trouble`` are the exceptions by which the database itself fails, as opposed to one wish.
        """
        self._session = session
        self._queue: queue.Queue[_Wish | None] = queue.Queue(queue_max)
        self._committed = committed
        self._trouble = trouble
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        """Queue work for the next batch; raises QueueFull at once when the queue is full."""
        wish = _Wish(work)
        # Running from the start: a caller that goes away cannot cancel what others share.
        wish.future.set_running_or_notify_cancel()
        with self._closing:
            if self._closed:
                raise errors.StoreUnavailable
            try:
                self._queue.put_nowait(wish)
            except queue.Full:
                raise QueueFull from None
        return wish.future

    def close(self) -> None:
        """Carry out what is queued, then end the thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            batch = [] if first is None else [first]
            last = first is None
            while not last and len(batch) < BATCH_MAX:
                try:
                    wish = self._queue.get_nowait()
                except queue.Empty:
                    break
                if wish is None:
                    last = True
                else:
                    batch.append(wish)
            if batch:
                self._carry_out(batch)
            if last:
                return

    def _carry_out(self, batch: list[_Wish]) -> None:
        """Carry out a batch in one transaction; every future is resolved, whatever happens."""
        done: list[tuple[_Wish, Any]] = []
        refused: list[tuple[_Wish, Exception]] = []
        try:
            self._session.begin()
            for wish in batch:
                try:
                    done.append((wish, self._session.attempt(wish.work)))
                except self._trouble:
                    raise
                except Exception as why:  # noqa: BLE001 - it belongs to this wish alone
                    refused.append((wish, why))
            self._session.commit()
            # After this the batch is durable; a crash below loses answers, never facts.
        except Exception as fault:
            _log.exception("a batch of %d could not be written", len(batch))
            self._session.rollback()
            self._session.reopen()
            unavailable = errors.StoreUnavailable()
            unavailable.__cause__ = fault
            for wish in batch:
                wish.future.set_exception(unavailable)
            return
        self._notify()
        for wish, answer in done:
            wish.future.set_result(answer)
        for wish, refusal in refused:
            wish.future.set_exception(refusal)

    def _notify(self) -> None:
        try:
            self._committed()
        except Exception:
            _log.exception("a subscriber to commits failed")
