"""How does the log live in SQLite?  The first adapter of the store port, in one file of its own.

Own connections: one for the writer's thread, one for each reading thread.  WAL with full
synchronisation: an acknowledged append survives a power cut.  It never changes or removes an event.

It is an ``ApplicationRecorder`` of the engine, so the engine's repository, notification log and
conformance tests work on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
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

from ledger import errors
from ledger.store import (
    Append,
    GuardConflict,
    IdempotencyKey,
    KeyConflict,
    LogRow,
    Receipt,
    Reservation,
    ReservationConflict,
    StoredDocument,
    VersionConflict,
)
from ledger.store.writer import Writer

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x4C454447
"""``LEDG``: how a file says that it is a ledger."""

BUSY_TIMEOUT_S: Final = 10
CHECKPOINT_PAGES: Final = 4_000
COMMITMENT_PREFIX: Final = b"ledger.payload.v1\n"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SWAP_CHUNK: Final = 1_000

_ROW = "position, recorded_at, originator_id, originator_version, topic, state"
_DOCUMENT = "id, version, position, recorded_at, body"


def create(path: Path) -> None:
    """Create an empty ledger; raises FileExistsError when there is a file."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
    os.close(descriptor)
    schema = (files("ledger.store") / "sqlite.sql").read_text()
    with contextlib.closing(_connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"BEGIN; {schema}; PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )


def open_store(path: Path, queue_max: int = 1_000) -> SQLiteStore:
    """Open a ledger; refuses NotInitialised without a file and WrongSchema for another version."""
    if not path.is_file():
        message = f"There is no ledger at {path}: run ledger init first."
        raise errors.NotInitialised(message)
    try:
        with contextlib.closing(_connect(path)) as connection:
            found = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as trouble:
        message = f"The file {path} cannot be opened as a ledger: {trouble}."
        raise errors.StoreUnavailable(message) from trouble
    if found != APPLICATION_ID:
        message = f"The file {path} is not a ledger."
        raise errors.NotInitialised(message)
    if version != SCHEMA_VERSION:
        message = (
            f"The ledger at {path} has schema version {version}, this program has {SCHEMA_VERSION}."
        )
        raise errors.WrongSchema(message)
    return SQLiteStore(path, queue_max)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{path}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None,
        check_same_thread=False, cached_statements=256,
    )  # fmt: skip
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection


