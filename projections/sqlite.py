"""Where do the views live beside a SQLite log?  In one SQLite file of their own.

One writer connection, one reader connection per thread; the leader holds a lock on ``<file>.lock``.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final

from projections import views
from projections.table import Dialect, Found, Projection, Row
from projections.views import (
    Overtaken,
    ViewsBusy,
    ViewsClosed,
    ViewsDamaged,
    ViewsUnavailable,
)

__all__ = ["Overtaken", "SQLiteViews", "Views", "ViewsBusy", "ViewsClosed", "ViewsDamaged"]

BUSY_TIMEOUT_S: Final = 30
CLOSING_TIMEOUT_S: Final = 10
DIALECT: Final = Dialect(
    name="sqlite",
    tables="SELECT name FROM sqlite_master WHERE type = 'table'",
    types={"INTEGER": "INTEGER", "TEXT": "TEXT"},
)
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_AWAY: Final = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Writer:
    """The writer connection, inside a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Write to ``connection``."""
        self._connection = connection

    def execute(self, sql: str, given: Sequence[Any] = (), /) -> Found:
        """Run a statement."""
        return self._connection.execute(sql, given)

    def delete(self, table: str, key: str, values: Sequence[Any], /) -> None:
        """Delete the rows whose key is one of the values."""
        sql = f"DELETE FROM {table} WHERE {key} = ?"  # noqa: S608
        self._connection.executemany(sql, ((value,) for value in values))

    def insert(self, table: str, fields: Sequence[str], rows: Iterable[Row], /) -> None:
        """Insert rows."""
        marks = ", ".join("?" * len(fields))
        sql = f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({marks})"  # noqa: S608
        self._connection.executemany(sql, rows)


@contextmanager
def _told() -> Iterator[None]:
    """Say in the words of the port what SQLite says of the file; what a row did stays as it is."""
    try:
        yield
    except sqlite3.Error as trouble:
        code = getattr(trouble, "sqlite_errorcode", 0) & 0xFF
        kinds = ((_BUSY, ViewsBusy), (_AWAY, ViewsUnavailable), (_DAMAGED, ViewsDamaged))
        for codes, kind in kinds:
            if code in codes:
                raise kind(str(trouble)) from trouble
        raise


class SQLiteViews(views.Views):
    """The views in a SQLite file."""

    dialect: ClassVar[Dialect] = DIALECT

    def __init__(self, path: str | Path, projections: Iterable[type[Projection]] = ()) -> None:
        """Open the file, and create what is missing for ``projections``.

        Raises ViewsBusy, ViewsUnavailable, ViewsDamaged.
        """
        self._path = str(path)
        self._lock = threading.RLock()
        self._readers: list[sqlite3.Connection] = []
        self._reading = 0
        self._idle = threading.Condition()
        self._closed = False
        self._own = threading.local()
        self._lead: int | None = None
        self._leading = threading.Lock()
        with _told():
            self._writer = self._connect()
            try:
                self._writer.execute("PRAGMA journal_mode = WAL")
                self._writer.execute("PRAGMA synchronous = NORMAL")
                # What is replaced is overwritten in the file, whatever the build of SQLite does.
                self._writer.execute("PRAGMA secure_delete = ON")
                with self.writing() as writer:
                    self._prepare(writer, projections)
            except BaseException as trouble:
                self._writer.close()
                if isinstance(trouble, sqlite3.Error):
                    raise ViewsDamaged(str(trouble)) from trouble
                raise

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Give the writer inside one transaction."""
        with self._lock, _told():
            if self._closed:
                raise ViewsClosed
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield Writer(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back already, which is no trouble of its own.
                with suppress(sqlite3.OperationalError):
                    self._writer.execute("ROLLBACK")
                raise

    def forgotten(self) -> None:
        """Empty the write-ahead log, unless it is being read: then it empties itself in time."""
        with self._lock, suppress(sqlite3.Error):
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's reader inside one snapshot."""
        with self._idle:
            if self._closed:
                raise ViewsClosed
            self._reading += 1
        try:
            with _told():
                reader = self._reader()
                reader.execute("BEGIN")
                try:
                    yield reader
                finally:
                    reader.execute("COMMIT")
        finally:
            with self._idle:
                self._reading -= 1
                self._idle.notify_all()

    def _reader(self) -> sqlite3.Connection:
        reader: sqlite3.Connection | None = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._connect()
            reader.execute("PRAGMA query_only = ON")
            self._own.reader = reader
            with self._idle:
                self._readers.append(reader)
        return reader

    # ------------------------------------------------------------ leading

    def try_lead(self) -> bool:
        """Lock ``<file>.lock``, which the system frees when this process ends, however it does."""
        with self._leading:
            if self._lead is not None:
                return True
            if self._closed:
                return False
            try:
                lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as trouble:
                raise ViewsUnavailable(f"{self._path}.lock: {trouble.strerror}") from trouble
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                return False
            self._lead = lock
            return True

    def leads(self) -> bool:
        """Return whether this process holds the lock."""
        return self._lead is not None

    def resign(self) -> None:
        """Free the lock; the file stays, since another may be about to lock it."""
        with self._leading:
            if self._lead is not None:
                os.close(self._lead)
                self._lead = None

    def close(self) -> None:
        """Let running reads finish, or interrupt them after ten seconds, then close the file."""
        with self._idle:
            self._closed = True
            if not self._idle.wait_for(lambda: not self._reading, CLOSING_TIMEOUT_S):
                for reader in self._readers:
                    reader.interrupt()
                self._idle.wait_for(lambda: not self._reading, CLOSING_TIMEOUT_S)
        with self._lock:
            for connection in (*self._readers, self._writer):
                connection.close()
            self._readers.clear()
        self.resign()


Views = SQLiteViews
