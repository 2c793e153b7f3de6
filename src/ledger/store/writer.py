"""How do many appends share one commit?  The group-commit writer: a queue, a thread, a batch.

Knows no database: a ``Session`` does the statements.  Zero linger: a batch is whatever has queued
while the last commit was under way, so a lone append never waits and a crowd shares one flush.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ledger import errors
from ledger.store import Observer, QueueFull

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

    def together(self, works: list[Any]) -> int:
        """Return how many of the works, from the first, can be carried out together: 1 or more."""

    def carry_out(self, works: list[Any]) -> list[Any]:
        """Carry out works in order; returns each one's answer, or the exception that refuses it.

        Raises when the works cannot be written together: then the transaction is undone.
        """

    def is_trouble(self, error: Exception) -> bool:
        """Whether the database itself failed, as opposed to one wish."""

    def is_undone(self, error: Exception) -> bool:
        """Whether nothing of what failed can have been carried out, so that it may be tried again.

        A connection that breaks leaves that open: then only the clients' retries tell.
        """

    @property
    def position(self) -> int:
        """The position of the last event, as this transaction knows it."""


@dataclass(slots=True)
class _Wish:
    work: Any
    future: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)


class Writer:
    """One thread that carries out queued work in batches, one commit per batch."""

    def __init__(
        self,
        session: Session,
        queue_max: int,
        observe: Observer | None = None,
        patience_s: float | None = None,
    ) -> None:
        """Start the thread; each of ``woken`` is called with the position after a commit.

        What has waited longer than ``patience_s`` is refused and not carried out.
        """
        self.woken: list[Callable[[int], None]] = []
        self._observe = observe
        self._patience_s = patience_s
        self._session = session
        self._queue: queue.SimpleQueue[_Wish | None] = queue.SimpleQueue()
        self._queue_max = queue_max
        self._closing = threading.Lock()
        self._closed = False
        self._woken_at = -1
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many wishes wait now."""
        return self._queue.qsize()

    def submit(self, work: Any) -> Future[Any]:
        """Queue work for the next batch; raises QueueFull at once when the queue is full."""
        wish = _Wish(work)
        # Running from the start: a caller that goes away cannot cancel what others share.
        wish.future.set_running_or_notify_cancel()
        with self._closing:
            if self._closed:
                raise errors.StoreUnavailable
            # Nothing is queued but under this lock, so the limit holds exactly.
            if self._queue.qsize() >= self._queue_max:
                raise QueueFull
            self._queue.put(wish)
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
        wishes: list[_Wish] = []
        last = False
        while wishes or not last:
            if not wishes:
                last = self._take(wishes, self._queue.get())
            while not last and len(wishes) < BATCH_MAX:
                try:
                    last = self._take(wishes, self._queue.get_nowait())
                except queue.Empty:
                    break
            wishes = self._patient(wishes)
            if wishes:
                count = self._session.together([wish.work for wish in wishes])
                batch, wishes = wishes[:count], wishes[count:]
                self._timed(batch)

    def _take(self, wishes: list[_Wish], wish: _Wish | None) -> bool:
        """Take a wish in; True when it was the word to end."""
        if wish is not None:
            wishes.append(wish)
        return wish is None

    def _patient(self, wishes: list[_Wish]) -> list[_Wish]:
        """Return the wishes that have not waited too long, and refuse the others."""
        if self._patience_s is None:
            return wishes
        oldest = time.perf_counter() - self._patience_s
        for wish in wishes:
            if wish.since < oldest:
                message = "The append has waited too long for the database; it was not written."
                wish.future.set_exception(errors.StoreUnavailable(message))
        return [wish for wish in wishes if wish.since >= oldest]

    def _timed(self, batch: list[_Wish]) -> None:
        began = time.perf_counter()
        self._carry_out(batch)
        # Works of another kind, such as a step of the tree, are no appends.
        appends = [wish for wish in batch if not callable(wish.work)]
        if self._observe is not None and appends:
            ended = time.perf_counter()
            waited = [ended - wish.since for wish in appends]
            try:
                self._observe.committed(len(appends), ended - began, waited)
            except Exception:  # noqa: BLE001 - the log goes on unobserved
                _log.exception("the observer of commits failed")

    def _carry_out(self, batch: list[_Wish]) -> bool:
        """Carry out a batch in one transaction; every future is resolved, whatever happens.

        False when the database could not even begin, so that there is no use in trying the next.
        """
        try:
            self._session.begin()
        except Exception as fault:  # noqa: BLE001 - whatever it is, the callers must hear of it
            self._give_up(batch, fault)
            return False
        try:
            answers = self._session.carry_out([wish.work for wish in batch])
        except Exception as why:  # noqa: BLE001 - one wish is to blame, or the database is
            self._session.rollback()
            if len(batch) > 1 and self._session.is_undone(why):
                self._one_by_one(batch)
            elif self._session.is_trouble(why):
                self._give_up(batch, why)
            else:
                batch[0].future.set_exception(why)
            return True
        try:
            self._session.commit()
        except Exception as fault:  # noqa: BLE001 - as above
            self._give_up(batch, fault)
            return True
        # From here the batch is durable; a crash below loses answers, never facts.
        if not all(isinstance(answer, Exception) for answer in answers):
            self._wake()
        for wish, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                wish.future.set_exception(answer)
            else:
                wish.future.set_result(answer)
        return True

    def _one_by_one(self, batch: list[_Wish]) -> None:
        """Give every wish a transaction of its own: what cannot be stored fails alone."""
        for n, wish in enumerate(batch):
            if not self._carry_out([wish]):
                fault = wish.future.exception()
                self._give_up(batch[n + 1 :], fault)
                return

    def _give_up(self, batch: list[_Wish], fault: BaseException | None) -> None:
        """Answer that the store is unavailable, and start afresh with another connection."""
        why = str(fault).strip().splitlines()[:1] or [type(fault).__name__]
        _log.error("%d appends could not be written: %s", len(batch), why[0])
        self._session.rollback()
        self._session.reopen()
        for wish in batch:
            refusal = fault if isinstance(fault, errors.Refusal) else errors.StoreUnavailable()
            if refusal is not fault:
                refusal.__cause__ = fault
            wish.future.set_exception(refusal)

    def _wake(self) -> None:
        position = self._session.position
        if position == self._woken_at:
            # A work of another kind than an append: nobody waits for those.
            return
        self._woken_at = position
        for wake in tuple(self.woken):
            try:
                wake(position)
            except Exception:  # noqa: BLE001 - the log goes on without it
                _log.exception("a subscriber to commits failed")
