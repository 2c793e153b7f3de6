"""What has to be remembered until the end?  Written down in a temporary file, not in memory.

A verification reads the log once, in order, whatever its length; what it meets on the way and needs
again, it finds here.  The file has no name that outlives the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

HELD_STREAMS: Final = 100_000
"""How many streams' versions are held in memory; the rest is looked up."""
HELD_ROWS: Final = 500
INTEGER_MAX: Final = 2**63 - 1

SCHEMA: Final = """
CREATE TABLE version (stream TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE erased (
    position INTEGER PRIMARY KEY, stream TEXT, version INTEGER, topic TEXT, digest TEXT
);
CREATE TABLE erasure (
    position INTEGER PRIMARY KEY, target INTEGER, stream TEXT, version INTEGER, topic TEXT,
    digest TEXT
);
CREATE INDEX erasure_by_target ON erasure (target);
CREATE TABLE reservation (kind TEXT, value TEXT, owner TEXT, position INTEGER);
CREATE TABLE artifact (digest TEXT, size INTEGER, position INTEGER);
CREATE TABLE api_key (
    digest TEXT PRIMARY KEY, version INTEGER, position INTEGER, at INTEGER, body BLOB
) WITHOUT ROWID;
CREATE TABLE fact (
    stream TEXT, version INTEGER, position INTEGER, at INTEGER, topic TEXT, state BLOB,
    PRIMARY KEY (stream, version)
) WITHOUT ROWID;
"""


class Notebook:
    """A database of one verification; it is gone when the block ends."""

    def __init__(self) -> None:
        """Begin with nothing written down."""
        # An empty name is a private file on disk, of which no more than a cache is in memory.
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA temp_store = FILE")
        self._connection.executescript(SCHEMA)
        self._waiting: dict[str, list[tuple[Any, ...]]] = {}

    def __enter__(self) -> Self:
        """Return the notebook."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the file."""
        self._connection.close()

    def write(self, table: str, *row: Any) -> None:
        """Write a row down; of two with the same key the later one stays.

        Raises ValueError and TypeError for what no database can hold.
        """
        for value in row:
            _storable(value)
        waiting = self._waiting.setdefault(table, [])
        waiting.append(row)
        if len(waiting) >= HELD_ROWS:
            self._flush(table)

    def _flush(self, table: str) -> None:
        waiting = self._waiting.pop(table, None)
        if waiting:
            marks = ", ".join("?" * len(waiting[0]))
            sql = f"INSERT OR REPLACE INTO {table} VALUES ({marks})"  # noqa: S608 - a constant
            self._connection.executemany(sql, waiting)

    def read(self, sql: str, given: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield what a query finds in everything that was written down."""
        for table in tuple(self._waiting):
            self._flush(table)
        yield from self._connection.execute(sql, given)


def _storable(value: Any) -> None:
    if isinstance(value, str):
        value.encode()
    elif type(value) is int:
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise ValueError(value)
    elif value is not None and not isinstance(value, bytes):
        raise TypeError(type(value))


class Versions:
    """The last version of every stream, however many there are."""

    def __init__(self, notebook: Notebook) -> None:
        """Keep in the notebook what memory does not hold."""
        self._notebook = notebook
        self._held: dict[str, int] = {}
        self._spilt = False
        self.streams = 0

    def last(self, stream: str) -> int:
        """Return the last version of a stream, 0 where there is none."""
        version = self._held.get(stream)
        if version is None and self._spilt:
            found = self._notebook.read("SELECT version FROM version WHERE stream = ?", (stream,))
            version = next((row[0] for row in found), None)
        return version or 0

    def set(self, stream: str, version: int, *, new: bool) -> None:
        """Remember the version that a stream has now."""
        self.streams += new
        self._held[stream] = version
        if len(self._held) > HELD_STREAMS:
            for row in self._held.items():
                self._notebook.write("version", *row)
            self._held.clear()
            self._spilt = True