def _moment(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _log_row(row: tuple[Any, ...]) -> LogRow:
    return LogRow(row[0], _moment(row[1]), *row[2:])


def _document_row(row: tuple[Any, ...]) -> StoredDocument:
    return StoredDocument(row[0], row[1], row[2], _moment(row[3]), row[4])


class _Session:
    """The writer's connection and its transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.connection = _connect(path)
        self.position = 0
        self.recorded_at = 0

    def begin(self) -> None:
        # IMMEDIATE takes the write lock first: what is read below cannot be overtaken.
        self.connection.execute("BEGIN IMMEDIATE")
        head = self.connection.execute(
            "SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1"
        ).fetchone()
        self.position, self.recorded_at = head or (0, 0)

    def commit(self) -> None:
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def reopen(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            fresh = _connect(self._path)
            self.connection.close()
            self.connection = fresh

    def attempt(self, work: Callable[[], Any]) -> Any:
        place = (self.position, self.recorded_at)
        self.connection.execute("SAVEPOINT wish")
        try:
            answer = work()
        except BaseException:
            self.connection.execute("ROLLBACK TO wish")
            self.position, self.recorded_at = place
            raise
        finally:
            self.connection.execute("RELEASE wish")
        return answer

    def insert(self, events: Iterable[tuple[StoredEvent, bytes, bytes]]) -> list[int]:
        """Insert events at the next positions; a duplicate raises sqlite3.IntegrityError."""
        rows = []
        clock = time.time_ns() // 1_000
        for event, salt, commitment in events:
            self.position += 1
            # Strictly increasing with position, also when the clock steps back.
            self.recorded_at = max(clock, self.recorded_at + 1)
            rows.append(
                (
                    self.position,
                    self.recorded_at,
                    str(event.originator_id),
                    event.originator_version,
                    event.topic,
                    event.state,
                    salt,
                    commitment,
                )
            )
        self.connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        return [row[0] for row in rows]


class SQLiteStore(ApplicationRecorder):
    """A ledger in one SQLite file; see ``ledger.store.Store`` for what each method promises."""

    def __init__(self, path: Path, queue_max: int = 1_000) -> None:
        """Open an existing ledger; use ``open_store``, which checks it first."""
        self._path = path
        self._session = _Session(path)
        self._subscribers: list[Callable[[int], None]] = []
        self._own = threading.local()
        self._readers: list[tuple[threading.Lock, sqlite3.Connection]] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        # A full disk, a lock that never came, a damaged file: not the fault of one wish.
        trouble = (sqlite3.OperationalError, sqlite3.InternalError)
        self._writer = Writer(self._session, queue_max, self._committed, trouble)

    # ------------------------------------------------------------ appends

    def append(self, append: Append) -> Future[Receipt]:
        """Queue an append; the future gives its receipt or a conflict.  Raises QueueFull."""
        sealed = tuple(map(_sealed, append.events))
        return self._writer.submit(lambda: self._write(append, sealed))

    def _write(self, append: Append, sealed: Sequence[tuple[StoredEvent, bytes, bytes]]) -> Receipt:
        connection = self._session.connection
        if append.idempotency is not None:
            answered = _answered(connection, append.idempotency)
            if answered is not None:
                return answered
        _check_versions(connection, append)
        for reservation in append.reservations:
            _reserve(connection, reservation)
        self._session.insert(sealed)
        position, recorded_at = self._session.position, self._session.recorded_at
        for document in append.documents:
            connection.execute(
                "INSERT INTO documents (view, id, version, position, recorded_at, body) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (view, id) DO UPDATE SET "
                "version = excluded.version, position = excluded.position, "
                "recorded_at = excluded.recorded_at, body = excluded.body",
                (
                    document.view,
                    document.id,
                    document.version,
                    position,
                    recorded_at,
                    document.body,
                ),
            )
        last = append.events[-1]
        name = str(last.originator_id)
        if (key := append.idempotency) is not None:
            connection.execute(
                "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    key.actor,
                    key.key,
                    key.fingerprint,
                    name,
                    last.originator_version,
                    position,
                    recorded_at,
                ),
            )
        return Receipt(name, last.originator_version, position, _moment(recorded_at))

    def replace_documents(self, view: str, fresh: Iterable[StoredDocument], upto: int) -> None:
        """Swap a view for freshly folded documents, in one transaction."""
        rows = [
            (view, d.id, d.version, d.position, _microseconds(d.recorded_at), d.body) for d in fresh
        ]

        def swap() -> None:
            connection = self._session.connection
            # What live appends wrote after ``upto`` is newer than what was folded up to it.
            connection.execute(
                "DELETE FROM documents WHERE view = ? AND position <= ?", (view, upto)
            )
            connection.executemany(
                "INSERT INTO documents (view, id, version, position, recorded_at, body) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (view, id) DO NOTHING",
                rows,
            )

        self._writer.submit(swap).result()

    def subscribe_commits(self, wake: Callable[[int], None]) -> None:
        """Call ``wake(position)`` after each commit of this process."""
        self._subscribers.append(wake)

    def _committed(self) -> None:
        for wake in self._subscribers:
            wake(self._session.position)

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
        with self._reading() as connection:
            return _answered(connection, idempotency)

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

    def rows(self, after: int = 0, upto: int | None = None, page: int = 1_000) -> Iterator[LogRow]:
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
                (view, after, SWAP_CHUNK),
            )
            yield from map(_document_row, found)
            if len(found) < SWAP_CHUNK:
                return
            after = found[-1][0]

    # ------------------------------------------------------------ the engine's recorder

    def insert_events(self, stored_events: Sequence[StoredEvent], **_kwargs: Any) -> list[int]:
        """Insert events as the engine does; raises its IntegrityError for a duplicate."""
        sealed = tuple(map(_sealed, stored_events))

        def write() -> list[int]:
            try:
                return self._session.insert(sealed)
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
        return _Subscription(self, gt, topics)

    # ------------------------------------------------------------ connections

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection, held so that closing waits for the read."""
        own: tuple[threading.Lock, sqlite3.Connection] | None = getattr(self._own, "reader", None)
        if own is None:
            own = (threading.Lock(), _connect(self._path))
            own[1].execute("PRAGMA query_only = ON")
            with self._readers_lock:
                self._readers.append(own)
            self._own.reader = own
        lock, connection = own
        with lock:
            if self._closed:
                raise errors.StoreUnavailable
            try:
                yield connection
            except sqlite3.Error as trouble:
                raise errors.StoreUnavailable from trouble

    def _read(self, statement: str, given: tuple[Any, ...]) -> list[Any]:
        with self._reading() as connection:
            return connection.execute(statement, given).fetchall()

    def close(self) -> None:
        """Finish what is queued, then close every connection."""
        self._writer.close()
        with self._readers_lock:
            self._closed = True
            for lock, connection in self._readers:
                with lock:
                    connection.close()
            self._readers.clear()
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

    def __init__(self, store: SQLiteStore, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder=store, gt=gt, topics=topics)
        store.subscribe_commits(lambda _position: self._has_been_notified.set())


def _sealed(event: StoredEvent) -> tuple[StoredEvent, bytes, bytes]:
    """Return an event with a fresh salt and the commitment to its exact bytes."""
    salt = os.urandom(32)
    return event, salt, hashlib.sha256(COMMITMENT_PREFIX + salt + event.state).digest()


def _check_versions(connection: sqlite3.Connection, append: Append) -> None:
    """Raise GuardConflict or VersionConflict unless every stream is where the decision saw it."""
    for originator_id, version in append.guards:
        if _version(connection, originator_id) != version:
            raise GuardConflict(originator_id)
    expected: dict[str, int] = {}
    for event in append.events:
        stream = str(event.originator_id)
        if stream not in expected:
            expected[stream] = _version(connection, stream)
        if event.originator_version != expected[stream] + 1:
            raise VersionConflict(stream)
        expected[stream] += 1


def _version(connection: sqlite3.Connection, originator_id: str) -> int:
    version: int | None = connection.execute(
        "SELECT max(originator_version) FROM events WHERE originator_id = ?", (originator_id,)
    ).fetchone()[0]
    return version or 0


def _answered(connection: sqlite3.Connection, key: IdempotencyKey) -> Receipt | None:
    row = connection.execute(
        "SELECT fingerprint, originator_id, version, position, recorded_at FROM idempotency "
        "WHERE actor = ? AND key = ?",
        (key.actor, key.key),
    ).fetchone()
    if row is None:
        return None
    if row[0] != key.fingerprint:
        raise KeyConflict(key.key)
    return Receipt(row[1], row[2], row[3], _moment(row[4]), replayed=True)


def _reserve(connection: sqlite3.Connection, reservation: Reservation) -> None:
    row = connection.execute(
        "INSERT INTO reservations VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET owner = owner "
        "RETURNING owner",
        (reservation.kind, reservation.value, reservation.owner),
    ).fetchone()
    if row[0] != reservation.owner:
        raise ReservationConflict(reservation, row[0])
