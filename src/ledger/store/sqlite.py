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

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    ListenNotifySubscription,
    Notification,
    StoredEvent,
    Subscription,
)

from ledger.store import Append, IdempotencyKey, LogRow, Receipt, StoredDocument
from ledger.store.sqlite_files import APPLICATION_ID, SCHEMA_VERSION, Readers, check, connect
from ledger.store.sqlite_session import SQLiteSession, answered, moment, ready, sealed
from ledger.store.writer import Writer

PAGE: Final = 1_000

_ROW = "position, recorded_at, originator_id, originator_version, topic, state"
_DOCUMENT = "id, version, position, recorded_at, body"


def create(path: Path) -> None:
    """Create an empty ledger; raises FileExistsError when there is a file."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
    os.close(descriptor)
    schema = (files("ledger.store") / "sqlite.sql").read_text(encoding="utf-8")
    with contextlib.closing(connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"BEGIN; {schema}; PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )


def open_store(path: Path, queue_max: int = 1_000) -> SQLiteStore:
    """Open a ledger; refuses NotInitialised without a file and WrongSchema for another version."""
    check(path)
    return SQLiteStore(path, queue_max)


def _log_row(row: tuple[Any, ...]) -> LogRow:
    return LogRow(row[0], moment(row[1]), *row[2:])


def _document_row(row: tuple[Any, ...]) -> StoredDocument:
    return StoredDocument(row[0], row[1], row[2], moment(row[3]), row[4])


class SQLiteStore(ApplicationRecorder):
    """A ledger in one SQLite file; see ``ledger.store.Store`` for what each method promises."""

    def __init__(self, path: Path, queue_max: int = 1_000) -> None:
        """Open an existing ledger; use ``open_store``, which checks it first."""
        self._session = SQLiteSession(path)
        self._readers = Readers(path)
        self._writer = Writer(self._session, queue_max)

    # ------------------------------------------------------------ appends

    def append(self, append: Append) -> Future[Receipt]:
        """Queue an append; the future gives its receipt or a conflict.  Raises QueueFull."""
        return self._writer.submit(ready(append))

    def replace_documents(self, view: str, fresh: Iterable[StoredDocument], upto: int) -> None:
        """Swap a view for freshly folded documents, in one transaction."""
        folded = list(fresh)  # folding takes its time, and belongs outside the transaction
        self._writer.submit(lambda: self._session.swap(view, folded, upto)).result()

    def subscribe_commits(self, wake: Callable[[int], None]) -> None:
        """Call ``wake(position)`` after each commit of this process."""
        self._writer.woken.append(wake)

    # ------------------------------------------------------------ reads for doors

    async def document(self, view: str, id_: str) -> StoredDocument | None:
        """Return the current document of a view, or None."""
        rows = self._read(
            f"SELECT {_DOCUMENT} FROM documents WHERE view = ? AND id = ?", (view, id_)
        )
        return _document_row(rows[0]) if rows else None

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the stream that holds a reserved name, or None."""
        rows = self._read(
            "SELECT owner FROM reservations WHERE kind = ? AND value = ?", (kind, value)
        )
        return rows[0][0] if rows else None

    async def answered(self, idempotency: IdempotencyKey) -> Receipt | None:
        """Return the receipt that this key was answered with, or None; raises KeyConflict."""
        with self._readers.reading() as connection:
            return answered(connection, idempotency)

    async def stream(
        self, originator_id: str, after: int = 0, limit: int | None = None
    ) -> list[LogRow]:
        """Return the rows of one stream with a version above ``after``, in order."""
        rows = self._read(
            f"SELECT {_ROW} FROM events WHERE originator_id = ? AND originator_version > ? "
            "ORDER BY originator_version LIMIT ?",
            (originator_id, after, -1 if limit is None else limit),
        )
        return [_log_row(row) for row in rows]

    async def position(self) -> int:
        """Return the position of the last event, 0 for an empty log."""
        return self.max_notification_id() or 0

    # ------------------------------------------------------------ reads in bulk

    def rows(self, after: int = 0, upto: int | None = None, page: int = PAGE) -> Iterator[LogRow]:
        """Yield the log in order from position ``after`` + 1, reading ``page`` rows at a time."""
        last = 2**63 - 1 if upto is None else upto
        while True:
            found = self._read(
                f"SELECT {_ROW} FROM events WHERE position > ? AND position <= ? "
                "ORDER BY position LIMIT ?",
                (after, last, page),
            )
            yield from map(_log_row, found)
            if len(found) < page:
                return
            after = found[-1][0]

    def documents(self, view: str) -> Iterator[StoredDocument]:
        """Yield every document of a view in order of id."""
        after = ""
        while True:
            found = self._read(
                f"SELECT {_DOCUMENT} FROM documents WHERE view = ? AND id > ? ORDER BY id LIMIT ?",
                (view, after, PAGE),
            )
            yield from map(_document_row, found)
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
        low, high = (-1 if gt is None else gt), (2**63 - 1 if lte is None else lte)
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
        high = 2**63 - 1 if stop is None else stop
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
        return _Subscription(self, gt, topics, self._writer.woken)

    # ------------------------------------------------------------ connections

    def _read(self, statement: str, given: tuple[Any, ...]) -> list[Any]:
        with self._readers.reading() as connection:
            return connection.execute(statement, given).fetchall()

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


class _Subscription(ListenNotifySubscription[ApplicationRecorder]):
    """The engine's subscription, woken by the commits of this process."""

    def __init__(
        self,
        store: SQLiteStore,
        gt: int | None,
        topics: Sequence[str],
        woken: list[Callable[[int], None]],
    ) -> None:
        super().__init__(recorder=store, gt=gt, topics=topics)
        self._woken = woken
        woken.append(self._wake)
        # What was committed between the first look and this line has woken nobody.
        self._has_been_notified.set()

    def _wake(self, _position: int) -> None:
        self._has_been_notified.set()

    def stop(self) -> None:
        with contextlib.suppress(ValueError):
            self._woken.remove(self._wake)
        super().stop()
