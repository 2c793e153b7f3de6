"""What does one transaction on SQLite check and write?  The statements under the write lock.

Used by the writer's thread alone.  An append is judged against what is in the file at that moment,
its neighbours in the batch included; it happens wholly, or raises and leaves nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from eventsourcing.persistence import StoredEvent

from ledger.store import (
    Append,
    GuardConflict,
    IdempotencyKey,
    KeyConflict,
    Receipt,
    Reservation,
    ReservationConflict,
    StoredDocument,
    VersionConflict,
)
from ledger.store.sqlite_files import connect

COMMITMENT_PREFIX: Final = b"ledger.payload.v1\n"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Sealed = tuple[StoredEvent, bytes, bytes]
"""An event with its salt and the commitment to its exact bytes."""


def moment(microseconds: int) -> datetime:
    """Return the moment of a stored count of microseconds."""
    return EPOCH + timedelta(microseconds=microseconds)


def sealed(event: StoredEvent) -> Sealed:
    """Return an event with a fresh salt and the commitment to its exact bytes."""
    salt = os.urandom(32)
    return event, salt, hashlib.sha256(COMMITMENT_PREFIX + salt + event.state).digest()


def answered(connection: sqlite3.Connection, key: IdempotencyKey) -> Receipt | None:
    """Return the receipt that a key was answered with, or None; raises KeyConflict."""
    row = connection.execute(
        "SELECT fingerprint, originator_id, version, position, recorded_at FROM idempotency "
        "WHERE actor = ? AND key = ?",
        (key.actor, key.key),
    ).fetchone()
    if row is None:
        return None
    if row[0] != key.fingerprint:
        raise KeyConflict(key.key)
    return Receipt(row[1], row[2], row[3], moment(row[4]), replayed=True)


class SQLiteSession:
    """The writer's connection and its transaction."""

    def __init__(self, path: Path) -> None:
        """Open the writer's connection."""
        self._path = path
        self.connection = connect(path)
        self.position = 0
        self.recorded_at = 0

    # ------------------------------------------------------------ the transaction

    def begin(self) -> None:
        """Begin a transaction, and find the head of the log under the write lock."""
        # IMMEDIATE takes the write lock first: what is read below cannot be overtaken.
        self.connection.execute("BEGIN IMMEDIATE")
        head = self.connection.execute(
            "SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1"
        ).fetchone()
        self.position, self.recorded_at = head or (0, 0)

    def commit(self) -> None:
        """Commit; in WAL with full synchronisation the batch is then on the disk."""
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction if there is one."""
        with contextlib.suppress(sqlite3.Error):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def reopen(self) -> None:
        """Replace the connection; keep the old one when there is no new one to be had."""
        with contextlib.suppress(sqlite3.Error):
            old, self.connection = self.connection, connect(self._path)
            old.close()

    def attempt(self, work: Callable[[], Any]) -> Any:
        """Run ``work`` inside a savepoint."""
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

    def is_trouble(self, error: Exception) -> bool:
        """Whether the database failed (full disk, lost lock, damage) rather than one wish."""
        kinds = (sqlite3.OperationalError, sqlite3.InternalError)
        # SQLite says "malformed" and "not a database" with the bare class.
        return isinstance(error, kinds) or type(error) is sqlite3.DatabaseError

    # ------------------------------------------------------------ what is written

    def append(self, append: Append, events: Sequence[Sealed]) -> Receipt:
        """Write an append; raises the conflicts of ``ledger.store``."""
        connection, key = self.connection, append.idempotency
        if key is not None and (receipt := answered(connection, key)) is not None:
            return receipt
        self._check_versions(append)
        for reservation in append.reservations:
            self._reserve(reservation)
        self.insert(events)
        position, recorded_at = self.position, self.recorded_at
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
        stream, version = str(last.originator_id), last.originator_version
        if key is not None:
            connection.execute(
                "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key.actor, key.key, key.fingerprint, stream, version, position, recorded_at),
            )
        return Receipt(stream, version, position, moment(recorded_at))

    def insert(self, events: Iterable[Sealed]) -> list[int]:
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

    def swap(self, view: str, fresh: Iterable[StoredDocument], upto: int) -> None:
        """Put freshly folded documents in the place of those written up to a position."""
        # What live appends wrote after ``upto`` is newer than what was folded up to it.
        self.connection.execute(
            "DELETE FROM documents WHERE view = ? AND position <= ?", (view, upto)
        )
        self.connection.executemany(
            "INSERT INTO documents (view, id, version, position, recorded_at, body) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (view, id) DO NOTHING",
            (
                (
                    view,
                    document.id,
                    document.version,
                    document.position,
                    (document.recorded_at - EPOCH) // timedelta(microseconds=1),
                    document.body,
                )
                for document in fresh
            ),
        )

    # ------------------------------------------------------------ what is checked

    def _check_versions(self, append: Append) -> None:
        """Raise GuardConflict or VersionConflict unless every stream is as the decision saw it."""
        for stream, version in append.guards:
            if self._version(stream) != version:
                raise GuardConflict(stream)
        expected: dict[str, int] = {}
        for event in append.events:
            stream = str(event.originator_id)
            if stream not in expected:
                expected[stream] = self._version(stream)
            if event.originator_version != expected[stream] + 1:
                raise VersionConflict(stream)
            expected[stream] += 1

    def _version(self, stream: str) -> int:
        version: int | None = self.connection.execute(
            "SELECT max(originator_version) FROM events WHERE originator_id = ?", (stream,)
        ).fetchone()[0]
        return version or 0

    def _reserve(self, reservation: Reservation) -> None:
        row = self.connection.execute(
            "INSERT INTO reservations VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET owner = owner "
            "RETURNING owner",
            (reservation.kind, reservation.value, reservation.owner),
        ).fetchone()
        if row[0] != reservation.owner:
            raise ReservationConflict(reservation, row[0])
