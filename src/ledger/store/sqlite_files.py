"""How is a ledger's SQLite file opened?  Its marks, its connections, one reader for each thread."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ledger import errors
from ledger.store.migrations import steps

SCHEMA_VERSION: Final = steps("sqlite")[-1].version
APPLICATION_ID: Final = 0x4C454447
"""``LEDG``: how a file says that it is a ledger."""

BUSY_TIMEOUT_S: Final = 10
CHECKPOINT_PAGES: Final = 4_000


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection to a file that exists; who shares it sees to the locking."""
    connection = sqlite3.connect(
        # Quoted, because a question mark or a percent sign in a name would name another file.
        f"file:{quote(str(path))}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S,
        isolation_level=None, check_same_thread=False, cached_statements=256,
    )  # fmt: skip
    connection.execute("PRAGMA synchronous = FULL")
    # What is replaced or deleted is overwritten in the file, whatever the build of SQLite does.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection


def version(path: Path) -> int:
    """Return the schema version of a ledger; refuses NotInitialised, StoreUnavailable."""
    if not path.is_file():
        raise errors.NotInitialised(f"There is no ledger at {path}: run ledger init first.")
    try:
        with contextlib.closing(connect(path)) as connection:
            found = connection.execute("PRAGMA application_id").fetchone()[0]
            schema: int = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as trouble:
        message = f"The file {path} cannot be opened as a ledger: {trouble}."
        raise errors.StoreUnavailable(message) from trouble
    if found != APPLICATION_ID:
        raise errors.NotInitialised(f"The file {path} is not a ledger.")
    if schema > SCHEMA_VERSION:
        message = (
            f"The ledger at {path} has schema version {schema}, this program has {SCHEMA_VERSION}: "
            "use its program."
        )
        raise errors.WrongSchema(message)
    return schema


def check(path: Path) -> None:
    """Refuse what is not a ledger of this schema: NotInitialised, WrongSchema, StoreUnavailable."""
    found = version(path)
    if found != SCHEMA_VERSION:
        message = (
            f"The ledger at {path} has schema version {found}, this program has {SCHEMA_VERSION}: "
            "run ledger init to migrate it."
        )
        raise errors.WrongSchema(message)


class _Reader:
    """One thread's connection; it ends with its thread."""

    __slots__ = ("__weakref__", "connection", "lock")

    def __init__(self, path: Path) -> None:
        self.lock = threading.Lock()
        self.connection = connect(path)
        self.connection.execute("PRAGMA query_only = ON")

    def __del__(self) -> None:
        # A connection that could not be made leaves nothing to close.
        if hasattr(self, "connection"):
            self.connection.close()


class Readers:
    """A reading connection for each thread that asks; closing waits for reads under way."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._path = path
        self._own = threading.local()
        # Weak, so that a thread which ends takes its connection with it.
        self._all: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection; whatever SQLite cannot do becomes StoreUnavailable."""
        try:
            reader: _Reader = getattr(self._own, "reader", None) or self._reader()
            with reader.lock:
                if self._closed:
                    raise errors.StoreUnavailable
                yield reader.connection
        except sqlite3.Error as trouble:
            raise errors.StoreUnavailable from trouble

    def _reader(self) -> _Reader:
        with self._lock:
            if self._closed:
                raise errors.StoreUnavailable
            reader = _Reader(self._path)
            self._all.add(reader)
        self._own.reader = reader
        return reader

    def close(self) -> None:
        """Close every connection, each after the read that is using it."""
        with self._lock:
            self._closed = True
            for reader in list(self._all):
                with reader.lock:
                    reader.connection.close()
