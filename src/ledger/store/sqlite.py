"""How does the log live in SQLite?  The first adapter of the store port, in one file of its own.

Own connections: one for the writer's thread, one for each reading thread.  WAL with full
synchronisation: an acknowledged append survives a power cut.  It never changes or removes an event.

It is an ``ApplicationRecorder`` of the ``eventsourcing`` library, so the engine's repository,
notification log and conformance tests work on it.  It plugs in where an application constructs its
recorder (``ledger.engine.Engine.construct_recorder`` returns the opened store); there is no
``InfrastructureFactory`` here, because a ledger is opened and closed by the service, not by the
environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    StoredEvent,
    Subscription,
)

from ledger.store import (
    Append,
    FactRow,
    IdempotencyKey,
    LogRow,
    Observer,
    Receipt,
    StoredDocument,
)
from ledger.store.migrations import steps
from ledger.store.raw import Raw
from ledger.store.rows import DOCUMENT, FACT, LOG, document_row, fact_row, log_row
from ledger.store.sealing import (
    findable,
    made_before,
    microseconds,
    moment,
    ready,
    replayed,
    sealed,
)
from ledger.store.sqlite_files import APPLICATION_ID, Readers, check, connect, version
from ledger.store.sqlite_session import DAY_US, SQLiteSession
from ledger.store.sqlite_tree import SQLiteTree
from ledger.store.subscription import CommitSubscription
from ledger.store.writer import Writer
from ledger.vocabulary import new_record_id, now

PAGE: Final = 1_000
FRESH_CHUNK: Final = 500
STAGED_FOR: Final = timedelta(days=1)
"""How old staged documents have to be to be the leftovers of a process that was killed."""
STREAM_AT_ONCE: Final = 200
"""Rows of a stream that are read on the event loop; longer ones are read in a thread."""

_LAST: Final = 2**63 - 1
_STREAM: Final = (
    f"SELECT {LOG} FROM events WHERE originator_id = ? AND originator_version > ? "
    "ORDER BY originator_version LIMIT ?"
)
_LOG: Final = (
    f"SELECT {LOG} FROM events WHERE position > ? AND position <= ? ORDER BY position LIMIT ?"
)


def create(path: Path) -> None:
    """Create an empty ledger; raises FileExistsError when there is a file."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
    os.close(descriptor)
    with contextlib.closing(connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    migrate(path)


def migrate(path: Path) -> int:
    """Bring a ledger to this program's schema; returns the version found, 0 for an empty one.

    Refuses NotInitialised for what is no ledger and WrongSchema for a newer one.
    """
    found = version(path)
    with contextlib.closing(connect(path)) as connection:
        for step in steps("sqlite")[found:]:
            connection.executescript(
                f"BEGIN IMMEDIATE; {step.statements}; PRAGMA user_version = {step.version}; COMMIT;"
            )
    check(path)
    return found


def open_store(
    path: Path,
    queue_max: int = 1_000,
    *,
    idempotency_days: int = 30,
    observe: Observer | None = None,
) -> SQLiteStore:
    """Open a ledger; refuses NotInitialised without a file and WrongSchema for another version."""
    check(path)
    return SQLiteStore(path, queue_max, idempotency_days=idempotency_days, observe=observe)


class SQLiteStore(ApplicationRecorder):
    """A ledger in one SQLite file; see ``ledger.store.Store`` for what each method promises."""

    def __init__(
        self,
        path: Path,
        queue_max: int = 1_000,
        *,
        idempotency_days: int = 30,
        observe: Observer | None = None,
    ) -> None:
        """Open an existing ledger; use ``open_store``, which checks it first."""
        self._path = path
        self._key_life_us = idempotency_days * DAY_US
        self._session = SQLiteSession(path, idempotency_days)
        self._readers = Readers(path)
        self._writer = Writer(self._session, queue_max, observe)
        self.raw = Raw(self._ask, _STREAM, _LOG)
        self.tree = SQLiteTree(self._readers, self._session, self._writer)

    @property
    def waiting(self) -> int:
        """How many appends wait for the writer now."""
        return self._writer.waiting

    def check(self) -> None:
        """Refuse StoreUnavailable, NotInitialised or WrongSchema unless all is well."""
        check(self._path)

    # ------------------------------------------------------------ appends

    def append(self, append: Append) -> Future[Receipt]:
        """Queue an append; the future gives its receipt or a conflict.  Raises QueueFull."""
        return self._writer.submit(ready(append))

    def replace_documents(self, view: str, fresh: Iterable[StoredDocument], upto: int) -> None:
        """Swap a view for freshly folded documents, in one short transaction at the end."""
        rebuild = new_record_id()
        left = made_before(now() - STAGED_FOR)
        stream = iter(fresh)
        try:
            # Staged by the writer a little at a time, so that appends find their way in between.
            while chunk := list(islice(stream, FRESH_CHUNK)):
                self._writer.submit(partial(self._session.stage, rebuild, chunk)).result()
            self._writer.submit(partial(self._session.swap, rebuild, view, upto)).result()
        finally:
            self._writer.submit(partial(self._session.unstage, rebuild, left)).result()

    def subscribe_commits(self, wake: Callable[[int], None]) -> None:
        """Call ``wake(position)`` after each commit of this process."""
        self._writer.woken.append(wake)

    # ------------------------------------------------------------ reads for doors

    @contextlib.asynccontextmanager
    async def reading_here(self) -> AsyncIterator[None]:
        """Do nothing: a look-up in a file is quicker than any way to share it."""
        yield

    async def document(self, view: str, id_: str) -> StoredDocument | None:
        """Return the current document of a view, or None."""
        rows = self._look_up(
            f"SELECT {DOCUMENT} FROM documents WHERE view = ? AND id = ?", (view, id_)
        )
        return document_row(rows[0]) if rows else None

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the stream that holds a reserved name, or None."""
        rows = self._look_up(
            "SELECT owner FROM reservations WHERE kind = ? AND value = ?", (kind, value)
        )
        return rows[0][0] if rows else None

    async def documents_of(self, view: str, ids: Sequence[str]) -> dict[str, StoredDocument]:
        """Return the current documents of a view by id; those that are not there are left out."""
        rows = self._read(
            f"SELECT {DOCUMENT} FROM documents WHERE view = ? AND id IN "
            "(SELECT value FROM json_each(?))",
            (view, json.dumps([*filter(findable, ids)])),
        )
        return {row[0]: document_row(row) for row in rows}

    async def owners_of(self, kind: str, values: Sequence[str]) -> dict[str, str]:
        """Return which streams hold reserved names, by name; free names are left out."""
        query = (
            "SELECT value, owner FROM reservations WHERE kind = ? AND value IN "
            "(SELECT value FROM json_each(?))"
        )
        return dict(self._read(query, (kind, json.dumps([*filter(findable, values)]))))

    async def artifact(self, digest: str) -> int | None:
        """Return the size in bytes of an artifact that is public, or None."""
        rows = self._look_up("SELECT size_bytes FROM artifacts WHERE digest = ?", (digest,))
        return rows[0][0] if rows else None

    async def answered(self, idempotency: IdempotencyKey) -> Receipt | None:
        """Return the receipt that this key was answered with, or None; raises KeyConflict."""
        rows = self._look_up(
            "SELECT fingerprint, originator_id, version, position, recorded_at FROM idempotency "
            "WHERE actor = ? AND key = ?",
            (idempotency.actor, idempotency.key),
        )
        if not rows or rows[0][4] < microseconds(now()) - self._key_life_us:
            return None
        fingerprint, stream, version, position, at = rows[0]
        return replayed(idempotency, fingerprint, Receipt(stream, version, position, moment(at)))

    async def stream(
        self, originator_id: str, after: int = 0, limit: int | None = None
    ) -> list[LogRow]:
        """Return the rows of one stream with a version above ``after``, in order."""
        first = min(STREAM_AT_ONCE, _LAST if limit is None else limit)
        rows = self._rows_of(originator_id, after, first)
        if len(rows) == STREAM_AT_ONCE and limit != STREAM_AT_ONCE:
            left = -1 if limit is None else limit - STREAM_AT_ONCE
            rows += await asyncio.to_thread(self._rows_of, originator_id, rows[-1][3], left)
        return [log_row(row) for row in rows]

    def _look_up(self, statement: str, names: tuple[str, ...]) -> list[Any]:
        return self._read(statement, names) if all(map(findable, names)) else []

    def _rows_of(self, originator_id: str, after: int, limit: int) -> list[Any]:
        if not findable(originator_id):
            return []
        return self._read(_STREAM, (originator_id, after, limit))

    async def position(self) -> int:
        """Return the position of the last event, 0 for an empty log."""
        return self.max_notification_id() or 0

    # ------------------------------------------------------------ reads in bulk

    def head(self) -> int:
        """Return the position of the last event, 0 for an empty log."""
        return self.max_notification_id() or 0

    def rows_of(self, originator_id: str, after: int = 0) -> list[LogRow]:
        """Return the rows of one stream with a version above ``after``, in order."""
        return [log_row(row) for row in self._rows_of(originator_id, after, -1)]

    def rows(self, after: int = 0, upto: int | None = None, page: int = PAGE) -> Iterator[LogRow]:
        """Yield the log in order from position ``after`` + 1, reading ``page`` rows at a time."""
        last = _LAST if upto is None else upto
        while True:
            found = self._read(_LOG, (after, last, page))
            yield from map(log_row, found)
            if len(found) < page:
                return
            after = found[-1][0]

    def rows_by_stream(self, upto: int, page: int = PAGE) -> Iterator[FactRow]:
        """Yield the facts up to position ``upto``, stream by stream, each in order."""
        after: tuple[str, int] = ("", 0)
        while True:
            found = self._read(
                f"SELECT {FACT} FROM events WHERE (originator_id, originator_version) > (?, ?) "
                "AND position <= ? ORDER BY originator_id, originator_version LIMIT ?",
                (*after, upto, page),
            )
            yield from map(fact_row, found)
            if len(found) < page:
                return
            after = (found[-1][2], found[-1][3])

    def documents(self, view: str) -> Iterator[StoredDocument]:
        """Yield every document of a view in order of id."""
        after = ""
        while True:
            found = self._read(
                f"SELECT {DOCUMENT} FROM documents WHERE view = ? AND id > ? ORDER BY id LIMIT ?",
                (view, after, PAGE),
            )
            yield from map(document_row, found)
            if len(found) < PAGE:
                return
            after = found[-1][0]

    # ------------------------------------------------------------ the engine's recorder

    def insert_events(self, stored_events: Sequence[StoredEvent], **_kwargs: Any) -> list[int]:
        """Insert events as the engine does; raises its IntegrityError for a duplicate."""
        events = tuple(map(sealed, stored_events))

        def write() -> list[int]:
            try:
                return self._session.insert(events)
            except sqlite3.IntegrityError as duplicate:
                raise IntegrityError(str(duplicate)) from duplicate

        inserted: list[int] = self._writer.submit(write).result()
        return inserted

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        """Return the events of one stream between two versions."""
        low, high = (-1 if gt is None else gt), (_LAST if lte is None else lte)
        rows = self._read(
            "SELECT originator_id, originator_version, topic, state FROM events "
            "WHERE originator_id = ? AND originator_version > ? AND originator_version <= ? "
            f"ORDER BY originator_version {'DESC' if desc else 'ASC'} LIMIT ?",
            (str(originator_id), low, high, -1 if limit is None else limit),
        )
        return [StoredEvent(*row) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        """Return events of the log between two positions, of some topics or of all."""
        low = 0 if start is None else start if inclusive_of_start else start + 1
        high = _LAST if stop is None else stop
        named = f"AND topic IN ({', '.join('?' * len(topics))}) " if topics else ""
        rows = self._read(
            "SELECT originator_id, originator_version, topic, state, position FROM events "
            f"WHERE position >= ? AND position <= ? {named}ORDER BY position LIMIT ?",
            (low, high, *topics, limit),
        )
        return [Notification(*row) for row in rows]

    def max_notification_id(self) -> int | None:
        """Return the position of the last event, None for an empty log."""
        position: int | None = self._read("SELECT max(position) FROM events", ())[0][0]
        return position

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Return an iterator over the log that waits for the commits of this process."""
        return CommitSubscription(self, gt, topics, self._writer.woken)

    # ------------------------------------------------------------ connections

    def _read(self, statement: str, given: tuple[Any, ...]) -> list[Any]:
        with self._readers.reading() as connection:
            return connection.execute(statement, given).fetchall()

    async def _ask(self, statement: str, given: tuple[Any, ...], most: int) -> list[Any]:
        if most <= STREAM_AT_ONCE:
            return self._read(statement, given)
        return await asyncio.to_thread(self._read, statement, given)

    def close(self) -> None:
        """Finish what is queued, then close every connection."""
        self._writer.close()
        self._readers.close()
        self._session.connection.close()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store."""
        self.close()
